"""A policy change reaches the partitions one after the other: no signal is lost meanwhile, whatever comes first.

Engines stand for partitions. What they send each other stays in order between two of them, and is
otherwise as late as it likes; each takes up the new policy when it likes. In the end all is as if
everybody had taken it up at one moment.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.files.policy_file import load_policy
from app.transport.log import StoredRecord
from models.effect import Stream
from models.journal import TICK, Source, encode_policy
from models.topics import partition_of
from tests.support.example_counts import examples
from tests.support.scenario import START_MS, alert_record, keep

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
PARTITIONS = 3
OPENING = {"severity": "P1", "owner": "ai", "title": "{count} of {group}"}

Choice = Callable[[int], int]  # one of so many
Labels = dict[str, str]
Ending = dict[str, Any]


def correlation(name: str, **rule: Any) -> dict[str, Any]:
    """A rule across components about alerts whose names begin with its own."""
    found = {"name": name.lower(), "within": "1h", "hold": "5m", "by": [], "open": OPENING} | rule
    return (
        found if "sequence" in found else {"match": [f'alertname=~"{name}.*"'], "count": 2} | found
    )


def dependency(name: str, **rule: Any) -> dict[str, Any]:
    """A root and its dependants, known by their names."""
    root, dependants = [f'alertname="{name}Root"'], [f'alertname=~"{name}Leaf.*"']
    return {
        "name": name.lower(),
        "root": root,
        "dependants": dependants,
        "within": "1h",
        "hold": "1m",
        "grace": "1m",
    } | rule


def inhibition(name: str, **rule: Any) -> dict[str, Any]:
    """The same, as Alertmanager has it."""
    sides = {
        "source_matchers": [f'alertname="{name}Root"'],
        "target_matchers": [f'alertname=~"{name}Leaf.*"'],
    }
    return {"name": name.lower()} | sides | rule


def policy(
    correlations: Sequence[Any], dependencies: Sequence[Any], inhibit_rules: Sequence[Any]
) -> CompiledPolicy:
    """The shipped policy with these rules and no others that look across components."""
    rules = {
        "correlations": correlations,
        "dependencies": dependencies,
        "inhibit_rules": inhibit_rules,
    }
    return CompiledPolicy(load_policy().document | rules)


# What a policy change can do to a rule. The rules of the new policy come in with the names that say
# what they were.
BEFORE = policy(
    [
        correlation("Same", count=3),
        correlation("Gone"),
        correlation("Fewer", count=3, by=["zone"]),
        correlation("More", count=2, within="1m"),
        correlation("By", by=["zone"]),
        correlation("Steps", sequence=[['alertname="StepsA"'], ['alertname="StepsB"']]),
        correlation("Becomes"),
    ],
    [
        dependency("DepSame"),
        dependency("DepGone"),
        dependency("DepBy", by=["zone"]),
        dependency("DepGrace"),
    ],
    [inhibition("InhSame"), inhibition("InhGone"), inhibition("InhSides", equal=["zone"])],
)
AFTER = policy(
    [
        correlation("Same", count=3),
        correlation("New", count=3),
        correlation("Fewer", by=["zone"]),
        correlation("More", count=3),
        correlation("By", by=["rack"]),
        correlation(
            "Steps",
            sequence=[['alertname="StepsNew"'], ['alertname="StepsA"'], ['alertname="StepsB"']],
        ),
        correlation("Turned"),
    ],
    [
        dependency("DepSame"),
        dependency("DepNew"),
        dependency("DepBy", by=["rack"]),
        dependency("DepGrace", grace="2m"),
        dependency("Becomes"),
    ],
    [
        inhibition("InhSame"),
        inhibition("InhNew"),
        inhibition(
            "InhSides",
            source_matchers=['alertname="InhSidesLeaf1"'],
            target_matchers=['alertname=~"InhSides.*"'],
        ),
    ],
)
LINKS = (
    "DepSame",
    "DepGone",
    "DepNew",
    "DepBy",
    "DepGrace",
    "Becomes",
    "InhSame",
    "InhGone",
    "InhNew",
    "InhSides",
)


def alert(name: str, number: int) -> Labels:
    """The labels of an alert; the number chooses its component, and so its partition."""
    return {
        "alertname": name,
        "component": f"c{number}",
        "zone": f"z{number % 2}",
        "rack": "r",
        "severity": "warning",
    }


def of_links(number: int) -> list[Labels]:
    """A root and two dependants of every link rule, of either policy."""
    names = [f"{name}{side}" for name in LINKS for side in ("Root", "Leaf1", "Leaf2")]
    return [alert(name, number + place) for place, name in enumerate(names)]


# Fired before its partition takes up the new policy, and after. Alerts of one component keep their
# order.
EARLIER = [
    *of_links(0),
    *(alert(f"Gone{number}", number) for number in range(3)),
    *(alert(f"By{number}", 2 * number) for number in range(3)),
    *(alert(f"{name}0", 4) for name in ("Same", "Fewer", "More")),
    alert("StepsA", 7),
]
LATER = [
    *of_links(5),
    *(alert(f"New{number}", number) for number in range(3)),
    *(alert(f"Same{number}", number) for number in (1, 2)),
    *(alert(f"Fewer{number}", 2 * number) for number in (1, 2)),
    *(alert(f"More{number}", number) for number in (1, 2)),
    *(alert(f"By{number}", number) for number in (7, 8, 9)),
    *(alert(f"Turned{number}", number) for number in (1, 2)),
    alert("StepsNew", 3),
    alert("StepsA", 3),
    alert("StepsB", 3),
]


@dataclass
class Partitions:
    """Engines, and the messages that are under way between any two of them."""

    restarts: bool = (
        False  # each engine is thrown away after each record, and restored from its changelog
    )
    count: int = PARTITIONS
    now_ms: int = START_MS
    engines: list[Engine] = field(default_factory=list)
    ways: dict[tuple[int, int], deque[StoredRecord]] = field(default_factory=dict)
    journals: list[list[StoredRecord]] = field(default_factory=list)
    letters: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engines = [Engine(number, BEFORE) for number in range(self.count)]
        self.journals = [[] for _ in range(self.count)]
        self._kept: list[dict[bytes, bytes]] = [{} for _ in range(self.count)]

    def apply(self, partition: int, record: StoredRecord) -> None:
        """Append a record to a partition, and let it take effect."""
        record.offset, record.timestamp = len(self.journals[partition]), self.now_ms
        self.journals[partition].append(record)
        effects = self.engines[partition].apply([record])
        if self.restarts:
            keep(self._kept[partition], self.engines[partition])
            self.engines[partition] = Engine.restore(partition, BEFORE, self._kept[partition])
        for effect in effects:
            if effect.stream is Stream.JOURNAL:
                source = Source(
                    "journal", partition, effect.position.offset, effect.position.number
                )
                target = partition_of(effect.key or b"", self.count)
                message = StoredRecord(-1, 0, effect.key, effect.value, (source.header(),))
                self.ways.setdefault((partition, target), deque()).append(message)
            elif effect.stream is Stream.DEADLETTER:
                self.letters.append(orjson.loads(effect.value))

    def under_way(self) -> list[tuple[int, int]]:
        """Between whom messages are under way."""
        return [way for way, messages in self.ways.items() if messages]

    def deliver(self, way: tuple[int, int]) -> None:
        """Let the first message between the two arrive."""
        self.apply(way[1], self.ways[way].popleft())

    def settle(self) -> None:
        """Let everything arrive."""
        while ways := self.under_way():
            self.deliver(ways[0])

    def fire(self, labels: Labels, *, firing: bool = True) -> None:
        """An alert begins or ends to fire."""
        component = labels["component"]
        record = alert_record(self.now_ms, labels, component, firing=firing, ttl_ms=7 * DAY_MS)
        self.apply(partition_of(component.encode(), self.count), record)

    def adopt(self, partition: int, rules: CompiledPolicy) -> None:
        """A partition takes up a policy."""
        self.apply(
            partition, StoredRecord(-1, 0, None, encode_policy(rules.fingerprint, rules.document))
        )

    def wait(self, duration_ms: int) -> None:
        """Let time pass everywhere, and what comes of it arrive."""
        self.now_ms += duration_ms
        for partition in range(self.count):
            self.apply(partition, StoredRecord(-1, 0, None, TICK))
        self.settle()

    def ending(self) -> Ending:
        """What is left.

        Incidents of rules with the members that fire, what is quiet because of which rule, links.
        """
        states = [engine.state for engine in self.engines]
        incidents = [one for state in states for one in state.incidents.values() if not one.ended]
        alerts = [one for state in states for one in state.alerts.values() if one.firing]
        return {
            "correlated": {
                one.component: sorted(
                    key for key, member in one.members.items() if member.firing and member.own
                )
                for one in incidents
                if one.rule
            },
            "incidents": sorted((one.component, one.suppressed) for one in incidents),
            "dependants": sorted(
                member.name
                for one in incidents
                if not one.rule
                for member in one.members.values()
                if member.firing
            ),
            "quiet": {
                f"{one.name} {one.component}": sorted(one.suppressions or ()) for one in alerts
            },
            "inhibition_groups": {
                key: (sorted(link.sources), sorted(link.targets))
                for state in states
                for key, link in state.inhibition_groups.items()
            },
            "left": [(len(state.parked), len(state.deferred_signals)) for state in states],
        }


def at_once(earlier: Sequence[Labels], later: Sequence[Labels], ended: Sequence[Labels]) -> Ending:
    """What is left when the change comes to all at one moment, when nothing is under way."""
    all_of_them = Partitions()
    for labels in earlier:
        all_of_them.fire(labels)
    all_of_them.settle()
    for partition in range(PARTITIONS):
        all_of_them.adopt(partition, AFTER)
    all_of_them.settle()
    for labels in later:
        all_of_them.fire(labels)
        all_of_them.settle()
    for labels in ended:
        all_of_them.fire(labels, firing=False)
    all_of_them.settle()
    return _in_the_end(all_of_them)


def _in_the_end(partitions: Partitions) -> Ending:
    for _ in range(3):
        partitions.wait(HOUR_MS)
    partitions.wait(DAY_MS)  # what fits no policy is forgotten
    assert partitions.letters == []
    return partitions.ending()


def _home(labels: Labels) -> int:
    return partition_of(labels["component"].encode(), PARTITIONS)


Doing = Callable[[Partitions], None]


def _steps(
    partition: int,
    back: int,
    earlier: Sequence[Labels],
    later: Sequence[Labels],
    ended: Sequence[Labels],
) -> Iterator[Doing]:
    """What happens in one partition, in this order.

    Its owner may go back to the policy of before for a while.
    """

    def firing(labels: Labels, *, on: bool) -> Doing:
        return lambda all_of_them: all_of_them.fire(labels, firing=on)

    def adopting(rules: CompiledPolicy) -> Doing:
        return lambda all_of_them: all_of_them.adopt(partition, rules)

    yield from (firing(one, on=True) for one in earlier if _home(one) == partition)
    yield adopting(AFTER)
    for _ in range(back):
        yield adopting(BEFORE)
        yield adopting(AFTER)
    yield from (firing(one, on=True) for one in later if _home(one) == partition)
    yield from (firing(one, on=False) for one in ended if _home(one) == partition)


def interleaved(
    choose: Choice,
    earlier: Sequence[Labels],
    later: Sequence[Labels],
    ended: Sequence[Labels],
    back: Mapping[int, int],
    *,
    restarts: bool,
) -> Ending:
    """What is left when everybody takes up the change at some time, and messages take some time."""
    all_of_them = Partitions(restarts=restarts)
    todo = {
        one: deque(_steps(one, back.get(one, 0), earlier, later, ended))
        for one in range(PARTITIONS)
    }
    while True:
        ways = all_of_them.under_way()
        doing = [one for one, steps in todo.items() if steps]
        if not ways and not doing:
            return _in_the_end(all_of_them)
        number = choose(len(ways) + len(doing))
        if number < len(ways):
            all_of_them.deliver(ways[number])
        else:
            todo[doing[number - len(ways)]].popleft()(all_of_them)


FAMILIES = (*LINKS, "Same", "New", "Fewer", "More", "By", "Gone", "Turned", "Steps")


@settings(max_examples=examples(12))
@given(st.integers(0, 2**32), st.booleans(), st.booleans())
def test_the_order_of_a_policy_change_changes_nothing(
    seed: int, restarts: bool, goes_back: bool
) -> None:
    """Whoever takes up the new policy first, and whatever arrives when: the same incidents, members and quiet alerts.

    Also when a partition's owner goes back to the policy of before for a while, as in a rebalance
    between two of them.
    """
    random = Random(seed)
    families = tuple(random.sample(FAMILIES, 4))
    some = [
        [one for one in alerts if one["alertname"].startswith(families)]
        for alerts in (EARLIER, LATER)
    ]
    # Of what a link rule is about any part will do, and any part of it may end; correlations count.
    earlier, later = (
        [one for one in alerts if not one["alertname"].startswith(LINKS) or random.random() < 0.7]
        for alerts in some
    )
    ended = [
        one
        for one in (*earlier, *later)
        if one["alertname"].startswith(LINKS) and random.random() < 0.2
    ]
    back = (
        {partition: random.choice((0, 0, 1, 2)) for partition in range(PARTITIONS)}
        if goes_back
        else {}
    )

    found = interleaved(random.randrange, earlier, later, ended, back, restarts=restarts)

    assert found == at_once(earlier, later, ended)


def test_an_actor_that_has_the_rule_no_more_lets_go() -> None:
    """Its owner went back to the policy of before for a moment, in which the root ended.

    Nothing stays quiet because of it.
    """
    actor = partition_of(b"rule/depnew/[]", PARTITIONS)
    number = next(
        one for one in range(50) if actor not in (_home(alert("", one)), _home(alert("", one + 1)))
    )
    root, leaf = alert("DepNewRoot", number), alert("DepNewLeaf1", number + 1)
    all_of_them = Partitions()
    for partition in range(PARTITIONS):
        all_of_them.adopt(partition, AFTER)
    all_of_them.fire(root)
    all_of_them.fire(leaf)
    all_of_them.settle()
    before = all_of_them.ending()["quiet"]
    all_of_them.adopt(actor, BEFORE)
    all_of_them.settle()
    between = all_of_them.ending()["quiet"]
    all_of_them.fire(root, firing=False)
    all_of_them.settle()
    all_of_them.adopt(actor, AFTER)
    all_of_them.settle()

    name = f"DepNewLeaf1 c{number + 1}"
    assert (before[name], between[name]) == (["depnew/[]"], [])
    assert all_of_them.ending()["quiet"][name] == []
