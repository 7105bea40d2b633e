"""What an incident is like now: how bad, since when nobody has it, what is not heard of, its clocks."""

from app.core.state.state import Incident
from models.severity import Severity

CLOCKS = ("acknowledge", "resolve")  # the targets
_WORST_FIRST = tuple(Severity)  # to walk over the class itself costs ten times as much
_BY_NAME: dict[str, Severity] = {
    severity.value: severity for severity in Severity
}  # so does a call


def worst_firing(incident: Incident) -> Severity | None:
    """The severity of the worst alert that fires; None when none does."""
    return next((severity for severity in _WORST_FIRST if incident.firing_by.get(severity)), None)


def waiting_since_ms(incident: Incident) -> int:
    """Since when it is open and nobody has it."""
    return max(incident.notifiable_since_ms, incident.unacknowledged_since_ms)


def unheard_since_ms(incident: Incident) -> int:
    """When an alert was heard of last that fires on though nobody says so; 0 when none does."""
    if not incident.unheard:
        return 0
    return min(alert.last_ms for alert in incident.alerts.values() if alert.unheard_ms)


def begin_clocks(incident: Incident, at_ms: int) -> None:
    """Let the clocks of its targets run from a time, by the targets of its severity."""
    incident.clock_since_ms = dict.fromkeys(CLOCKS, at_ms)
    incident.clock_severity = dict.fromkeys(CLOCKS, str(incident.severity))


def clock_start(incident: Incident, clock: str) -> tuple[int, Severity]:
    """When the clock of a target began, and by which severity's target."""
    severity = incident.clock_severity.get(clock, incident.severity)
    return incident.clock_since_ms.get(clock, incident.severity_ms), _BY_NAME[severity]
