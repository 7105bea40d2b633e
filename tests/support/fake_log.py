"""A log in memory, for tests of what stands in front of one.

It can be held up, and it can be away.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from app.transport.log import Appended, LogUnavailable, NewRecord, Place, StoredRecord, size_of
from models.topics import MAX_BATCH_BYTES, Topics, TopicSpec

STOCK_BYTES_MAX = 1_048_588  # of a batch, as a Kafka broker has it that was told nothing else
LARGE = {
    spec.name.removeprefix("tocsin.")
    for spec in Topics().specs(1)
    if "max.message.bytes" in spec.config
}


def _bytes_max(topic: str) -> int:
    return MAX_BATCH_BYTES if topic.removeprefix("tocsin.") in LARGE else STOCK_BYTES_MAX


class FakeLog:
    """`app.transport.log.Log` without a disk. `batches` has every append, in order, as (partition, records).

    `topics` has what can be read, by topic and partition; a test puts an engine's effects there.
    """

    def __init__(self, now_ms: int = 1_776_000_000_000) -> None:
        self.at_ms = now_ms
        self.batches: list[tuple[int, list[NewRecord]]] = []
        self.topics: dict[tuple[str, int], list[StoredRecord]] = {}
        self.reads: list[
            tuple[str, int, int, int]
        ] = []  # topic, partition, offset and how many records were found
        self.away: set[int] = set()  # partitions that acknowledge nothing
        self.claimed: set[tuple[str, int]] = set()
        self.open = asyncio.Event()  # appends wait until it is set
        self.open.set()
        self.called = asyncio.Event()  # set by each append
        self.followers: list[asyncio.Event] = []  # set when there is more to read

    async def start(self) -> None:
        """Nothing to connect."""

    async def stop(self) -> None:
        """Nothing to disconnect."""

    def now_ms(self) -> int:
        """The time that the test gave."""
        return self.at_ms

    async def ensure_topics(self, specs: Sequence[TopicSpec]) -> set[str]:
        """Any topic is there."""
        return {spec.name for spec in specs}

    async def list_topics(self) -> dict[str, int]:
        """As many partitions of each as have records."""
        return {
            name: 1 + max(one for other, one in self.topics if other == name)
            for name, _ in self.topics
        }

    async def append(self, topic: str, partition: int, records: Sequence[NewRecord]) -> int:
        """Keep the batch, once the log is open."""
        self.called.set()
        await self.open.wait()
        if (topic, partition) not in self.claimed:
            size, bytes_max = sum(size_of(record) for record in records), _bytes_max(topic)
            assert size <= bytes_max, (
                f"a broker takes no batch of {size} bytes for {topic}, but {bytes_max}"
            )
        if partition in self.away:
            raise LogUnavailable(f"{topic} {partition} does not answer")
        self.batches.append((partition, list(records)))
        return self.put(topic, partition, records)

    def put(self, topic: str, partition: int, records: Sequence[NewRecord]) -> int:
        """Keep records as if somebody else had appended them; the offset of the first."""
        kept = self.topics.setdefault((topic, partition), [])
        offset = kept[-1].offset + 1 if kept else 0
        kept += [
            StoredRecord(offset + number, self.at_ms, *record)
            for number, record in enumerate(records)
        ]
        for woken in self.followers:
            woken.set()
        return offset

    async def claim(self, topic: str, partition: int) -> None:
        """Nobody else writes here, and whoever claimed it may append any number of records at once."""
        self.claimed.add((topic, partition))

    async def give_up(self, topic: str, partition: int) -> None:
        """The bound of a batch counts again."""
        self.claimed.discard((topic, partition))

    async def read(
        self, topic: str, partition: int, offset: int, max_records: int = 5000
    ) -> list[StoredRecord]:
        """What is kept at the offset and after."""
        kept = [one for one in self.topics.get((topic, partition), []) if one.offset >= offset][
            :max_records
        ]
        self.reads.append((topic, partition, offset, len(kept)))
        return kept

    async def start_offset(self, topic: str, partition: int) -> int:
        """The oldest offset that is kept."""
        kept = self.topics.get((topic, partition))
        return kept[0].offset if kept else 0

    async def end_offset(self, topic: str, partition: int) -> int:
        """The offset that the next record will get."""
        kept = self.topics.get((topic, partition))
        return kept[-1].offset + 1 if kept else 0

    @asynccontextmanager
    async def following(self, places: Sequence[Place]) -> AsyncIterator["FakeFollower"]:
        """Follow some partitions from here on."""
        offsets, woken = {place: await self.end_offset(*place) for place in places}, asyncio.Event()
        self.followers.append(woken)
        try:
            yield FakeFollower(self, offsets, woken)
        finally:
            self.followers.remove(woken)

    def values(self) -> list[bytes]:
        """The values of all records, in the order in which they were appended."""
        return [record.value or b"" for _, records in self.batches for record in records]


class FakeFollower:
    """`app.transport.log.Follower` of a log in memory."""

    def __init__(self, log: FakeLog, offsets: dict[Place, int], woken: asyncio.Event) -> None:
        self._log, self._offsets, self._woken = log, offsets, woken

    async def next(self) -> list[Appended]:
        """Wait until something was put there."""
        while True:
            self._woken.clear()
            appended: list[Appended] = []
            for place, offset in self._offsets.items():
                records = await self._log.read(*place, offset)
                appended += [Appended(*place, record) for record in records]
                self._offsets[place] = records[-1].offset + 1 if records else offset
            if appended:
                return appended
            await self._woken.wait()
