"""What is new in an effects topic since it was last read, so that a poll costs what has happened since the last one."""

import asyncio
from dataclasses import dataclass

from app.history.effects import once
from app.transport.log import Readable
from models.effect import Position


@dataclass(frozen=True, slots=True)
class News:
    """An effect that was not read before."""

    partition: int
    offset: int  # in the topic
    position: Position
    key: bytes | None
    value: bytes


class TopicReader:
    """Reads an effects topic on and on; each effect once, whatever happened to the worker.

    `seen` has the newest position of each partition. With `tombstones` what is forgotten is news
    too, and has an empty value.
    """

    def __init__(
        self, log: Readable, topic: str, partitions: int, *, tombstones: bool = False
    ) -> None:
        self._log, self._topic, self._tombstones = log, topic, tombstones
        self._offsets: dict[int, int] = {}
        self.seen = dict.fromkeys(range(partitions), Position(-1, -1))

    async def next_chunk(self, partition: int) -> list[News] | None:
        """The next of a partition's news, oldest first; None at its end. One caller at a time."""
        offset = self._offsets.get(partition)
        if offset is None:
            offset = await self._log.start_offset(self._topic, partition)
        records = await self._log.read(self._topic, partition, offset)
        if not records:
            return None
        news = []
        seen = self.seen[partition]
        for position, value, record in once(records, seen, tombstones=self._tombstones):
            self.seen[partition] = position
            news.append(News(partition, record.offset, position, record.key, value))
        self._offsets[partition] = records[-1].offset + 1
        await asyncio.sleep(0)  # a long topic must not keep the process from its other work
        return news


class Turnstile:
    """Lets one reading through at a time, and spares those who waited for one that began after they came."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._begun = self._good = (
            0  # readings are numbered from 1; the newest that was begun, and that ended well
        )
        self._reading = False

    async def __aenter__(self) -> bool:
        """Whether there may be anything left to read for whoever comes in."""
        came = self._begun
        await self._lock.acquire()
        self._reading = self._good <= came
        self._begun += self._reading
        return self._reading

    async def __aexit__(self, failed: type[BaseException] | None, *_: object) -> None:
        """Let the next one in."""
        if self._reading and failed is None:
            self._good = self._begun
        self._lock.release()
