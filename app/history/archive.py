"""What a log keeps, found by position: journal records, effects by their cause, messages by what sent them.

An effects topic is in the order of its effects' positions, so an effect is found in a few reads
however long the topic is. A compacted topic has holes: what was there before is gone, and reads
give what comes after.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import orjson

from app.history.effects import Document, effects_from
from app.history.not_retained import NotRetained
from app.history.records import records_from
from app.history.source import Source
from app.transport.log import StoredRecord
from models.effect import EFFECTS, Position, Stream, position_from
from models.journal import SOURCE_HEADER
from models.journal import Source as Cause

K = TypeVar("K", int, Position)
CHUNK = 200  # records of a read that looks for a position
LATE_MS = 600_000  # a message is in the journal so long after its cause at the latest, unless a worker was down for longer


@dataclass(slots=True)
class StoredEffect:
    """An effect as it stands in its topic."""

    stream: Stream
    position: Position
    value: bytes
    document: Document


class Archive:
    """A source's topics, by position."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.log = source.log
        self.topics = source.topics
        self.partitions = source.config.partitions

    async def record(self, partition: int, offset: int) -> StoredRecord:
        """A journal record. Raises NotRetained."""
        journal = self.topics.journal
        if not 0 <= partition < self.partitions:
            raise NotRetained(
                f"there is no partition {partition}: the journal has 0 to {self.partitions - 1}"
            )
        start = await self.log.start_offset(journal, partition)
        end = await self.log.end_offset(journal, partition)
        if start <= offset < end:
            records = await self.log.read(journal, partition, offset, 1)
            if records and records[0].offset == offset:
                return records[0]
        kept = (
            f"keeps {partition}:{start} to {partition}:{end - 1}"
            if end > start
            else f"has nothing in {partition}"
        )
        raise NotRetained(f"there is no record {partition}:{offset}: the journal {kept}")

    async def effect(
        self, partition: int, position: Position, streams: tuple[Stream, ...] = EFFECTS
    ) -> StoredEffect | None:
        """The effect at a position, if one of the topics has it."""
        for stream in streams:
            async for item in self.effects(stream, partition, position):
                if item.position == position:
                    return item
                break
        return None

    async def effects_of(self, partition: int, offset: int) -> list[StoredEffect]:
        """Every effect of a journal record that the topics have, in order."""
        effects = []
        for stream in EFFECTS:
            async for item in self.effects(stream, partition, Position(offset, 0)):
                if item.position.offset > offset:
                    break
                effects.append(item)
        return sorted(effects, key=lambda entry: entry.position)

    async def effects(
        self, stream: Stream, partition: int, after: Position, about: bytes = b""
    ) -> AsyncIterator[StoredEffect]:
        """The effects of a partition from a position on, each once.

        Those with `about` in them only, if it is given.
        """
        topic = self.source.topic(stream)
        place = await self._effect_offset(topic, partition, after)
        async for position, value, _ in effects_from(self.log, topic, partition, place, CHUNK):
            if position >= after and about in value:
                yield StoredEffect(stream, position, value, orjson.loads(value))

    async def newest_snapshot(
        self, partition: int, after: Position, incident: str
    ) -> Document | None:
        """The newest snapshot of an incident. The others are not parsed: there may be many."""
        topic, newest = self.source.topic(Stream.INCIDENTS), b""
        place = await self._effect_offset(topic, partition, after)
        async for _, value, record in effects_from(self.log, topic, partition, place, CHUNK):
            if record.key == incident.encode():
                newest = value
        return orjson.loads(newest) if newest else None

    async def message(self, source: Cause, target: int, at_ms: int) -> StoredRecord | None:
        """The journal record of a message, which stands in the target partition from the time of its cause on."""
        header = (SOURCE_HEADER, source.header()[1])
        offset = await self.first_since(target, at_ms)
        async with aclosing(
            records_from(self.log, self.topics.journal, target, offset)
        ) as found_records:
            async for record in found_records:
                if record.headers and header in record.headers:
                    return record
                if record.timestamp > at_ms + LATE_MS:
                    return None
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
        return await self._first(journal, partition, _record_time, at_ms, float, span)

    async def newest(
        self, stream: Stream, wanted: Callable[[Document], bool], number: int = 3
    ) -> list[Document]:
        """The newest effects of a topic that are wanted, newest last, from the ends of all partitions."""
        newest: list[Document] = []
        topic = self.source.topic(stream)
        for partition in range(self.partitions):
            end = await self.log.end_offset(topic, partition)
            start = max(await self.log.start_offset(topic, partition), end - CHUNK)
            read = await self.log.read(topic, partition, start, CHUNK)
            documents = [orjson.loads(record.value) for record in read if record.value]
            newest += [document for document in documents if wanted(document)]
        return sorted(newest, key=lambda item: str(item["at"]))[-number:]

    async def _effect_offset(self, topic: str, partition: int, wanted: Position) -> int:
        """The offset of the first effect at the position or after it."""
        span = (0, await self.log.end_offset(self.topics.journal, partition))
        return await self._first(
            topic, partition, _record_position, wanted, lambda item: item.offset, span
        )

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
            known = [
                (item.offset, sort_key) for item in records if (sort_key := key(item)) is not None
            ]
            if not known or known[0][1] >= wanted:
                high, above = middle, number(known[0][1]) if known else above
            elif known[-1][1] < wanted:
                low, below = known[-1][0] + 1, number(known[-1][1])
            else:
                return next(offset for offset, sort_key in known if sort_key >= wanted)
        return low


def _record_time(record: StoredRecord) -> int:
    return record.timestamp


def _record_position(record: StoredRecord) -> Position | None:
    return position_from(tuple(record.headers))
