"""What may keep itself quiet by way of others, found by trying everything that journals can have."""

from collections.abc import Mapping
from functools import cache
from itertools import product
from typing import Any

import orjson

from tests.oracle.inhibition import sides_of
from tests.oracle.policy import matches

Labels = Mapping[str, str]


def in_cycle(policy: Mapping[str, Any], labels: Labels) -> bool:
    """Whether something with these labels can keep something quiet that, in the end, keeps it quiet."""
    parts = [policy["dependencies"], policy["inhibit_rules"], policy["correlations"]]
    return _in_cycle(orjson.dumps(parts), orjson.dumps(labels, option=orjson.OPT_SORT_KEYS))


@cache
def _in_cycle(parts: bytes, labels: bytes) -> bool:
    mine = orjson.loads(labels)
    hidden, more = list[Labels](), _hides(parts, labels)
    while more:
        hidden += more
        more = [
            target
            for target in _things(parts)
            if target not in hidden
            and any(target in _hides(parts, _key(cause)) for cause in hidden)
        ]
    by_me = _rules(parts, mine)[1]
    return any(
        by_me & _rules(parts, thing)[0] and not _alike(parts, thing, mine) for thing in hidden
    )


def _key(labels: Labels) -> bytes:
    return orjson.dumps(labels, option=orjson.OPT_SORT_KEYS)


@cache
def _hides(parts: bytes, labels: bytes) -> list[Labels]:
    """Everything that something with these labels can keep quiet."""
    causes = _rules(parts, orjson.loads(labels))[0]
    return [
        thing
        for thing in _things(parts)
        if causes & _rules(parts, thing)[1] and not _alike(parts, orjson.loads(labels), thing)
    ]


def _alike(parts: bytes, one: Labels, other: Labels) -> bool:
    """Whether all that one could do to the other is by rules of which both are both sides."""
    (causes, targets), (causes_of_other, targets_of_other) = (
        _rules(parts, one),
        _rules(parts, other),
    )
    return causes & targets_of_other <= targets & causes_of_other


@cache
def _things(parts: bytes) -> tuple[Labels, ...]:
    """Alerts of every kind, and incidents of every rule that opens some."""
    from tests.oracle.journals import COMPONENTS, NAMES, SEVERITIES  # noqa: PLC0415  # it imports us

    alerts = [
        {"alertname": name, "component": component, "severity": severity}
        for name, component, severity in product(NAMES, COMPONENTS, SEVERITIES)
    ]
    opened = [
        {"alertname": rule["name"], "rule": rule["name"]}
        for rule in orjson.loads(parts)[2]
        if "open" in rule
    ]
    return (*alerts, *opened)


def _rules(parts: bytes, labels: Labels) -> tuple[frozenset[str], frozenset[str]]:
    return _rules_of(parts, _key(labels))


@cache
def _rules_of(parts: bytes, labels: bytes) -> tuple[frozenset[str], frozenset[str]]:
    """The rules in which it is a cause, and those in which something else may be the cause of it."""
    dependencies, inhibitions, correlations = orjson.loads(parts)
    thing = orjson.loads(labels)
    found = list(sides_of({"dependencies": dependencies, "inhibit_rules": inhibitions}, thing))
    causes = {name for name, _, side in found if side != "target"}
    targets = {name for name, _, side in found if side != "source"}
    for rule in correlations:
        if "open" not in rule:
            continue
        if thing.get("rule") == rule["name"]:
            causes.add(rule["name"])
        elif "rule" not in thing:
            steps = rule.get("sequence", [rule.get("match", [])])
            targets |= {rule["name"]} if any(matches(step, thing) for step in steps) else set()
    return frozenset(causes), frozenset(targets)
