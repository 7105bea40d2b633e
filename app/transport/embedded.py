"""A Faust transport over a SqliteLog: the same app, agents and worker, in one process, with no broker.

All partitions are assigned at once, and stay. What stock Faust expects of a transport's consumer is
kept, but what only a group of processes needs has nothing to do here.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from faust.transport import base
from faust.types import TP

from app.transport.batches import BatchMixin
from app.transport.sqlite import SqliteLog

GENERATION = 1
FETCH_SECONDS = (
    0.01  # between two fetches: many requests make few batches, and it is batches that Faust costs
)


class Consumer(BatchMixin, base.Consumer):
    """Reads the subscribed topics of the log, a batch of each partition at a time."""

    app: Any  # app.factory.TocsinApp, which this module must not import

    def on_init(self) -> None:
        """Start with nothing assigned."""
        self._assigned: set[TP] = set()
        self._positions: dict[TP, int] = {}
        self._rested = 0.0  # since when the next fetch may be, by the loop's clock

    @property
    def _log(self) -> SqliteLog:
        log: SqliteLog = self.app.tocsin_log
        return log

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Assign every partition of the topics, in a task of its own.

        Faust waits for the subscription meanwhile.
        """
        self._assigned = {
            TP(topic, partition) for topic in topics for partition in range(self.app.partitions)
        }
        self.app.consumer_generation_id = GENERATION
        self.add_future(self._assign())

    async def _assign(self) -> None:
        self.app.on_rebalance_start()
        await self.on_partitions_revoked(set())
        await self.on_partitions_assigned(set(self._assigned), GENERATION)

    async def _getmany(
        self,
        active_partitions: set[TP] | None,
        timeout: float,  # noqa: ASYNC109  as in Faust
    ) -> dict[TP, list[Any]]:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(self._rested - loop.time(), 0))
        fetched = await self._fetch(active_partitions)
        if not fetched:
            try:
                await asyncio.wait_for(self._log.appended.wait(), timeout)
            except TimeoutError:
                return {}
            fetched = await self._fetch(active_partitions)
        self._rested = loop.time() + FETCH_SECONDS
        return fetched

    async def _fetch(self, active_partitions: set[TP] | None) -> dict[TP, list[Any]]:
        if not self.flow_active:
            return {}
        self._log.appended.clear()
        fetched = {}
        for tp in sorted(self._assigned if active_partitions is None else active_partitions):
            position = self._positions.get(tp, 0)
            if position >= self._log.written(tp.topic, tp.partition):
                continue  # without asking the file, of each partition, at each append
            records = await self._log.read(tp.topic, tp.partition, position)
            if records:
                fetched[tp] = records
                self._positions[tp] = records[-1].offset + 1
        return fetched

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go on where the group left off."""
        committed = {tp: self._log.committed(tp.topic, tp.partition) for tp in self._assigned}
        self._positions = {tp: offset or 0 for tp, offset in committed.items()}
        return {tp: offset for tp, offset in committed.items() if offset is not None}

    async def _seek(self, partition: TP, offset: int) -> None:
        self._positions[partition] = offset

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek several partitions."""
        for tp, offset in partitions.items():
            await self.seek(tp, offset)

    async def seek_to_beginning(self, *partitions: TP) -> None:
        """Seek to the oldest records."""
        for tp in partitions:
            await self.seek(tp, 0)

    async def position(self, tp: TP) -> int | None:
        """The offset that is read next."""
        return self._positions.get(tp)

    def assignment(self) -> set[TP]:
        """All partitions of the subscribed topics."""
        return set(self._assigned)

    def highwater(self, tp: TP) -> int:
        """The end of what has been read."""
        return self._positions.get(tp, 0)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """The ends of partitions."""
        return {tp: await self._log.end_offset(tp.topic, tp.partition) for tp in partitions}

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """The oldest offsets of partitions."""
        return {tp: await self._log.start_offset(tp.topic, tp.partition) for tp in partitions}

    def topic_partitions(self, topic: str) -> int | None:  # noqa: ARG002  Faust's signature
        """The number of partitions, the same for all topics."""
        partitions: int = self.app.partitions
        return partitions

    def key_partition(
        self, topic: str, key: bytes | None, partition: int | None = None
    ) -> int | None:
        """Not used: Tocsin chooses partitions itself (`models.topics.partition_of`)."""
        raise NotImplementedError(topic, key)

    async def create_topic(self, *_: Any, **__: Any) -> None:
        """Nothing: `ensure_topics` has done it."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        for tp, offset in offsets.items():
            if tp.topic != self.app.journal:  # the journal's position stands in the state
                self._log.commit(tp.topic, tp.partition, offset)
        return True

    def _to_message(self, tp: TP, record: Any) -> Any:
        raise NotImplementedError(tp, record)

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: there is no broker that could stop answering."""


class Producer(base.Producer):
    """Faust's own producer has nothing to send: everything durable goes through the log."""

    async def flush(self) -> None:
        """Nothing is buffered."""

    def supports_headers(self) -> bool:
        """Records have headers."""
        return True


class Transport(base.Transport):
    """The transport of an app with an embedded journal."""

    Consumer = Consumer
    Producer = Producer
    default_port = 0
    driver_version = "sqlite"
