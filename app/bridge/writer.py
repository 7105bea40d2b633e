"""Many requests, few appends: what waits for one journal partition is appended as one batch (group commit).

A lone request is not delayed: its batch goes out at once, and what arrives meanwhile makes the next
one.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app import metrics
from app.transport.log import Log, LogUnavailable, NewRecord
from models.journal import TICK
from models.topics import partition_of

BATCH_BYTES = (
    4 * 1024 * 1024
)  # well below a record batch's limit: keys, headers and lengths come on top
WAITING_BYTES_MAX = (
    128 * 1024 * 1024
)  # while the journal is away, requests must not fill the memory
# For an acknowledgement. Whoever sends is answered within 5 s: Prometheus waits 10 s for an Alertmanager.
SECONDS_MAX = 4.5
PROBE_SECONDS = (
    5.0  # for the journal to acknowledge a probe, and for how long an acknowledgement counts
)


@asynccontextmanager
async def answered_in_time(seconds_max: float = SECONDS_MAX) -> AsyncIterator[None]:
    """Give up what the journal does not do in time. Raises LogUnavailable."""
    try:
        async with asyncio.timeout(seconds_max):
            yield
    except TimeoutError:
        raise LogUnavailable(f"the journal did not answer within {seconds_max:g} s") from None


@dataclass(frozen=True, slots=True)
class _PendingAppend:
    """One append that waits."""

    records: Sequence[NewRecord]
    size: int  # bytes of its values
    done: "asyncio.Future[int]"  # the offset of its first record


class JournalWriter:
    """Appends keyed records to the journal."""

    def __init__(
        self,
        log: Log,
        journal: str,
        partitions: int,
        *,
        waiting_bytes_max: int = WAITING_BYTES_MAX,
        seconds_max: float = SECONDS_MAX,
    ) -> None:
        self._log = log
        self._journal = journal
        self._partitions = partitions
        self._waiting_bytes_max = waiting_bytes_max
        self._seconds_max = seconds_max
        self._waiting_bytes = 0  # of everything that is not yet acknowledged
        self._waiting: dict[int, list[_PendingAppend]] = {}
        self._writing: dict[int, asyncio.Task[None]] = {}
        self._acknowledged: dict[int, float] = {}  # partition -> when, by the monotonic clock
        self._probing: asyncio.Task[None] | None = None

    async def append(self, records: Iterable[NewRecord]) -> None:
        """Return once the journal has all records.

        Raises LogUnavailable; then any of them may be missing.
        """
        by_partition: dict[int, list[NewRecord]] = defaultdict(list)
        for record in records:
            by_partition[partition_of(record.key or b"", self._partitions)].append(record)
        await self._append_pieces(by_partition)

    async def append_to(self, by_partition: Mapping[int, Sequence[NewRecord]]) -> int:
        """Append to partitions that are known, such as incidents'; the first record's offset.

        Raises LogUnavailable, as `append`.
        """
        return (await self._append_pieces(by_partition))[0] if by_partition else -1

    async def broadcast(self, records: Sequence[NewRecord]) -> int:
        """Append to every partition, all or nothing in each; the first one's offset in partition 0.

        Raises LogUnavailable; then any partition may lack them.
        """
        return (await self._append_pieces(dict.fromkeys(range(self._partitions), records)))[0]

    async def tick(self) -> None:
        """Append a tick to every partition. Raises LogUnavailable."""
        await self.broadcast([NewRecord(None, TICK)])

    async def probe(self) -> None:
        """Return when every partition has acknowledged an append within the last seconds.

        Those that have not are sent a tick: that a log can be read does not show that it can be
        written. Probes that come while one is under way share it. Raises LogUnavailable.
        """
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe())
            self._probing.add_done_callback(retrieve_error)
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await asyncio.shield(self._probing)
        except TimeoutError:
            raise LogUnavailable(
                f"the journal did not acknowledge within {PROBE_SECONDS:g} s"
            ) from None

    async def stop(self) -> None:
        """Wait for the appends under way."""
        await asyncio.gather(*self._writing.values(), return_exceptions=True)

    async def _probe(self) -> None:
        since = time.monotonic() - PROBE_SECONDS
        silent = [
            index
            for index in range(self._partitions)
            if self._acknowledged.get(index, since) <= since
        ]
        await self._append_pieces({partition: [NewRecord(None, TICK)] for partition in silent})

    async def _append_pieces(self, by_partition: Mapping[int, Sequence[NewRecord]]) -> list[int]:
        """Append; the offset of each piece's first record."""
        pieces = [
            (partition, *piece)
            for partition, records in by_partition.items()
            for piece in _split_batches(records)
        ]
        size = sum(size for _, _, size in pieces)
        if self._waiting_bytes + size > self._waiting_bytes_max and self._waiting_bytes:
            raise LogUnavailable(
                f"{self._waiting_bytes} bytes wait for the journal, must be at most {self._waiting_bytes_max}"
            )
        self._waiting_bytes += size
        futures = [self._queue_append(*piece) for piece in pieces]
        try:
            async with asyncio.timeout(self._seconds_max):
                results = await asyncio.gather(*futures, return_exceptions=True)
        except TimeoutError:
            raise LogUnavailable(
                f"the journal did not acknowledge within {self._seconds_max:g} s"
            ) from None
        offsets = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            offsets.append(result)
        return offsets

    def _queue_append(
        self, partition: int, records: Sequence[NewRecord], size: int
    ) -> "asyncio.Future[int]":
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(partition, []).append(_PendingAppend(records, size, done))
        if partition not in self._writing:
            self._writing[partition] = asyncio.create_task(self._write_batches(partition))
        return done

    async def _write_batches(self, partition: int) -> None:
        while batch := self._next_batch(partition):
            problem: Exception | None = None
            offset, began = 0, time.monotonic()
            try:
                offset = await self._log.append(
                    self._journal,
                    partition,
                    [record for entry in batch for record in entry.records],
                )
                self._acknowledged[partition] = time.monotonic()
                metrics.APPEND_SECONDS.observe(self._acknowledged[partition] - began)
            except Exception as error:  # noqa: BLE001  whatever it is, the requests that wait have to hear of it
                problem = error
            for item in batch:
                self._waiting_bytes -= item.size
                if not item.done.done():  # else its request was given up
                    if problem is None:
                        item.done.set_result(offset)
                    else:
                        item.done.set_exception(problem)
                offset += len(item.records)
        del self._writing[partition]

    def _next_batch(self, partition: int) -> list[_PendingAppend]:
        """The appends that make the next batch: no more than its size, but at least one of those that wait.

        Requests that were given up are dropped: who sent them was told that nothing was kept.
        """
        waiting = []
        for item in self._waiting.pop(partition, []):
            if item.done.done():
                self._waiting_bytes -= item.size
            else:
                waiting.append(item)
        size = number = 0
        for item in waiting:
            size += item.size
            if size > BATCH_BYTES and number:
                break
            number += 1
        if number < len(waiting):
            self._waiting[partition] = waiting[number:]
        return waiting[:number]


def retrieve_error(task: "asyncio.Task[None]") -> None:
    """Take note of a task's error, which nobody may be waiting for any more."""
    if not task.cancelled():
        task.exception()


def _split_batches(records: Sequence[NewRecord]) -> list[tuple[Sequence[NewRecord], int]]:
    """The records in as few pieces as batches allow, in order, each with the bytes of its values."""
    pieces: list[tuple[Sequence[NewRecord], int]] = []
    start = size = 0
    for number, record in enumerate(records):
        more = len(record.value or b"")
        if size + more > BATCH_BYTES and number > start:
            pieces.append((records[start:number], size))
            start, size = number, 0
        size += more
    pieces.append((records[start:], size))
    return pieces
