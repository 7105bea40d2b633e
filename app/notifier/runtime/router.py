"""From notifications to requests: each goes to the partition of its contact, with the position that it came from."""

import asyncio
import logging
from collections.abc import Sequence

from app.history.effects import once
from app.notifier.ledger.contacts import contact_key
from app.notifier.runtime import metrics
from app.notifier.runtime.decoding import decode
from app.notifier.runtime.records import request_record
from app.transport.log import Log, LogUnavailable, NewRecord, StoredRecord, append_all
from models.effect import Position
from models.reason import BadInput
from models.topics import partition_of

NEVER = Position(-1, -1)
RETRY_S = 1.0

logger = logging.getLogger("tocsin.notifier")


class DeliveriesTopic:
    """Appends to `tocsin.deliveries`; appends to one partition go one after the other."""

    def __init__(self, log: Log, topic: str, partitions: int) -> None:
        self.topic = topic
        self._log = log
        self._locks = [asyncio.Lock() for _ in range(partitions)]

    async def append(self, partition: int, records: Sequence[NewRecord]) -> None:
        """Append all as one batch, where one batch has room for it. Raises LogUnavailable."""
        async with self._locks[partition]:
            await append_all(self._log, self.topic, partition, records)

    async def append_whole(self, partition: int, records: Sequence[NewRecord]) -> None:
        """Append all or nothing, to a partition that is claimed. Raises LogUnavailable, Fenced."""
        async with self._locks[partition]:
            await self._log.append(self.topic, partition, records)

    async def give_up(self, partition: int) -> None:
        """End the claim of a partition: requests for its new owner are appended to it as by anybody."""
        async with self._locks[partition]:
            await self._log.give_up(self.topic, partition)


class Router:
    """Hands notifications on."""

    def __init__(self, topic: DeliveriesTopic, partitions: int) -> None:
        self._topic = topic
        self._partitions = partitions

    async def route(
        self, source: int, records: Sequence[StoredRecord], seen: Position | None
    ) -> Position | None:
        """Write a request for each notification that is past `seen`; the newest position.

        Returns once all of them are acknowledged, however long that takes.
        """
        newest = seen
        requests: dict[int, list[NewRecord]] = {}
        for position, value, _ in once(records, seen or NEVER):
            newest = position
            try:
                contact = contact_key(decode(value))
            except BadInput as error:
                metrics.UNREADABLE.inc()
                text = "a notification at %s is not delivered: %s"
                ids = {"partition": source, "offset": position.offset}
                logger.error(text, position, error.message, extra=ids)  # noqa: TRY400
                continue
            record = request_record(contact, source, position, value)
            requests.setdefault(partition_of(contact.encode(), self._partitions), []).append(record)
        await asyncio.gather(*(self._append(*request) for request in requests.items()))
        return newest

    async def _append(self, partition: int, records: Sequence[NewRecord]) -> None:
        reported = False
        while True:
            try:
                await self._topic.append(partition, records)
            except LogUnavailable as error:
                if not reported:
                    logger.warning("notifications wait for %s: %s", self._topic.topic, error)
                    reported = True
                await asyncio.sleep(RETRY_S)
            else:
                return
