"""An urgent alert that is not acknowledged and no longer received: it has not ended.

It goes on to fire as far as people are concerned, until it is received again, or ends, or until
`lost_after`. Once its incident is resolved, it is over too.
"""

from app.core.state.live_alert import LiveAlert
from app.core.state.state import Incident
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from models.incident import State
from models.text.instant import format_instant


def goes_on(turn: Turn, alert: LiveAlert) -> bool:
    """Whether an alert that has expired goes on to fire: somebody was notified, nobody acknowledged it."""
    incident = turn.state.incidents.get(alert.incident)
    return (
        not alert.unheard_ms
        and alert.severity.is_urgent
        and not alert.suppressions
        and incident is not None
        and _is_untaken(incident, alert)
        and incident.notified_ms > 0
        and turn.rules.policy.incidents.lost_after > 0
    )


def _is_untaken(incident: Incident, alert: LiveAlert) -> bool:
    if incident.state is State.ACKNOWLEDGED:
        return alert.fingerprint in incident.unacknowledged
    return incident.state is State.OPEN


def begin(turn: Turn, alert: LiveAlert, heard_ms: int) -> None:
    """Note that an alert is no longer received, and counts as firing.

    `heard_ms` is when a sender sent it last. Its own sender counts from now on, also where it
    was another that fell silent.
    """
    incident = turn.state.incidents[alert.incident]
    alert.last_ms, alert.own_ended = max(alert.last_ms, heard_ms), False
    turn.state.note_unheard(alert, turn.now_ms)
    since = format_instant(alert.last_ms)
    text = f"{alert.name}: not received since {since}. Not acknowledged, so it counts as firing."
    turn.timeline(incident, "Unheard", text, alert=alert.fingerprint)
    watch_expiry(turn, alert)
    turn.changed(incident)


def on_heard(turn: Turn, alert: LiveAlert) -> None:
    """It is received again."""
    incident = turn.state.incidents[alert.incident]
    turn.state.note_unheard(alert, 0)
    turn.timeline(
        incident, "HeardAgain", f"{alert.name} is received again", alert=alert.fingerprint
    )
    watch_expiry(turn, alert)
    turn.changed(incident)


def ends_ms(turn: Turn, alert: LiveAlert) -> int:
    """When a firing alert ends by itself."""
    if not alert.unheard_ms:
        return turn.state.expires_ms(alert)
    incident = turn.state.incidents[alert.incident]
    since_ms = max(alert.unheard_ms, turn.state.clock.listening_ms)
    lost_ms = since_ms + turn.rules.policy.incidents.lost_after
    return min(lost_ms, incident.resolved_ms) if incident.ended else lost_ms


def watch_expiry(turn: Turn, alert: LiveAlert) -> None:
    """Set the timer that ends the alert, unless one is set that comes before.

    That one will look again.
    """
    if alert.own_ended:
        return  # another sender says that it fires, whose own record expires
    if alert.heartbeat:
        return  # it has a timer of its own (app.core.alerts.heartbeats)
    at_ms = ends_ms(turn, alert)
    if not alert.timer_ms or at_ms < alert.timer_ms:
        alert.timer_ms = at_ms
        turn.state.schedule(at_ms, TimerKind.EXPIRY, alert.fingerprint)


def on_resolved(turn: Turn, incident: Incident) -> None:
    """Its incident is resolved: what is not heard of is over too."""
    if incident.unheard:
        for alert in incident.alerts.values():
            if alert.unheard_ms:
                watch_expiry(turn, alert)
