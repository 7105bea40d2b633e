"""Many requests, few appends: what waits for one journal partition is appended as one batch (group commit).

A lone request is not delayed: its batch goes out at once, and what arrives meanwhile makes the next one.
"""

import asyncio
from collections.abc import Iterable

from app.transport.log import Log, NewRecord
from models.topics import partition_of

BATCH_BYTES = 4 * 1024 * 1024

_Waiting = tuple[list[NewRecord], "asyncio.Future[None]"]


class JournalWriter:
    """Appends keyed records to the journal."""

    def __init__(self, log: Log, journal: str, partitions: int) -> None:
        self._log = log
        self._journal = journal
        self._partitions = partitions
        self._waiting: dict[int, list[_Waiting]] = {}
        self._writing: dict[int, asyncio.Task[None]] = {}

    async def append(self, records: Iterable[NewRecord]) -> None:
        """Return once the journal has all records. Raises LogUnavailable; then any of them may be missing."""
        by_partition: dict[int, list[NewRecord]] = {}
        for record in records:
            by_partition.setdefault(partition_of(record.key or b"", self._partitions), []).append(record)
        done = [self._put(partition, batch) for partition, batch in by_partition.items()]
        results = await asyncio.gather(*done, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def append_to(self, partition: int, record: NewRecord) -> None:
        """Append to a partition that is known, such as an incident's."""
        await self._put(partition, [record])

    def _put(self, partition: int, records: list[NewRecord]) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(partition, []).append((records, future))
        if partition not in self._writing:
            self._writing[partition] = asyncio.create_task(self._write(partition))
        return future

    async def _write(self, partition: int) -> None:
        while batch := self._take(partition):
            try:
                records = [record for one, _ in batch for record in one]
                await self._log.append(self._journal, partition, records)
            except Exception as error:  # noqa: BLE001  whatever it is, the requests that wait have to hear of it
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            for _, future in batch:
                if not future.done():
                    future.set_result(None)
        del self._writing[partition]

    def _take(self, partition: int) -> list[_Waiting]:
        waiting = self._waiting.get(partition, [])
        size = number = 0
        for records, _ in waiting:
            size += sum(len(record.value or b"") for record in records)
            if size > BATCH_BYTES and number:
                break
            number += 1
        self._waiting[partition] = waiting[number:]
        return waiting[:number]
