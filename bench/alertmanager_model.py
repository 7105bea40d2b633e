"""How many messages an Alertmanager sends for a list of alerts: a model of its grouping, inhibition and repeats.

Stated from its documentation: an alert goes to the routes that the tree gives, and there to the
group of its `group_by` labels. A group is looked at `group_wait` after its first alert, and then
each `group_interval` while it has any. It sends, through each integration of the receiver on its
own, when an alert fires that did not before, when all are over, when one more is over (where
`send_resolved` says so), and when the last message is `repeat_interval` ago. What is over leaves
the group once it was looked at. Inhibited alerts are as if they were not there.
`tests/integration/test_alertmanager_model.py` compares it with a real one.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from app.policy.importer import routes
from app.policy.importer.reader import Configuration, InhibitRule, Route
from app.policy.importer.receivers import SERVICES
from bench.founding_day import Firing
from models.matcher import Matcher, Test, test_of


@dataclass(frozen=True, slots=True)
class Sent:
    """A message."""

    at_ms: int
    kind: str  # of the integration: slack, pagerduty, ...
    receiver: str
    firing: int  # alerts in it; 0 says that it is over
    first: (
        bool  # nothing fired at the message before: a pager begins anew, and does not repeat itself
    )
    named: frozenset[int] = frozenset()  # the numbers of the firings in it, also of those over


@dataclass(slots=True)
class _Integration:
    kind: str
    receiver: str
    tells_end: bool
    at_ms: int | None = None
    firing: frozenset[int] = frozenset()
    over: frozenset[int] = frozenset()


@dataclass(slots=True)
class _Group:
    route: Route
    alerts: list[int] = field(default_factory=list)


def messages(configuration: Configuration, firings: Sequence[Firing]) -> list[Sent]:
    """What is sent, in order of time."""
    sent: list[Sent] = []
    for group in _groups(configuration, firings):
        sent += _send(group, configuration, firings)
    return sorted(sent, key=lambda one: one.at_ms)


def _groups(configuration: Configuration, firings: Sequence[Firing]) -> list[_Group]:
    groups: dict[tuple[Route, tuple[str, ...]], _Group] = {}
    cases = routes.route_cases(configuration.route)
    tests = [(_test(case.matchers), case) for case in cases]
    for number, firing in enumerate(firings):
        case = next(case for test, case in tests if test(firing.labels))
        for route in case.routes:
            by = sorted(firing.labels) if "..." in route.group_by else route.group_by
            key = (route, tuple(firing.labels.get(name, "") for name in by))
            groups.setdefault(key, _Group(route)).alerts.append(number)
    return list(groups.values())


def _send(group: _Group, configuration: Configuration, firings: Sequence[Firing]) -> Iterator[Sent]:
    integrations = list(_integrations(group.route, configuration))
    waiting = sorted(group.alerts, key=lambda number: firings[number].starts_ms)
    held: list[int] = []
    while waiting or held:
        if not held:
            at_ms = firings[waiting[0]].starts_ms + group.route.times.group_wait
        while waiting and firings[waiting[0]].starts_ms <= at_ms:
            held.append(waiting.pop(0))
        loud = [
            number
            for number in held
            if not _inhibited(firings[number], at_ms, configuration, firings)
        ]
        firing = frozenset(number for number in loud if firings[number].ends_ms > at_ms)
        over = frozenset(loud) - firing
        for one in integrations:
            if _due(one, firing, over, at_ms, group.route.times.repeat_interval):
                first = not one.firing
                one.at_ms, one.firing, one.over = at_ms, firing, over
                if firing or one.tells_end:
                    named = firing | over if one.tells_end else firing
                    yield Sent(at_ms, one.kind, one.receiver, len(firing), first, named)
        held = [number for number in held if firings[number].ends_ms > at_ms]
        if not held and waiting:
            # The group is gone; it begins anew with its next alert, and its integrations know that
            # it was over.
            continue
        at_ms += group.route.times.group_interval


def _due(
    one: _Integration, firing: frozenset[int], over: frozenset[int], at_ms: int, repeat_ms: int
) -> bool:
    if one.at_ms is None:
        return bool(firing)
    if not firing <= one.firing:
        return True
    if not firing:
        return bool(one.firing)
    return (one.tells_end and not over <= one.over) or at_ms - one.at_ms >= repeat_ms


def _integrations(route: Route, configuration: Configuration) -> Iterator[_Integration]:
    for key, node in configuration.receivers[route.receiver].parts().items():
        kind = key.removesuffix("_configs")
        if kind in SERVICES and key != kind:
            for one in node.items():
                parts = one.parts()
                tells = (
                    parts["send_resolved"].is_true()
                    if "send_resolved" in parts
                    else SERVICES[kind].tells_end
                )
                yield _Integration(kind, route.receiver, tells)


def _inhibited(
    target: Firing, at_ms: int, configuration: Configuration, firings: Sequence[Firing]
) -> bool:
    return any(_by(rule, target, at_ms, firings) for rule in configuration.inhibitions)


def _by(rule: InhibitRule, target: Firing, at_ms: int, firings: Sequence[Firing]) -> bool:
    is_source, is_target = _test(rule.source), _test(rule.target)
    if not is_target(target.labels):
        return False
    both = is_source(target.labels)
    return any(
        source.starts_ms <= at_ms < source.ends_ms
        and all(source.labels.get(name, "") == target.labels.get(name, "") for name in rule.equal)
        and is_source(source.labels)
        and not (both and is_target(source.labels))
        for source in firings
    )


def count(sent: Sequence[Sent]) -> Counter[str]:
    """Messages by integration.

    Under `pages` those by pager that something fires, under `matters` those that begin anew.
    """
    found = Counter(one.kind for one in sent)
    found["pages"] = sum(SERVICES[one.kind].way == "pager" and one.firing > 0 for one in sent)
    found["matters"] = sum(
        SERVICES[one.kind].way == "pager" and one.firing > 0 and one.first for one in sent
    )
    return found


def _test(matchers: Sequence[Matcher]) -> Test:
    return test_of([matchers] if matchers else [])
