"""What partitions know of each other is so when nothing is under way.

Whatever policies each had, one after the other.
"""

from collections.abc import Iterator, Sequence

from app.core.engine import Engine
from app.core.rules.inhibition_rule import InhibitionRule
from app.core.state.live_alert import LiveAlert
from app.core.suppression.inhibition import labels_of
from models.alert import Labels
from tests.simulation.broken import Broken

Taking = tuple[
    str, str, str
]  # what takes part in a rule: as source or target, the rule and group, and who


def check_rules(engines: Sequence[Engine]) -> None:
    """Raise Broken unless actors know who takes part in their rules, and what they keep quiet is quiet."""
    if len({engine.policy.fingerprint for engine in engines}) > 1:
        return  # the change has not come to all
    _agree("taking part", _known(engines), _firing(engines))
    _agree("quiet", _explained(engines), _quiet(engines))
    _agree("members", _members(engines), _members(engines) & _alive(engines))


def _agree(what: str, found: set[Taking], expected: set[Taking]) -> None:
    if found != expected:
        raise Broken(
            f"{what}: too many are {sorted(found - expected)[:3]}, missing are {sorted(expected - found)[:3]}"
        )


def _alerts(engines: Sequence[Engine]) -> Iterator[tuple[Engine, LiveAlert]]:
    for engine in engines:
        for alert in engine.state.alerts.values():
            if alert.firing and alert.incident:
                yield engine, alert


def _known(engines: Sequence[Engine]) -> set[Taking]:
    """What the actors of dependencies and inhibitions know."""
    found: set[Taking] = set()
    for engine in engines:
        for (name, group), link in engine.state.inhibition_groups.items():
            found |= {("source", f"{name}/{group}", one) for one in link.sources}
            found |= {("target", f"{name}/{group}", one) for one in link.targets}
        found |= {("rests", shape, group) for shape, group in engine.state.parked}
    return found


def _firing(engines: Sequence[Engine]) -> set[Taking]:
    """What they should know: alerts, and incidents that a rule opened."""
    found: set[Taking] = set()
    for engine, alert in _alerts(engines):
        found |= _sides(engine, alert.labels, alert.fingerprint)
    for engine in engines:
        for incident in engine.state.incidents.values():
            if incident.rule and not incident.ended:
                found |= _sides(engine, labels_of(incident), incident.id)
    return found


def _sides(engine: Engine, labels: Labels, identity: str) -> set[Taking]:
    found: set[Taking] = set()
    for name, side in engine.policy.evaluate(labels).inhibitions:
        rule: InhibitionRule = engine.policy.inhibitions[name]
        sides = ("source", "target") if side == "both" else (side,)
        found |= {(one, f"{name}/{rule.group(labels)}", identity) for one in sides}
    return found


def _explained(engines: Sequence[Engine]) -> set[Taking]:
    """The alerts that a dependency or inhibition keeps quiet, as its actor sees it.

    But those that nothing keeps so.
    """
    always = {
        alert.fingerprint
        for engine, alert in _alerts(engines)
        if engine.policy.evaluate(alert.labels).always
    }
    return {
        ("quiet", f"{name}/{group}", identity)
        for engine in engines
        for (name, group), link in engine.state.inhibition_groups.items()
        for identity, target in link.targets.items()
        if target.root is not None and not identity.startswith("INC-") and identity not in always
    }


def _quiet(engines: Sequence[Engine]) -> set[Taking]:
    """The same, as the alerts see it."""
    return {
        ("quiet", key, alert.fingerprint)
        for engine, alert in _alerts(engines)
        for key in alert.suppressions or ()
        if key.partition("/")[0] in engine.policy.inhibitions
    }


def _members(engines: Sequence[Engine]) -> set[Taking]:
    """The members that fire, as the incidents see it that a rule opened."""
    return {
        ("member", member.record, identity)
        for engine in engines
        for incident in engine.state.incidents.values()
        for identity, member in incident.members.items()
        if incident.rule and member.own and member.firing
    }


def _alive(engines: Sequence[Engine]) -> set[Taking]:
    """The alerts that fire."""
    return {
        ("member", f"{engine.partition}-{one.fired_offset}", one.fingerprint)
        for engine, one in _alerts(engines)
    }
