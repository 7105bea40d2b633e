"""What the deliverer reads, from Kafka: a consumer group shares the partitions among all notifiers.

Partition N of the notifications and partition N of the deliveries always have the same owner (`RangePartitionAssignor`, and
as many partitions of both). The position is in `tocsin.deliveries`; what is committed to the group is for people who watch lag.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError

from app.notifier.runtime.deliverer import Deliverer
from app.transport.log import LogUnavailable, StoredRecord
from models.topics import Topics

POLL_MS = 500
FETCH_BYTES = 2 * 1024 * 1024
SESSION_MS = 10_000  # after a kill -9 the partitions wait for so long
RETRY_S = 1.0

logger = logging.getLogger("tocsin.notifier")


class KafkaFeed(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """A member of the notifiers' consumer group."""

    def __init__(
        self, servers: list[str], security: Mapping[str, Any], topics: Topics, deliverer: Deliverer
    ) -> None:
        self._topics = topics
        self._deliverer = deliverer
        self._owned: set[int] = set()
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=servers,
            group_id=f"{topics.prefix}.notifier",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            partition_assignment_strategy=[RangePartitionAssignor],
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=SESSION_MS // 5,
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_wait_ms=100,
            **security,
        )

    async def follow(self) -> None:
        """Join the group and hand over what is appended, until cancelled. Raises LogUnavailable."""
        try:
            await self._consumer.start()
        except KafkaError as error:
            await self._consumer.stop()
            raise LogUnavailable(
                f"Kafka does not let the notifier join its group: {error!r}"
            ) from None
        self._consumer.subscribe(
            [self._topics.notifications, self._topics.deliveries], listener=self
        )
        try:
            while True:
                try:
                    fetched = await self._consumer.getmany(timeout_ms=POLL_MS)
                except KafkaError as error:
                    logger.warning("Kafka does not answer the notifier: %r", error)
                    await asyncio.sleep(RETRY_S)
                    continue
                await self._hand_over(fetched)
        finally:
            await self._consumer.stop()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Take over, and read on from where the last owner was."""
        for partition in sorted({place.partition for place in assigned} - self._owned):
            places = await self._take_over(partition)
            self._owned.add(partition)
            notifications = TopicPartition(self._topics.notifications, partition)
            self._consumer.seek(notifications, places.notifications)
            self._consumer.seek(
                TopicPartition(self._topics.deliveries, partition), places.deliveries
            )

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Finish, and give up."""
        partitions = {place.partition for place in revoked} & self._owned
        self._owned -= partitions
        await asyncio.gather(*(self._deliverer.release(partition) for partition in partitions))

    async def _take_over(self, partition: int) -> Any:
        reported = False
        while True:
            try:
                return await self._deliverer.take_over(partition)
            except LogUnavailable as error:
                if not reported:
                    ids = {"partition": partition}
                    text = "deliveries %d cannot be taken over yet: %s"
                    logger.warning(text, partition, error, extra=ids)
                    reported = True
                await asyncio.sleep(RETRY_S)

    async def _hand_over(self, fetched: Mapping[TopicPartition, list[Any]]) -> None:
        offsets = {}
        for place, records in fetched.items():
            if place.partition not in self._owned:
                continue
            stored = [
                StoredRecord(
                    record.offset, record.timestamp, record.key, record.value, record.headers
                )
                for record in records
            ]
            if place.topic == self._topics.deliveries:
                self._deliverer.on_deliveries(place.partition, stored)
            else:
                await self._deliverer.on_notifications(place.partition, stored)
            offsets[place] = records[-1].offset + 1
        if offsets:
            with suppress(KafkaError):  # nothing depends on it
                await self._consumer.commit(offsets)
