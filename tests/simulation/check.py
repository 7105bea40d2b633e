"""What must be true after every run, whatever broke."""

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import orjson

from app.core.engine import Engine
from app.core.state.changelog import META, is_whole
from app.core.state.poison import Poison
from app.history.checkpoints import load_state, whole_checkpoint
from app.history.policies import policy_in
from app.transport.log import StoredRecord
from models.effect import Effect, Position, Stream, position_from
from models.journal import ALERTS_START, TICK, Source, alerts_in, source_from
from models.topics import partition_of
from tests.simulation.agreeing import check_rules
from tests.simulation.broken import Broken
from tests.simulation.plan import Plan
from tests.simulation.run import POLICY, TOPICS, Outcome, faulty
from tests.simulation.world import Cluster, Process, SimulatedLog, VirtualLoop
from tests.support.scenario import keep

T = TypeVar("T")


def check(plan: Plan, outcome: Outcome) -> None:
    """Raise Broken unless every promise holds."""
    cluster, partitions = outcome.cluster, plan.world.partitions
    cluster.storm = 0.0
    messages: dict[int, list[tuple[int, Effect]]] = {
        partition: [] for partition in range(partitions)
    }
    engines: list[Engine] = []
    with faulty(poison=plan.world.poison):
        for partition in range(partitions):
            journal = _applied(cluster, partition)
            engine, effects = undisturbed(partition, journal)
            engines.append(engine)
            _check_effects(
                cluster, partition, effects, once=not (outcome.zombies or cluster.late_landings)
            )
            random = cluster.random  # a pass of the cleaner may be under way, or have been over all
            cluster.compact(
                TOPICS.state,
                partition,
                random.choice((0.0, 0.5, 0.9, 1.0)),
                random.choice((0.3, 0.8)),
            )
            if (
                journal and partition == plan.seed % partitions
            ):  # of all of them it would take too long
                before = (None, len(journal) // 2)[plan.seed // partitions % 2]
                _check_a_checkpoint(cluster, partition, journal, before)
            _check_state(cluster, partition, engine)
            _check_accounts(engine, journal)
            if engine.policy.fingerprint != outcome.policy.fingerprint:
                raise Broken(
                    f"partition {partition} decides by {engine.policy.fingerprint}, not {outcome.policy.fingerprint}"
                )
            for effect in effects:
                if effect.stream is Stream.JOURNAL:
                    messages[partition_of(effect.key or b"", partitions)].append(
                        (partition, effect)
                    )
    _check_messages(cluster, messages)
    if not plan.world.poison:  # which may be the death of a message
        check_rules(engines)
    _check_input(outcome, partitions)


def _applied(cluster: Cluster, partition: int) -> list[StoredRecord]:
    """The journal without ticks that came when the last worker had gone.

    No other record may be left over.
    """
    journal = list(cluster.kept[TOPICS.journal, partition])
    metas = [record.value for record in cluster.kept[TOPICS.state, partition] if record.key == META]
    offset = orjson.loads(metas[-1] or b"{}")["offset"] if metas else -1
    while journal and journal[-1].offset > offset and journal[-1].value == TICK:
        journal.pop()
    return journal


def undisturbed(
    partition: int, journal: Sequence[StoredRecord], end: int | None = None
) -> tuple[Engine, list[Effect]]:
    """What an engine says of the journal, or of its records before `end`, that is fed them all at once."""
    poisons: list[Poison] = []
    policy, records = policy_in(journal) or POLICY, journal[:end]
    while True:
        engine = Engine(partition, policy)
        engine.skip(poisons)
        try:
            return engine, engine.apply(records)
        except Poison as poison:
            poisons.append(poison)


def _check_effects(
    cluster: Cluster, partition: int, effects: Sequence[Effect], *, once: bool
) -> None:
    """Each topic holds the effects in order.

    Each once, or once for consumers that drop what is not past the last.
    """
    for stream in Stream:
        if stream is Stream.JOURNAL:
            continue
        expected = [
            (effect.position, effect.key, effect.kept_value)
            for effect in effects
            if effect.stream is stream
        ]
        sent = cluster.kept[getattr(TOPICS, stream), partition]
        found = [(position_from(record.headers), record.key, record.value) for record in sent]
        if not once:
            found = _past_the_last(found)
        if found != expected:
            raise Broken(f"{stream} {partition}: {_difference(found, expected)}")


def _past_the_last(
    found: Sequence[tuple[Position | None, bytes | None, bytes | None]],
) -> list[tuple[Position | None, bytes | None, bytes | None]]:
    """The rule for consumers."""
    taken: list[tuple[Position | None, bytes | None, bytes | None]] = []
    for one in found:
        if not taken or (one[0] is not None and taken[-1][0] is not None and one[0] > taken[-1][0]):
            taken.append(one)
    return taken


def _check_a_checkpoint(
    cluster: Cluster, partition: int, journal: Sequence[StoredRecord], before: int | None
) -> None:
    """What counts as a whole checkpoint before an offset (or as the oldest) is all that an engine knew then."""
    found = _of_log(cluster, lambda log: whole_checkpoint(log, TOPICS.state, partition, 0, before))
    if found is not None:
        offset, expected = orjson.loads(found[META])["offset"], dict[bytes, bytes]()
        keep(expected, undisturbed(partition, journal, offset + 1)[0])
        _compare(f"the checkpoint of {partition} at {offset}", found, expected)


def _check_state(cluster: Cluster, partition: int, engine: Engine) -> None:
    """The changelog, compacted or not, has the very bytes that the undisturbed engine would write."""
    expected: dict[bytes, bytes] = {}
    keep(expected, engine)
    for _ in range(2):
        found = _of_log(cluster, lambda log: load_state(log, TOPICS.state, partition))
        _compare(f"state {partition}", found, expected)
        if found and not is_whole(found):
            raise Broken(f"state {partition} has {len(found)} keys, and says {found[META]!r}")
        cluster.compact(TOPICS.state, partition)


def _of_log(cluster: Cluster, ask: Callable[[SimulatedLog], Coroutine[Any, Any, T]]) -> T:
    """What comes of asking a log that nothing disturbs any more."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(ask(SimulatedLog(cluster, Process("reader"))))
    finally:
        loop.close()


def _compare(what: str, found: dict[bytes, bytes], expected: dict[bytes, bytes]) -> None:
    if found != expected:
        differing = sorted(
            key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)
        )
        raise Broken(f"{what} differs in {differing[:5]}")


def _check_accounts(engine: Engine, journal: Sequence[StoredRecord]) -> None:
    """Each record was counted as what it is, or left a dead letter."""
    counts = engine.counts
    if engine.applied_offset != (journal[-1].offset if journal else -1):
        raise Broken(f"{engine.applied_offset} applied of {len(journal)}")
    kinds = (
        "alerts",
        "ticks",
        "signals",
        "holds",
        "members",
        "pages",
        "commands",
        "receipts",
        "silences",
        "policies",
    )
    accounted = sum(counts.get(name, 0) for name in (*kinds, "duplicates", "deadletters"))
    if accounted < sum(1 for record in journal if not record.headers):
        raise Broken(f"{accounted} accounted for of {len(journal)}: {counts}")
    again = len(_sources(journal)) - sum(len(seen) for seen in _first_copies(journal).values())
    silences = [
        record.value for record in journal if (record.value or b"").startswith(b'{"silence"')
    ]
    most = (
        again + len(silences) - len(set(silences))
    )  # a silence that was sent twice is dropped while it is known
    if not again <= counts.get("duplicates", 0) <= most:
        raise Broken(
            f"{counts.get('duplicates', 0)} records were dropped as duplicates, of {again} to {most}"
        )


def _sources(journal: Sequence[StoredRecord]) -> list[tuple[Source, bytes | None]]:
    """The positions of what a partition's records were copied from, with their values."""
    found = [(source_from(record.headers), record.value) for record in journal if record.headers]
    return [(source, value) for source, value in found if source is not None]


def _first_copies(
    journal: Sequence[StoredRecord],
) -> dict[tuple[str, int], list[tuple[Position, bytes | None]]]:
    """By topic and partition, what was copied from there and is past the last that was."""
    first: dict[tuple[str, int], list[tuple[Position, bytes | None]]] = {}
    for source, value in _sources(journal):
        position, seen = (
            Position(source.offset, source.number),
            first.setdefault((source.topic, source.partition), []),
        )
        if not seen or position > seen[-1][0]:
            seen.append((position, value))
    return first


def _check_messages(cluster: Cluster, messages: dict[int, list[tuple[int, Effect]]]) -> None:
    """Each actor's message is in the journal, in order.

    What is there again is what the engine drops.
    """
    for target, expected in messages.items():
        copies = _first_copies(cluster.kept[TOPICS.journal, target])
        found = {
            partition: seen for (topic, partition), seen in copies.items() if topic == "journal"
        }
        wanted: dict[int, list[tuple[Position, bytes | None]]] = {}
        for partition, effect in expected:
            wanted.setdefault(partition, []).append((effect.position, effect.value))
        if found != wanted:
            raise Broken(
                f"messages to {target}: {_difference(list(found.items()), list(wanted.items()))}"
            )


def _check_input(outcome: Outcome, partitions: int) -> None:
    """What was acknowledged is in its partition.

    Of each raw record all alerts are, past the last once.
    """
    journals = [outcome.cluster.kept[TOPICS.journal, partition] for partition in range(partitions)]
    values = [{record.value for record in journal} for journal in journals]
    lost = [value for target, value in outcome.sent if value not in values[target]]
    if lost:
        raise Broken(f"acknowledged and lost: {lost[:3]}")
    copied: Counter[int] = Counter()
    for journal in journals:
        for place, value in _first_copies(journal).get(("raw", 0), []):
            copied[place.offset] += _number_of_parts(value or b"")
    expected = Counter(dict(enumerate(outcome.raw)))
    if copied != expected:
        differ = _difference(sorted(copied.items()), sorted(expected.items()))
        raise Broken(f"raw records: {differ}")


def _number_of_parts(value: bytes) -> int:
    """How many alerts a record has, or 1 of what was refused."""
    return len(alerts_in(value)) if value.startswith(ALERTS_START) else 1


def _difference(found: Sequence[object], expected: Sequence[object]) -> str:
    same = next(
        (n for n, (one, other) in enumerate(zip(found, expected, strict=False)) if one != other),
        None,
    )
    at = min(len(found), len(expected)) if same is None else same
    return f"{len(found)} for {len(expected)}; from {at} on {list(found[at : at + 2])} for {list(expected[at : at + 2])}"
