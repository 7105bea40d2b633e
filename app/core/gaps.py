"""The end of a gap in the ticks: time in which nobody listened counts for nothing.

No alert has expired: its sender could not be heard. Steps, clocks and reminders go on where they
were. What has waited is due now, the newest of each incident (`app.core.notification.mute_times`).
"""

from app.core.rules.compiled_policy import EscalationRule
from app.core.state.live_alert import LiveAlert
from app.core.state.state import Incident
from app.core.state.turn import Turn

# What an incident counts from, in engine time.
_COUNTED_FROM = (
    *("severity_ms", "notifiable_since_ms", "step_since_ms", "clock_ms"),
    *("message_ms", "last_update_ms", "reminded_ms", "flapping_ms", "owner_ms"),
    *("unacknowledged_since_ms",),
)


def close(turn: Turn, start_ms: int, end_ms: int) -> None:
    """Take the time between two instants out of everything that counts time."""
    state = turn.state
    for _, incident in sorted(state.incidents.items()):
        if _shift_incident(incident, start_ms, end_ms):
            state.put_incident(incident)
    lasting = [rule for rule in turn.rules.lasting if rule.policy.lasting is not None]
    for _, alert in sorted(state.alerts.items()):
        if alert.firing and _shift_alert(alert, lasting, start_ms, end_ms):
            state.put_alert(alert)
    for (rule, group), link in sorted(state.inhibition_groups.items()):
        if link.last is not None:
            link.ended_ms = _shifted(link.ended_ms, start_ms, end_ms)
            state.put_inhibition_group(rule, group, link)
    state.clock.gap_ms, state.clock.listening_ms = 0, end_ms
    turn.count("gaps")


def _shift_incident(incident: Incident, start_ms: int, end_ms: int) -> bool:
    changed = False
    for name in _COUNTED_FROM:
        before_ms = getattr(incident, name)
        after_ms = _shifted(before_ms, start_ms, end_ms)
        if after_ms != before_ms:
            setattr(incident, name, after_ms)
            changed = True
    for clock, before_ms in incident.clock_since_ms.items():
        incident.clock_since_ms[clock] = _shifted(before_ms, start_ms, end_ms)
        changed = changed or incident.clock_since_ms[clock] != before_ms
    return changed


def _shift_alert(
    alert: LiveAlert, lasting: list[EscalationRule], start_ms: int, end_ms: int
) -> bool:
    """What it lasts counts from later, unless it has lasted for long enough before the gap."""
    pending = any(
        alert.notifiable_since_ms + (rule.policy.lasting or 0) > start_ms
        and rule.applies(alert.severity, alert.incident_class, alert.labels)
        for rule in lasting
    )
    if not pending and not alert.awaits_correlation:
        return False
    alert.notifiable_since_ms = _shifted(alert.notifiable_since_ms, start_ms, end_ms)
    if alert.awaits_correlation:
        alert.fired_ms = _shifted(alert.fired_ms, start_ms, end_ms)
    return True


def _shifted(at_ms: int, start_ms: int, end_ms: int) -> int:
    """A time, later by as much of the gap as came after it."""
    return at_ms + end_ms - max(at_ms, start_ms) if 0 < at_ms < end_ms else at_ms
