"""Batches reach the agents without holes, whatever Faust's fetcher took and dropped while partitions moved."""

import asyncio
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from app.transport.batches import BatchMixin
from app.transport.log import StoredRecord

JOURNAL, RAW = TP("t.journal", 0), TP("t.raw", 0)


class Fetching:
    """The parts of a Faust consumer that BatchMixin builds on.

    What it fetches is what a test puts into `fetched`.
    """

    def __init__(self) -> None:
        self.app: Any = SimpleNamespace(consumer_generation_id=1, journal=JOURNAL.topic, owner=self)
        self.flow_active, self.should_stop = True, False
        self.fetched: list[dict[TP, list[StoredRecord]]] = []
        self.sought: list[tuple[TP, int]] = []
        self._committed_offset: dict[TP, int | None] = {}
        self._read_offset: dict[TP, int | None] = {}

    def assignment(self) -> set[TP]:
        """All partitions, of one topic of each kind."""
        return {JOURNAL, RAW}

    async def take_over(self, partition: int, generation: int) -> int:
        """Where the state ends."""
        return 10 * (partition + generation)

    async def perform_seek(self) -> None:
        """As Faust's."""
        self._committed_offset = {JOURNAL: 4, RAW: 3}

    async def seek(self, tp: TP, offset: int) -> None:
        """Keep what was sought."""
        self.sought.append((tp, offset))

    async def _wait_next_records(self, _: float) -> tuple[dict[TP, list[StoredRecord]], None]:
        return self.fetched.pop(0), None


class Consumer(BatchMixin, Fetching):
    """As in app.transport."""


def _records(first: int, last: int) -> list[StoredRecord]:
    return [StoredRecord(offset, 0, None, b"{}") for offset in range(first, last + 1)]


def _delivered(
    consumer: Consumer, *fetches: dict[TP, list[StoredRecord]], active: bool = True
) -> list[list[int]]:
    """The offsets of each batch that comes out when these are fetched, one after another."""

    async def run() -> list[list[int]]:
        found = []
        consumer.flow_active = active
        for fetched in fetches:
            consumer.fetched.append(fetched)
            async for _, message in consumer.getmany(1.0):
                found.append([record.offset for record in message.value])
        return found

    return asyncio.run(run())


def _taken_over() -> Consumer:
    consumer = Consumer()
    asyncio.run(consumer.perform_seek())
    assert consumer.sought == [(JOURNAL, 10)]
    consumer.sought.clear()
    return consumer


def test_what_was_fetched_while_the_flow_stood_still_is_fetched_again() -> None:
    """A fetch that outlives a rebalance moves the position and is dropped.

    The next one has to go back.
    """
    consumer = _taken_over()
    dropped = _delivered(consumer, {JOURNAL: _records(10, 12), RAW: _records(3, 4)}, active=False)
    after = _delivered(consumer, {JOURNAL: _records(13, 14), RAW: _records(5, 5)})
    again = _delivered(consumer, {JOURNAL: _records(10, 14)}, {RAW: _records(3, 5)})

    assert (dropped, after, consumer.sought) == ([], [], [(JOURNAL, 10), (RAW, 3)])
    assert again == [[10, 11, 12, 13, 14], [3, 4, 5]]


def test_a_hole_of_the_log_itself_is_passed() -> None:
    """Retention and other people's transactions leave holes.

    What is there after looking again is delivered.
    """
    consumer = _taken_over()
    found = _delivered(
        consumer,
        {JOURNAL: _records(20, 21)},
        {JOURNAL: _records(20, 22)},
        {JOURNAL: _records(23, 23)},
    )

    assert (found, consumer.sought) == ([[20, 21, 22], [23]], [(JOURNAL, 10)])


def test_what_is_delivered_twice_moves_nothing_back() -> None:
    """Records from before the place that is read from come too, and do not hide a hole behind it."""
    consumer = _taken_over()
    found = _delivered(
        consumer,
        {JOURNAL: _records(4, 6)},
        {JOURNAL: _records(12, 13)},
        {JOURNAL: _records(10, 13)},
    )

    assert (found, consumer.sought) == ([[4, 5, 6], [10, 11, 12, 13]], [(JOURNAL, 10)])
