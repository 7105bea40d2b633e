"""Flapping.

An alert that begins and ends again and again is one incident, notified once, until it is stable.
"""

from collections.abc import Iterator

from app.core.notification import recipients
from app.core.state.deadline import Deadline
from app.core.state.live_alert import LiveAlert
from app.core.state.state import Incident
from app.core.state.turn import Turn
from models.text.duration import format_ms

STABLE = "stable_after"  # what its deadline is called
DEADLINE_FIELDS = ("flapping_ms", "ended")  # that `deadlines` reads of an incident


def on_change(turn: Turn, incident: Incident, alert: LiveAlert) -> None:
    """An alert of the incident began or ended to fire."""
    rule = turn.rules.policy.flapping
    if rule is None:
        alert.changes = None
        return
    recent = [at_ms for at_ms in alert.changes or () if turn.now_ms - at_ms < rule.within]
    alert.changes = [*recent, turn.now_ms][-rule.changes :]
    if len(alert.changes) < rule.changes:
        return
    was, incident.flapping_ms = incident.flapping_ms, turn.now_ms
    if not was:
        changed = f"{alert.name} changed {rule.changes} times within {format_ms(rule.within)}"
        text = f"{changed}. Updates and repeats are suppressed until it is stable."
        turn.timeline(incident, "Flapping", text, alert=alert.fingerprint)
        recipients.on_flapping(turn, incident, text)


def deadlines(turn: Turn, incident: Incident) -> Iterator[Deadline]:
    """When an incident that is open has been stable for long enough."""
    rule = turn.rules.policy.flapping
    if incident.flapping_ms and not incident.ended:
        yield Deadline(
            incident.flapping_ms + (rule.stable_after if rule else 0),
            _on_stable,
            "",
            STABLE,
            incident.flapping_ms,
        )


def stable_until_ms(turn: Turn, incident: Incident) -> int:
    """Until when a resolved incident that flaps is watched before it closes; 0 for others."""
    rule = turn.rules.policy.flapping
    return incident.flapping_ms + rule.stable_after if rule and incident.flapping_ms else 0


def _on_stable(turn: Turn, incident: Incident, _: str) -> None:
    since_ms, incident.flapping_ms = incident.flapping_ms, 0
    turn.timeline(incident, "Stable", f"No change for {format_ms(turn.now_ms - since_ms)}")
    turn.changed(incident)
