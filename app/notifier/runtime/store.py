"""Where the notifier's position is kept: it writes what the ledger changes to `tocsin.deliveries`, and receipts to the journal.

Each batch is whole or not there. A receipt is part of the batch that settles its request, and stays in the topic until the
journal has it: so a receipt is never lost, and may come twice after a kill.
"""

import asyncio
import logging

from app.clock import system_ms
from app.notifier.ledger.ledger import Ledger
from app.notifier.runtime import metrics
from app.notifier.runtime.journal_receipts import append_receipts
from app.notifier.runtime.partition import OwnedPartition
from app.notifier.runtime.records import Kept, kept_in
from app.notifier.runtime.router import DeliveriesTopic
from app.transport.log import Fenced, Log, LogUnavailable, NewRecord, StoredRecord
from models.topics import Topics

RETRY_S = 1.0
PACE_MS = 1000  # between two records that say no more than how far a partition was read

logger = logging.getLogger("tocsin.notifier")


class Store:
    """Reads what is kept of a partition, and writes what changes."""

    def __init__(
        self, log: Log, topics: Topics, partitions: int, topic: DeliveriesTopic, ledger: Ledger
    ) -> None:
        self.owned: dict[int, OwnedPartition] = {}
        self._log = log
        self._topics = topics
        self._partitions = partitions
        self._topic = topic
        self._ledger = ledger
        self._writing: dict[int, asyncio.Task[None]] = {}
        self._fault: BaseException | None = None

    @property
    def busy(self) -> bool:
        """Whether something is not written yet."""
        return bool(self._writing) or any(owned.dirty for owned in self.owned.values())

    async def load(self, partition: int) -> tuple[OwnedPartition, Kept]:
        """Claim a partition, and read what is kept of it. Raises LogUnavailable."""
        await self._log.claim(self._topics.deliveries, partition)
        kept = kept_in(await self._read_all(partition), partition)
        owned = OwnedPartition(partition, kept.meta)
        if owned.meta.notifications_offset is None:
            topic = self._topics.notifications
            owned.meta.notifications_offset = await self._log.start_offset(topic, partition)
        owned.receipts = list(kept.receipts)
        owned.moved = True
        self.owned[partition] = owned
        return owned, kept

    async def release(self, partition: int) -> None:
        """Write the rest, and give the partition up."""
        writing = self._writing.pop(partition, None)
        if writing is not None:
            await asyncio.wait({writing}, timeout=RETRY_S)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        self.collect()
        owned = self.owned.pop(partition)
        if not owned.lost:
            try:
                async with asyncio.timeout(RETRY_S):
                    while owned.dirty or owned.moved or owned.receipts:
                        await self._write_once(owned)
            except (LogUnavailable, TimeoutError) as error:
                ids = {"partition": partition}
                text = "the end of deliveries %d is not written: %s"
                logger.warning(text, partition, error, extra=ids)
        await self._topic.give_up(partition)

    def collect(self) -> None:
        """Take from the ledger what has changed."""
        for partition, changes in self._ledger.take_changes().items():
            if partition in self.owned:
                self.owned[partition].add(changes)

    def write(self, now_ms: int) -> None:
        """Begin to write what is not written, in a task for each partition.

        Raises what a task before has raised: a fault of ours.
        """
        if self._fault is not None:
            raise self._fault
        self.collect()
        for partition, owned in self.owned.items():
            slow = owned.moved and now_ms >= owned.written_ms + PACE_MS
            waits = owned.dirty or owned.receipts or slow
            if waits and not owned.lost and partition not in self._writing:
                task = asyncio.create_task(self._write(owned))
                task.add_done_callback(self._on_written)
                self._writing[partition] = task

    async def _write(self, owned: OwnedPartition) -> None:
        try:
            await self._write_once(owned)
            while owned.dirty:
                await self._write_once(owned)
        except Fenced as error:
            owned.lost = True
            ids = {"partition": owned.number}
            logger.warning("deliveries %d: %s", owned.number, error, extra=ids)
        finally:
            self._writing.pop(owned.number, None)

    def _on_written(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self._fault = task.exception()

    async def _write_once(self, owned: OwnedPartition) -> None:
        """Write one batch, however long it takes, and say its receipts. Raises Fenced."""
        if owned.dirty or owned.moved:
            self.collect()
            records, receipts = owned.take_batch(self._ledger)
            await self._append(owned, records)
            owned.written_ms = system_ms()
            owned.receipts += receipts
        if owned.receipts:
            await self._say(owned)

    async def _append(self, owned: OwnedPartition, records: list[NewRecord]) -> None:
        reported = False
        while True:
            try:
                await self._topic.append_whole(owned.number, records)
            except Fenced:
                raise
            except LogUnavailable as error:
                if not reported:
                    logger.warning("what is delivered waits to be written: %s", error)
                    reported = True
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _say(self, owned: OwnedPartition) -> None:
        """Append the receipts to the journal. If it does not take them now, they are said with the next batch."""
        receipts, owned.receipts = owned.receipts, []
        try:
            bodies = [receipt for _, receipt in receipts]
            await append_receipts(self._log, self._topics.journal, self._partitions, bodies)
        except LogUnavailable as error:
            logger.warning("%d receipts wait for the journal: %s", len(receipts), error)
            owned.receipts = receipts + owned.receipts
            await asyncio.sleep(RETRY_S)
            return
        for key, receipt in receipts:
            owned.tombstones.append(key)
            metrics.RECEIPTS.labels(receipt.state).inc()

    async def _read_all(self, partition: int) -> list[StoredRecord]:
        topic = self._topics.deliveries
        offset = await self._log.start_offset(topic, partition)
        records: list[StoredRecord] = []
        while batch := await self._log.read(topic, partition, offset):
            records += batch
            offset = batch[-1].offset + 1
        return records
