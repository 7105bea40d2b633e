"""A new policy takes over: running incidents go on under it.

Rules that are gone, or mean something else now, begin anew; what they kept quiet is told where
nothing else keeps it so.

Other partitions have the change before or after this one. So what an actor knows of a rule that is
gone rests, and wakes when it comes back; and what was told to actors is taken back by who told it,
in its own order.
"""

from app.core import incident_timers
from app.core.alerts import expectations, grouping, heartbeats
from app.core.correlation import deferred_signals, near_policy, windows
from app.core.incidents import availability
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.turn import Turn
from app.core.suppression import inhibition, suppression


def adopt_policy(turn: Turn, before: CompiledPolicy) -> None:
    """Bring the state into line with the turn's rules, which follow those of before."""
    now = turn.rules
    left, come = _rules_missing_in(before, now), _rules_missing_in(now, before)
    inhibition_groups = left | come
    gone = frozenset(
        inhibition_groups | {name for name in before.correlations if name not in now.correlations}
    )
    suppression.drop_rules(turn, gone)
    for name in sorted(left):
        inhibition.park_rule(turn, before.inhibitions[name])
    for name in sorted(come):
        inhibition.unpark_rule(turn, now.inhibitions[name])
    inhibition.signal_new_rules(turn, come)
    inhibition.retract_signals(
        turn, before, left
    )  # after that: who belongs to an incident by both does not leave it between
    windows.retract_signals(turn, before)
    deferred_signals.on_policy(turn, before)
    near_policy.on_policy(turn, before)
    for _, alert in sorted(turn.state.alerts.items()):
        if (
            alert.heartbeat
            and alert.fingerprint.encode() in turn.state.alerts
            and now.heartbeat(alert.heartbeat) is None
        ):
            heartbeats.drop_heartbeat(turn, alert)
    expectations.on_policy(turn, before)
    for _, incident in sorted(turn.state.incidents.items()):
        availability.on_policy(turn, incident)
        grouping.on_policy(turn, incident, before)
    suppression.on_policy(turn)
    incident_timers.run_due_of_all(turn)


def _rules_missing_in(policy: CompiledPolicy, other: CompiledPolicy) -> frozenset[str]:
    """The names of the dependencies and inhibitions of a policy that the other has not, or not so."""
    shapes = {rule.rule_id for rule in other.inhibitions.values()}
    return frozenset(
        name for name, rule in policy.inhibitions.items() if rule.rule_id not in shapes
    )
