"""Batch delivery for Faust: one event for each fetched batch of a partition, instead of one for each record.

Stock Faust spends 37 us a record on waiting for one of four tasks; a batch spends it once. What has
to change with that is here: offsets are acknowledged in order, batch by batch, so the gap
bookkeeping goes; revocation first finishes and commits what was applied; and the journal is read
from where the state says, not from where Faust committed.
`tests/unit/transport/test_faust_contract.py` fails when a method that this overrides changes.
"""

import gc
import logging
from collections.abc import AsyncIterator
from typing import Any, Protocol

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from app.memory import collect_seldom, spare_the_collector
from app.transport.plain_records import PlainRecordsThread

RECORDS_MAX = 5000  # in one event: some 25 ms of work, so that heartbeats and timers are never late

logger = logging.getLogger("tocsin.batches")


class Owner(Protocol):
    """Who works on the journal's partitions (`app.worker.worker`)."""

    async def take_over(self, partition: int, generation: int) -> int:
        """Load the partition's state and return the offset to read from."""

    async def settle(self) -> None:
        """Finish, checkpoint and acknowledge what was accepted."""

    def release(self) -> None:
        """Forget all partitions."""


class BatchSchema(faust.Schema[Any, Any]):
    """Hands a batch through as it is."""

    def compile(self, app: Any, **_: Any) -> Any:
        """A decoder that only wraps the message."""

        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001  Faust passes it
            return app.create_event(None, message.value, {}, message)

        return decode


class BatchMixin:
    """What a Faust consumer needs to deliver batches.

    `journal` and `owner` are set when the app is built.
    """

    _expected: dict[
        TP, int
    ]  # the offset that the next batch of a partition has to begin with, or before it
    _doubted: dict[TP, int]  # and where one began that left a hole

    async def getmany(self: Any, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109  Faust's signature
        """Fetch, and yield a message for each partition's records.

        Its offset is the last record's.
        """
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop or not self.flow_active:
            return
        for tp, fetched in records.items():
            if active is not None and tp not in active:
                continue
            if self._leaves_a_hole(tp, fetched[0].offset):
                await self.seek(tp, self._expected[tp])
                continue
            for start in range(0, len(fetched), RECORDS_MAX):
                if not self.flow_active or self.app.consumer_generation_id != generation:
                    return
                # Faust notes the last offset handed over, and drops what is below. It does so late:
                # after a seek back, the note of a batch from before it drops the first batches from
                # after it. Who works on them knows better.
                self._read_offset[tp] = None
                batch = fetched[start : start + RECORDS_MAX]
                self._expected[tp] = max(self._expected.get(tp, 0), batch[-1].offset + 1)
                yield tp, self._batch_message(tp, batch, generation)

    def _leaves_a_hole(self: Any, tp: TP, offset: int) -> bool:
        """Whether records before the offset are missing, and were not looked for again yet.

        A fetch that waits while partitions move may take records when the new place has been sought
        already but the flow stands still; they are dropped then, and the position stands behind
        them.
        """
        if offset <= self._expected.get(tp, offset) or self._doubted.get(tp) == offset:
            return False
        logger.warning(
            "%s: records from %d to %d are read again",
            tp,
            self._expected[tp],
            offset - 1,
            extra={"partition": tp.partition, "offset": self._expected[tp]},
        )
        self._doubted[tp] = offset
        return True

    def _batch_message(self, tp: TP, records: Any, generation: int) -> Any:
        last = records[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            0,
            [],
            None,
            records,
            None,
            0,
            0,
            tp,
            generation_id=generation,
        )

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Batches have no gaps: everything before a batch's last offset belongs to it."""

    def _new_offset(self: Any, tp: TP) -> int | None:
        """The offset to commit.

        Batches of a partition are acknowledged in order, so the newest one covers all.
        """
        acked = self._acked[tp]
        if not acked:
            return None
        newest = int(max(acked))
        acked.clear()
        self._acked_index[tp].clear()
        return newest + 1

    def on_buffer_full(self, tp: TP) -> None:
        """Nothing.

        A full queue blocks the fetcher by itself, while stock Faust would sleep for a second.
        """

    async def perform_seek(self: Any) -> None:
        """Seek to the committed offsets, but in the journal to where the state ends."""
        collect_seldom()
        await super().perform_seek()  # type: ignore[misc]  # the mixin's other base is a Faust consumer
        generation = self.app.consumer_generation_id
        self.app.owner.consumer = self
        self._doubted = {}
        self._expected = {tp: self._committed_offset.get(tp) or 0 for tp in self.assignment()}
        for tp in sorted(self.assignment()):
            if tp.topic == self.app.journal:
                self._expected[tp] = await self.app.owner.take_over(tp.partition, generation)
                await self.seek(tp, self._expected[tp])
        gc.unfreeze()  # what was set aside with the partitions of before may be needed no more
        spare_the_collector()

    async def on_partitions_revoked(self: Any, revoked: set[TP]) -> None:
        """Finish and commit what was applied before anybody else may have the partitions."""
        self.stop_flow()
        await self.app.owner.settle()
        await self.commit()
        await super().on_partitions_revoked(revoked)  # type: ignore[misc]  # as above
        self.app.owner.release()
        # What is still under way is acknowledged by nobody; a worker that is told to end would wait
        # for it for ever.
        self._unacked_messages.clear()


class BatchConsumer(BatchMixin, driver.Consumer):
    """aiokafka's consumer in Faust, by batches."""

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return PlainRecordsThread(self, loop=self.loop, beacon=self.beacon)


class BatchTransport(driver.Transport):
    """Faust's Kafka transport, by batches."""

    Consumer = BatchConsumer
