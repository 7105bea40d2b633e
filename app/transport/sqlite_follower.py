"""Waits for what is appended to the embedded journal, in the process that writes it."""

import asyncio
from typing import Protocol

from app.transport.log import StoredRecord


class Written(Protocol):
    """What a follower needs of the log (`app.transport.sqlite.SqliteLog`)."""

    def written(self, topic: str, partition: int) -> int:
        """The offset that the next record will get, without asking the file."""

    async def read(self, topic: str, partition: int, offset: int) -> list[StoredRecord]:
        """Records at the offset and after."""


class SqliteFollower:
    """`app.transport.log.Follower` in the process that writes."""

    def __init__(
        self, log: Written, partition: int, places: dict[str, int], woken: asyncio.Event
    ) -> None:
        self._log, self._partition, self._places, self._woken = log, partition, places, woken

    async def next(self) -> list[tuple[str, StoredRecord]]:
        """Wait for the next commit that appended something."""
        appended: list[tuple[str, StoredRecord]] = []
        while not appended:
            self._woken.clear()
            for topic, offset in self._places.items():
                if self._log.written(topic, self._partition) > offset:
                    records = await self._log.read(topic, self._partition, offset)
                    appended += [(topic, record) for record in records]
                    self._places[topic] = records[-1].offset + 1 if records else offset
            if not appended:
                await self._woken.wait()
        return appended
