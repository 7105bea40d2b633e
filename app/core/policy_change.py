"""A new policy takes over: running incidents go on under it.

Rules that are gone, or mean something else now, begin anew; what they kept quiet is told where
nothing else keeps it so.

Other partitions have the change before or after this one. So what an actor knows of a rule that is
gone rests, and wakes when it comes back; and what was told to actors is taken back by who told it,
in its own order.
"""

from app.core import incident_timers
from app.core.alerts import grouping, heartbeats
from app.core.correlation import deferred_signals, windows
from app.core.incidents import availability
from app.core.rules.compiled_policy import Rulebook
from app.core.state.turn import Turn
from app.core.suppression import inhibition, suppression


def adopt(turn: Turn, before: Rulebook) -> None:
    """Bring the state into line with the turn's rules, which follow those of before."""
    now = turn.rules
    left, come = _without(before, now), _without(now, before)
    links = left | come
    gone = frozenset(links | {name for name in before.correlations if name not in now.correlations})
    suppression.drop_rules(turn, gone)
    for name in sorted(left):
        inhibition.rest(turn, before.links[name])
    for name in sorted(come):
        inhibition.wake(turn, now.links[name])
    inhibition.show(turn, come)
    inhibition.take_back(
        turn, before, left
    )  # after that: who belongs to an incident by both does not leave it between
    windows.take_back(turn, before)
    deferred_signals.on_policy(turn, before)
    for _, alert in sorted(turn.state.alerts.items()):
        if (
            alert.beat
            and alert.fingerprint.encode() in turn.state.alerts
            and now.absence(alert.beat) is None
        ):
            heartbeats.drop(turn, alert)
    for _, incident in sorted(turn.state.incidents.items()):
        availability.on_policy(turn, incident)
        grouping.on_policy(turn, incident, before)
    suppression.on_policy(turn)
    incident_timers.settle_all(turn)


def _without(one: Rulebook, other: Rulebook) -> frozenset[str]:
    """The names of the dependencies and inhibitions of a policy that the other has not, or not so."""
    shapes = {rule.shape for rule in other.links.values()}
    return frozenset(name for name, rule in one.links.items() if rule.shape not in shapes)
