"""What a log keeps, found by position: journal records, effects by their cause, messages by what sent them.

An effects topic is in the order of its effects' positions, so an effect is found in a few reads
however long the topic is. A compacted topic has holes: what was there before is gone, and reads
give what comes after.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from app.transport.log import Readable, StoredRecord
from models.effect import EFFECTS, Position, Stream, position_from
from models.journal import SOURCE_HEADER, Source
from models.topics import Topics

Document = dict[str, Any]
K = TypeVar("K", int, Position)
CHUNK = 200  # records of a read that looks for a position
LATE_MS = 600_000  # a message is in the journal so long after its cause at the latest, unless a worker was down for longer


class NotThere(Exception):
    """What was asked for is not kept, or never was; the message says what there is instead."""


@dataclass(slots=True)
class Emitted:
    """An effect as it stands in its topic."""

    stream: Stream
    position: Position
    value: bytes
    document: Document


class Archive:
    """A log's topics, by position."""

    def __init__(self, log: Readable, prefix: str, partitions: int) -> None:
        self.log = log
        self.topics = Topics(prefix)
        self.partitions = partitions

    async def record(self, partition: int, offset: int) -> StoredRecord:
        """A journal record. Raises NotThere."""
        journal = self.topics.journal
        if not 0 <= partition < self.partitions:
            raise NotThere(
                f"there is no partition {partition}: the journal has 0 to {self.partitions - 1}"
            )
        start = await self.log.start_offset(journal, partition)
        end = await self.log.end_offset(journal, partition)
        if start <= offset < end:
            found = await self.log.read(journal, partition, offset, 1)
            if found and found[0].offset == offset:
                return found[0]
        kept = (
            f"keeps {partition}:{start} to {partition}:{end - 1}"
            if end > start
            else f"has nothing in {partition}"
        )
        raise NotThere(f"there is no record {partition}:{offset}: the journal {kept}")

    async def effect(
        self, partition: int, position: Position, streams: tuple[Stream, ...] = EFFECTS
    ) -> Emitted | None:
        """The effect at a position, if one of the topics has it."""
        for stream in streams:
            async for one in self.effects(stream, partition, position):
                if one.position == position:
                    return one
                break
        return None

    async def effects_of(self, partition: int, offset: int) -> list[Emitted]:
        """Every effect of a journal record that the topics have, in order."""
        found = []
        for stream in EFFECTS:
            async for one in self.effects(stream, partition, Position(offset, 0)):
                if one.position.offset > offset:
                    break
                found.append(one)
        return sorted(found, key=lambda one: one.position)

    async def effects(
        self, stream: Stream, partition: int, after: Position, about: bytes = b""
    ) -> AsyncIterator[Emitted]:
        """The effects of a partition from a position on, each once.

        Those with `about` in them only, if it is given.
        """
        topic = getattr(self.topics, stream)
        offset = await self._place(topic, partition, after)
        last: Position | None = None
        size = CHUNK
        while records := await self.log.read(topic, partition, offset, size):
            size = 5000
            offset = records[-1].offset + 1
            for record in records:
                position = position_from(tuple(record.headers))
                if position is None or position < after or (last is not None and position <= last):
                    continue
                last = position
                if record.value and about in record.value:
                    yield Emitted(stream, position, record.value, orjson.loads(record.value))

    async def message(self, source: Source, target: int, at_ms: int) -> StoredRecord | None:
        """The journal record of a message, which stands in the target partition from the time of its cause on."""
        header = (SOURCE_HEADER, source.header()[1])
        offset = await self.first_since(target, at_ms)
        while records := await self.log.read(self.topics.journal, target, offset):
            for record in records:
                if record.headers and header in record.headers:
                    return record
                if record.timestamp > at_ms + LATE_MS:
                    return None
            offset = records[-1].offset + 1
        return None

    async def first_since(self, partition: int, at_ms: int) -> int:
        """The offset of the first journal record that was appended at that time or after it."""
        journal = self.topics.journal
        low, high = await self._ends(journal, partition)
        oldest = await self.log.read(journal, partition, low, 1)
        newest = await self.log.read(journal, partition, high - 1, 1) if oldest else []
        if not oldest or not newest:
            return high
        span = (oldest[0].timestamp, newest[-1].timestamp)
        return await self._first(journal, partition, _time, at_ms, float, span)

    async def newest(
        self, stream: Stream, wanted: Callable[[Document], bool], number: int = 3
    ) -> list[Document]:
        """The newest effects of a topic that are wanted, newest last, from the ends of all partitions."""
        found: list[Document] = []
        topic = getattr(self.topics, stream)
        for partition in range(self.partitions):
            end = await self.log.end_offset(topic, partition)
            start = max(await self.log.start_offset(topic, partition), end - CHUNK)
            read = await self.log.read(topic, partition, start, CHUNK)
            documents = [orjson.loads(record.value) for record in read if record.value]
            found += [document for document in documents if wanted(document)]
        return sorted(found, key=lambda one: str(one["at"]))[-number:]

    async def _place(self, topic: str, partition: int, wanted: Position) -> int:
        """The offset of the first effect at the position or after it."""
        span = (0, await self.log.end_offset(self.topics.journal, partition))
        return await self._first(topic, partition, _position, wanted, lambda one: one.offset, span)

    async def _ends(self, topic: str, partition: int) -> tuple[int, int]:
        return await self.log.start_offset(topic, partition), await self.log.end_offset(
            topic, partition
        )

    async def _first(
        self,
        topic: str,
        partition: int,
        key: Callable[[StoredRecord], K | None],
        wanted: K,
        number: Callable[[K], float],
        span: tuple[float, float],
    ) -> int:
        """The offset of the first record whose key is the wanted one or past it; keys only grow.

        Where it may be is guessed from how they grow, every other time in the middle: so a few
        reads do, whatever they are.
        """
        low, high = await self._ends(topic, partition)
        below, above = span
        guess = True
        while low < high:
            share = (number(wanted) - below) / max(above - below, 1) if guess else 0.5
            middle = min(
                max(low + int((high - low) * share) - (CHUNK // 2 if guess else 0), low), high - 1
            )
            guess = not guess
            records = await self.log.read(topic, partition, middle, CHUNK)
            known = [(one.offset, found) for one in records if (found := key(one)) is not None]
            if not known or known[0][1] >= wanted:
                high, above = middle, number(known[0][1]) if known else above
            elif known[-1][1] < wanted:
                low, below = known[-1][0] + 1, number(known[-1][1])
            else:
                return next(offset for offset, found in known if found >= wanted)
        return low


def _time(record: StoredRecord) -> int:
    return record.timestamp


def _position(record: StoredRecord) -> Position | None:
    return position_from(tuple(record.headers))
