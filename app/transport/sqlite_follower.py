"""Waits for what is appended to the embedded journal, in the process that writes it."""

import asyncio
from typing import Protocol

from app.transport.log import Appended, Place, StoredRecord


class Written(Protocol):
    """What a follower needs of the log (`app.transport.sqlite.SqliteLog`)."""

    def written(self, topic: str, partition: int) -> int:
        """The offset that the next record will get, without asking the file."""

    async def read(self, topic: str, partition: int, offset: int) -> list[StoredRecord]:
        """Records at the offset and after."""


class SqliteFollower:
    """`app.transport.log.Follower` in the process that writes."""

    def __init__(self, log: Written, offsets: dict[Place, int], woken: asyncio.Event) -> None:
        self._log, self._offsets, self._woken = log, offsets, woken

    async def next(self) -> list[Appended]:
        """Wait for the next commit that appended something."""
        appended: list[Appended] = []
        while not appended:
            self._woken.clear()
            for place, offset in self._offsets.items():
                if self._log.written(*place) > offset:
                    records = await self._log.read(*place, offset)
                    appended += [Appended(*place, record) for record in records]
                    self._offsets[place] = records[-1].offset + 1 if records else offset
            if not appended:
                await self._woken.wait()
        return appended
