"""The embedded journal drops what is not needed any more, in small steps, and nothing else."""

import asyncio
import sqlite3
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import Clock
from app.transport import compaction
from app.transport.compaction import Compaction
from app.transport.log import NewRecord, StoredRecord
from app.transport.sqlite import SqliteLog
from app.transport.sqlite_batches import INSERT, SCHEMA, BatchRow, batch_rows
from models.topics import TopicSpec

TOPIC = "t.state"
HOUR_MS = 3_600_000
Items = dict[bytes | None, bytes | None]

KEYS = st.sampled_from([b"a", b"b", b"c", b"d", None])
BATCH = st.lists(
    st.tuples(KEYS, st.one_of(st.none(), st.binary(max_size=30))), min_size=1, max_size=6
)
# What happens: a batch is appended, compaction makes steps, a reader reads on, the process starts
# again.
EVENT = st.one_of(BATCH, st.integers(1, 5), st.sampled_from(["read", "restart", "begin"]))


class Partition:
    """A partition under compaction, readers of it, and what it must hold."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:")
        self.connection.execute(SCHEMA)
        self.compaction = Compaction(self.connection)
        self.end = 0
        self.wanted: Items = {}
        self.readers: list[tuple[int, Items]] = []

    def append(self, batch: list[tuple[bytes | None, bytes | None]]) -> None:
        """Append records."""
        written = batch_rows(
            TOPIC, 0, self.end, 1, [NewRecord(key, value) for key, value in batch], 10_000
        )
        self.connection.executemany(INSERT, written)
        self.connection.commit()
        self.end += len(batch)
        apply(self.wanted, batch)
        self.compaction.appended(written)

    def step(self, times: int) -> None:
        """Compact a little."""
        for _ in range(times):
            self.compaction.step()

    def rows(self, offset: int) -> list[BatchRow]:
        """The rows that have the offset and what comes after it."""
        query = "SELECT topic, partition, last, count, at_ms, records, crc, first FROM batches WHERE last >= ? ORDER BY last"
        return [BatchRow(*row) for row in self.connection.execute(query, (offset,))]

    def read_on(self) -> None:
        """Each reader reads a row more."""
        for number, (offset, items) in enumerate(self.readers):
            for row in self.rows(offset)[:1]:
                apply(items, [(one.key, one.value) for one in row.unpack() if one.offset >= offset])
                self.readers[number] = (row.last + 1, items)

    def finish(self) -> None:
        """Everybody gets to the end."""
        self.compaction.step(1_000_000)
        while any(offset < self.end for offset, _ in self.readers):
            self.read_on()


def apply(items: Items, batch: list[tuple[bytes | None, bytes | None]]) -> None:
    """Keep the newest value of each key."""
    for key, value in batch:
        items.pop(key, None)
        if value is not None:
            items[key] = value


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes begin with a few records, and their steps see a few rows."""
    monkeypatch.setattr(compaction, "LEAST_BYTES", 100)
    monkeypatch.setattr(compaction, "STEP_BYTES", 120)


@given(st.lists(EVENT, max_size=60))
def test_the_newest_values_are_kept_whoever_reads_when(
    events: list[list[tuple[bytes | None, bytes | None]] | int | str],
) -> None:
    """However appends, steps, readers and restarts alternate.

    The same items for all, no hole, and offsets that only grow.
    """
    partition = Partition()
    for event in events:
        match event:
            case int():
                partition.step(event)
            case "read":
                partition.read_on()
            case "begin":
                partition.readers.append((0, {}))
            case "restart":
                partition.compaction = Compaction(partition.connection)
            case list():
                partition.append(event)
        covered = partition.rows(0)
        assert all(one.last + 1 == other.begins for one, other in pairwise(covered))
        assert not covered or covered[-1].last == partition.end - 1
        offsets = [record.offset for row in covered for record in row.unpack()]
        assert offsets == sorted(set(offsets))
        fresh: Items = {}
        apply(fresh, [(one.key, one.value) for row in covered for one in row.unpack()])
        assert fresh == partition.wanted
    partition.finish()

    # A reader that began before a tombstone went, and goes on only after it went, is two passes
    # late: it alone may differ.
    late = [items for offset, items in partition.readers if items != partition.wanted]
    assert all(items.keys() >= partition.wanted.keys() for items in late)


def test_a_partition_is_at_most_three_times_what_is_in_force(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred keys, each written a hundred times, faster than the least that a step does."""
    monkeypatch.setattr(compaction, "LEAST_BYTES", 2_000)
    partition, largest = Partition(), 0
    for number in range(2_000):
        partition.append([(b"%d" % ((number * 5 + one) % 100), b"x" * 50) for one in range(5)])
        partition.step(1)
        largest = max(largest, sum(len(row.records) for row in partition.rows(0)))
    partition.finish()
    in_force = 100 * (12 + 2 + 50)

    assert len(partition.wanted) == 100
    assert largest < 3 * in_force
    assert sum(row.held for row in partition.rows(0)) <= 2 * 100


def test_a_tombstone_goes_when_it_was_seen_by_two_passes() -> None:
    """Who read the value before has time to read that it is gone.

    Then nothing is left of either.
    """
    partition = Partition()
    partition.append([(b"gone", b"x" * 40), (b"other", b"x" * 40)])
    partition.append([(b"gone", None), (b"filler", b"x" * 100)])
    partition.finish()
    after_one = [
        (one.key, one.value)
        for row in partition.rows(0)
        for one in row.unpack()
        if one.key == b"gone"
    ]
    for _ in range(3):
        partition.append([(b"filler", b"x" * 300)])
        partition.finish()
    after_more = [one.key for row in partition.rows(0) for one in row.unpack()]

    assert after_one == [(b"gone", None)]
    assert set(after_more) == {b"other", b"filler"}


def test_a_pass_that_fails_loses_nothing_and_drops_no_tombstone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The disk is full in the midst of a pass.

    It is given up; the tombstone that it had seen stays until a whole one has.
    """
    monkeypatch.setattr(compaction, "PACE", 0)  # so that a step looks at one group of rows
    partition = Partition()
    partition.append([(b"gone", b"x" * 80)])
    partition.append([(b"gone", None), (b"other", b"y" * 80)])
    partition.step(2)
    partition.connection.execute("PRAGMA query_only = 1")
    with pytest.raises(sqlite3.OperationalError):
        partition.finish()
    partition.connection.execute("PRAGMA query_only = 0")
    partition.append([(b"filler", b"x" * 100)])
    partition.finish()
    fresh: Items = {}
    apply(fresh, [(one.key, one.value) for row in partition.rows(0) for one in row.unpack()])

    assert fresh == partition.wanted == {b"other": b"y" * 80, b"filler": b"x" * 100}


async def _log_with(folder: Path, clock: Clock, specs: list[TopicSpec]) -> SqliteLog:
    log = SqliteLog(folder, clock)
    await log.start()
    await log.ensure_topics(specs)
    return log


async def _until(log: SqliteLog, topic: str, records: int) -> list[StoredRecord]:
    """The partition's records once there are so few."""
    while True:
        found = await log.read(topic, 0, 0, 1_000_000)
        if len(found) <= records:
            return found
        await asyncio.sleep(0.01)


def test_the_journal_compacts_while_it_is_written(tmp_path: Path) -> None:
    """Through the log.

    What is read from any offset is right, the end stays where it was, and a second start goes on.
    """

    async def run() -> tuple[list[StoredRecord], int, list[StoredRecord]]:
        specs = [TopicSpec(TOPIC, 1, {"cleanup.policy": "compact"})]
        log = await _log_with(tmp_path, Clock(), specs)
        for number in range(300):
            await log.append(TOPIC, 0, [NewRecord(b"%d" % (number % 7), b"%d" % number)])
        found, end = await _until(log, TOPIC, 30), await log.end_offset(TOPIC, 0)
        await log.stop()
        log = await _log_with(tmp_path, Clock(), specs)
        for number in range(300, 400):
            await log.append(TOPIC, 0, [NewRecord(b"%d" % (number % 7), b"%d" % number)])
        again = await _until(log, TOPIC, 30)
        await log.stop()
        return found, end, again

    found, end, again = asyncio.run(asyncio.wait_for(run(), 300))

    assert end == 300
    assert {one.key: one.value for one in found} == {
        b"%d" % (n % 7): b"%d" % n for n in range(293, 300)
    }
    assert {one.key: one.value for one in again} == {
        b"%d" % (n % 7): b"%d" % n for n in range(393, 400)
    }
    assert (found[-1].offset, again[-1].offset) == (299, 399)


def test_what_is_past_its_time_goes_while_the_journal_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a restart.

    All but the newest rows of a partition that are too old; topics without a retention keep all.
    """
    monkeypatch.setattr("app.transport.retention.EVERY_SECONDS", 0.0)

    class Hours(Clock):
        hour = 0

        def now_ms(self) -> int:
            return self.hour * HOUR_MS

    async def run() -> tuple[int, int, int]:
        clock = Hours()
        specs = [
            TopicSpec("t.journal", 1, {"retention.ms": str(10 * HOUR_MS)}),
            TopicSpec("t.raw", 1, {}),
        ]
        log = await _log_with(tmp_path, clock, specs)
        for hour in range(100):
            clock.hour = hour
            for topic in ("t.journal", "t.raw"):
                await log.append(topic, 0, [NewRecord(b"k", b"%d" % hour)])
        while (start := await log.start_offset("t.journal", 0)) < 89:
            await log.append("t.raw", 0, [NewRecord(b"k", b"more")])
        kept = len(await log.read("t.journal", 0, 0))
        raw = await log.start_offset("t.raw", 0)
        await log.stop()
        return start, kept, raw

    assert asyncio.run(asyncio.wait_for(run(), 300)) == (89, 11, 0)
