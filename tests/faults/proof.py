"""What has to hold after every fault.

1. Every alert and command that was acknowledged stands in the journal.
2. Every journal record up to there is applied, and what actors told each other stands in the journal, each in order.
3. The effects are, byte for byte, what a fresh engine says of the journal, each once, for a consumer that drops what is
   not past the last position it has seen of that partition; what it drops is the same bytes again, and is counted.
4. The state is what a fresh engine ends with.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from app.core.engine import Engine
from app.core.state.changelog import META
from app.files.policy_file import default_path, load_policy
from app.history.checkpoints import load_state
from app.history.policies import policy_in
from app.settings import Settings
from app.transport.log import Log, StoredRecord
from models.effect import Effect, Position, Stream, position_from
from models.journal import ALERTS_START, Source, alerts_in, source_from
from models.topics import Topics, partition_of
from tests.faults.load import Load
from tests.support.engines import read_all
from tests.support.scenario import keep

COMPACTED = (Stream.INCIDENTS, Stream.FOLLOWUPS, Stream.SILENCES, Stream.ALERTS)

# So that what time does to incidents is seen within a run.
_QUICKER = (
    ("close_after: 5m", "close_after: 3s"),
    ("retain_resolved: 1h", "retain_resolved: 20s"),
    ("{changes: 6, within: 1h, stable_after: 30m}", "{changes: 6, within: 15s, stable_after: 10s}"),
    ("P0: [2m, 5m, 10m]", "P0: [3s, 8s, 15s]"),
    ("P1: [15m, 30m, 1h]", "P1: [5s, 10s, 20s]"),
    ("group_wait: {P0: 0, P1: 0, P2: 30s, P3: 30s}", "group_wait: {P0: 0, P1: 0, P2: 2s, P3: 2s}"),
)


@dataclass(slots=True)
class Proof:
    """What was proven, in figures."""

    alerts: int = 0  # acknowledged, each found in the journal
    commands: int = 0  # acknowledged, each found in the journal
    records: int = 0  # of the journal, applied
    effects: int = 0  # that a consumer sees
    repeats: int = 0  # that the rule drops
    resent: int = 0  # journal records that a partition dropped, since it had them already
    incidents: int = 0
    moments: dict[int, list[int]] = field(
        default_factory=dict
    )  # partition -> when effects were sent, in ms, in order


def quick_policy(folder: Path) -> Path:
    """The policy that ships with Tocsin, with shorter times."""
    text = default_path().read_text()
    for usual, quick in _QUICKER:
        assert usual in text
        text = text.replace(usual, quick)
    file = folder / "policy.yaml"
    file.write_text(text)
    return file


async def prove(log: Log, config: Settings, load_: Load | None) -> Proof:
    """Assert all of the above."""
    policy, proof = load_policy(config.policy_file), Proof()
    topics = Topics(config.prefix)
    journals = [
        await read_all(log, topics.journal, partition) for partition in range(config.partitions)
    ]
    alerts, commands = set[int](), set[str]()
    for partition, journal in enumerate(journals):
        assert [record.offset for record in journal] == list(range(len(journal))), (
            f"partition {partition} has holes"
        )
        items = await load_state(log, topics.state, partition)
        applied = orjson.loads(items[META])["offset"]
        engine = Engine(partition, policy_in(journal) or policy)
        effects = engine.apply(journal[: applied + 1])
        expected: dict[bytes, bytes] = {}
        keep(expected, engine)
        assert expected == items, (
            f"the state of partition {partition} differs: {_difference(expected, items)}"
        )
        proof.incidents += engine.counts.get("incidents", 0)
        proof.resent += engine.counts.get("duplicates", 0)
        proof.records += applied + 1
        _note(journal[: applied + 1], alerts, commands)
        _assert_counted(journal[: applied + 1], engine.counts)
        rest = engine.apply(journal[applied + 1 :])
        _assert_told(partition, effects, rest, journals)
        await _compare(log, topics, partition, effects, rest, proof)
    if load_ is not None:
        missing = load_.alerts - alerts
        assert not missing, (
            f"{len(missing)} acknowledged alerts are lost, such as {sorted(missing)[:5]}"
        )
        assert load_.commands <= commands, (
            f"commands are lost: {sorted(load_.commands - commands)[:5]}"
        )
        proof.alerts, proof.commands = len(load_.alerts), len(load_.commands)
    return proof


async def unsettled(log: Log, config: Settings) -> int:
    """How many journal records, beside ticks, no checkpoint covers yet."""
    topics, number = Topics(config.prefix), 0
    for partition in range(config.partitions):
        offset = await _applied(log, topics.state, partition) + 1
        while records := await log.read(topics.journal, partition, offset):
            offset = records[-1].offset + 1
            number += sum(not (record.value or b"").startswith(b'{"tick":') for record in records)
    return number


async def _applied(log: Log, state: str, partition: int) -> int:
    """The offset of the newest checkpoint, -1 before the first."""
    end = start = await log.end_offset(state, partition)
    step = 100
    while start > 0:
        start = offset = max(end - step, 0)
        newest = -1
        while records := await log.read(state, partition, offset):
            offset = records[-1].offset + 1
            metas = [record.value for record in records if record.key == META and record.value]
            newest = orjson.loads(metas[-1])["offset"] if metas else newest
        if newest >= 0:
            return newest
        step *= 10
    return -1


def _note(journal: Sequence[StoredRecord], alerts: set[int], commands: set[str]) -> None:
    """Add what the records say of the load's numbers and marks."""
    for document in chain.from_iterable(map(_documents, journal)):
        if "alert" in document and "labels" in document:
            alerts.add(int(document["annotations"].get("number", -1)))
        elif "command" in document:
            commands.add(document.get("text", ""))


def _documents(record: StoredRecord) -> list[dict[str, Any]]:
    """What a record holds: each alert of a request, or one of anything else."""
    value = record.value or b"{}"
    values = alerts_in(value) if value.startswith(ALERTS_START) else [value]
    return [orjson.loads(value) for value in values]


def _assert_counted(journal: Sequence[StoredRecord], counts: dict[str, int]) -> None:
    """Each record is counted as what it is, and a second copy as a duplicate."""
    newest: dict[tuple[str, int], Source] = {}
    kinds: Counter[str] = Counter()
    for record in journal:
        source = source_from(tuple(record.headers)) if record.headers else None
        if source is not None:
            place = (source.topic, source.partition)
            if place in newest and source <= newest[place]:
                kinds["duplicates"] += 1
                continue
            newest[place] = source
        kinds.update(next(iter(document)) for document in _documents(record))
    for kind, name in (
        ("alert", "alerts"),
        ("tick", "ticks"),
        ("command", "commands"),
        ("duplicates", "duplicates"),
    ):
        assert counts.get(name, 0) == kinds[kind], (
            f"{kinds[kind]} {name} in the journal, counted: {counts}"
        )


def _assert_told(
    partition: int,
    due: Sequence[Effect],
    more: Sequence[Effect],
    journals: Sequence[Sequence[StoredRecord]],
) -> None:
    """What the partition's actors said stands in the journal, byte for byte, first copies in order, and nothing else."""
    said, allowed = (
        _messages(partition, due, len(journals)),
        _messages(partition, [*due, *more], len(journals)),
    )
    for target, journal in enumerate(journals):
        newest, found = Source("journal", partition, -1), dict[Source, bytes]()
        for record in journal:
            source = source_from(tuple(record.headers)) if record.headers else None
            if source is None or (source.topic, source.partition) != ("journal", partition):
                continue
            assert allowed[target].get(source) == record.value, (
                f"{source} in partition {target} was never said"
            )
            if source > newest:
                newest = source
                found[source] = record.value or b""
            else:
                assert source in found, f"{source} came out of order to partition {target}"
        lost = [source for source in said[target] if source not in found]
        assert not lost, f"{len(lost)} messages to partition {target} are lost, such as {lost[:3]}"


def _messages(
    partition: int, effects: Sequence[Effect], partitions: int
) -> list[dict[Source, bytes]]:
    said: list[dict[Source, bytes]] = [{} for _ in range(partitions)]
    for effect in effects:
        if effect.stream is Stream.JOURNAL:
            source = Source("journal", partition, effect.position.offset, effect.position.number)
            said[partition_of(effect.key or b"", partitions)][source] = effect.value
    return said


async def _compare(
    log: Log,
    topics: Topics,
    partition: int,
    effects: Sequence[Effect],
    rest: Sequence[Effect],
    proof: Proof,
) -> None:
    """The effects topics hold the effects, and perhaps the first of those that no checkpoint covers."""
    for stream in Stream:
        if stream is Stream.JOURNAL:
            continue
        due = [effect for effect in effects if effect.stream is stream]
        more = [effect for effect in rest if effect.stream is stream]
        expected = {effect.position: effect.kept_value for effect in (*due, *more)}
        sent = await read_all(log, getattr(topics, stream), partition)
        seen: list[Position] = []
        for record in sent:
            position = position_from(tuple(record.headers))
            assert position is not None
            assert expected.get(position) == record.value, (
                f"{stream} {partition}: {position} is not what it must be"
            )
            if seen and position <= seen[-1]:
                proof.repeats += 1
            else:
                seen.append(position)
        _assert_complete(f"{stream} {partition}", stream, seen, due, more)
        proof.effects += len(seen)
        proof.moments.setdefault(partition, []).extend(record.timestamp for record in sent)
    proof.moments[partition].sort()


def _assert_complete(
    where: str,
    stream: Stream,
    seen: Sequence[Position],
    due: Sequence[Effect],
    more: Sequence[Effect],
) -> None:
    """None is missing; of a compacted topic the older values of a key may be."""
    positions = [effect.position for effect in due]
    if list(seen[: len(due)]) == positions:
        tail = [effect.position for effect in more]
        assert list(seen[len(due) :]) == tail[: len(seen) - len(due)], (
            f"{where}: a hole in what no checkpoint covers"
        )
        return
    missing = set(positions) - set(seen)
    if stream in COMPACTED:
        newest = {effect.key: effect.position for effect in due}
        missing &= set(newest.values())
    assert not missing, f"{where}: {len(missing)} effects are lost, such as {sorted(missing)[:3]}"
    assert list(seen) == sorted(seen)


def _difference(expected: dict[bytes, bytes], found: dict[bytes, bytes]) -> str:
    keys = [key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)]
    return f"{len(keys)} keys, such as " + "; ".join(
        f"{key!r}: must be {expected.get(key)!r:.300}, is {found.get(key)!r:.300}"
        for key in sorted(keys)[:3]
    )
