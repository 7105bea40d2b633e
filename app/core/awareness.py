"""Whether somebody knows of a cause: only then may it explain a P0 or P1.

Somebody knows of an alert that a message has named since it fires, that an operator has silenced,
or that is explained itself by a dependency or a correlation. An inhibition does not count: its
source may be something of which nobody hears. The same holds for an incident that a rule opened,
except that a silence does not count.

What becomes known, or is not any more, is told to the rules at the end of the turn in which that
happened: in between nothing is due.
"""

from collections.abc import Iterable

from app.core.correlation import windows
from app.core.state.live_alert import CORRELATION_WAIT
from app.core.state.state import Incident
from app.core.state.turn import Turn
from app.core.suppression import inhibition
from app.core.suppression.suppression import SILENCED


def review(turn: Turn, changed: Iterable[Incident]) -> None:
    """Tell the rules what somebody knows of now and did not before, or the other way round."""
    for alert in turn.doubtful():
        known_of = alert.firing and (alert.named or _explained(turn, alert.suppressions or ()))
        fresh = turn.unshown.pop(alert.fingerprint, False)
        if alert.firing and alert.incident and (fresh or alert.known_of != known_of):
            alert.known_of = known_of
            turn.state.put_alert(alert)
            inhibition.on_awareness(turn, alert)
    opened = [item for item in changed if item.rule and item.severity.is_urgent and not item.ended]
    for incident in sorted(opened, key=lambda item: item.id):
        told = bool(incident.notified_ms) and not incident.fires_anew_ms
        # A silence covers such an incident only while nothing else depends on it. A P0 that it
        # explained would join, uncover it, be released, and join again, for ever.
        rules = (key for key in incident.suppressions if not key.startswith(SILENCED))
        known_of = told or _explained(turn, rules)
        fresh, was = turn.unshown.pop(incident.id, False), incident.known_of
        incident.known_of = known_of
        if fresh or was != known_of:
            turn.state.put_incident(incident)
            inhibition.on_incident_awareness(turn, incident)
        if was != known_of:
            windows.on_awareness(turn, incident)
    turn.unshown.clear()


def _explained(turn: Turn, keys: Iterable[str]) -> bool:
    for key in keys:
        rule = turn.rules.inhibition(key.partition("/")[0])
        if key != CORRELATION_WAIT and (rule is None or rule.membership):
            return True
    return False
