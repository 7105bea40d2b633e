"""What suppresses an alert that fires, and why nobody was notified of one.

These are the exceptions of "each P0 or P1 that begins to fire is named": a silence, what explains
it, what the policy's author wrote, and an end that came first.
"""

from collections.abc import Iterable

from app.core.notification import mute_times
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.live_alert import CORRELATION_WAIT, Ending, LiveAlert, Suppression
from app.core.state.state import Incident
from app.core.state.turn import Turn
from app.core.suppression.suppression import SILENCED
from models.events_alert import AlertState, Suppressor, SuppressorKind, Unnotified

_REASONS = {
    SuppressorKind.SILENCE: Unnotified.SILENCED,
    SuppressorKind.DEPENDENCY: Unnotified.EXPLAINED,
    SuppressorKind.CORRELATION: Unnotified.EXPLAINED,
    SuppressorKind.INHIBITION: Unnotified.INHIBITED,
    SuppressorKind.MUTE: Unnotified.MUTED,
}


def suppressors_of(turn: Turn, alert: LiveAlert) -> tuple[Suppressor, ...]:
    """What suppresses a firing alert now; of one that only waits for a rule nothing does."""
    incident = turn.state.incidents.get(alert.incident)
    muted_by = incident.muted_by if incident is not None else ()
    if not alert.suppressions and not muted_by:
        return ()
    holds = alert.suppressions or {}
    suppressors = [
        _of_hold(turn.rules, key, hold) for key, hold in holds.items() if key != CORRELATION_WAIT
    ]
    return (*suppressors, *(_of_mute(name) for name in muted_by))


def reason_of(turn: Turn, alert: LiveAlert, suppressors: Iterable[Suppressor]) -> Unnotified | None:
    """Why nobody was notified of an alert since it fires; None when somebody was, or may still be."""
    incident = turn.state.incidents.get(alert.incident)
    first = next(iter(suppressors), None)
    if first is None or incident is None or _is_notified(incident, alert):
        return None
    return _REASONS[first.kind]


def ending_of(turn: Turn, alert: LiveAlert, state: AlertState) -> Ending:
    """How an alert ends that is still part of what fires in its incident, and why nobody was notified of it."""
    incident = turn.state.incidents.get(alert.incident)
    if incident is None or state is AlertState.REPLACED or _is_notified(incident, alert):
        return Ending(state, None)
    reason = reason_of(turn, alert, suppressors_of(turn, alert)) or Unnotified.ENDED_FIRST
    if alert.severity.is_urgent:
        turn.count(f"unnotified.{reason}")
    return Ending(state, reason)


def _is_notified(incident: Incident, alert: LiveAlert) -> bool:
    """Whether a message was about it since it fires. Of what is not urgent the incident's messages are."""
    if alert.severity.is_urgent:
        return alert.named
    return (
        not alert.suppressions
        and incident.notified_ms > 0
        and incident.notified_ms >= alert.notifiable_since_ms
    )


def _of_hold(rules: CompiledPolicy, key: str, hold: Suppression) -> Suppressor:
    if key.startswith(SILENCED):
        name, kind = key.removeprefix(SILENCED), SuppressorKind.SILENCE
    else:
        name = key.partition("/")[0]
        rule = rules.inhibition(name)
        if rule is None:
            kind = SuppressorKind.CORRELATION
        else:
            kind = SuppressorKind.DEPENDENCY if rule.membership else SuppressorKind.INHIBITION
    return Suppressor(kind, name, hold.source, hold.parent, hold.because)


def _of_mute(name: str) -> Suppressor:
    text = "Outside the team's hours" if name == mute_times.HOURS else f"Muted by {name}"
    return Suppressor(SuppressorKind.MUTE, name, "", "", text)
