"""Which incident a message of ours is about: what the channels remember of what they sent."""

from collections.abc import Callable, Collection
from typing import Any

from app.notifier.memory import recall
from app.notifier.runtime.deliverer import Deliverer
from app.notifier.runtime.records import kept_in
from app.transport.log import Log, StoredRecord

Fits = Callable[[dict[str, Any]], bool]


class SentMessages:
    """Looks through the memories of this process, then through those of other notifiers."""

    def __init__(self, log: Log, topic: str, partitions: int, deliverer: Deliverer) -> None:
        self._log, self._topic, self._partitions = log, topic, partitions
        self._deliverer = deliverer

    def owns(self, partition: int) -> bool:
        """Whether this process delivers for a partition."""
        return self._deliverer.owns(partition)

    async def incident_of(self, receivers: Collection[str], mark: str, fits: Fits) -> str | None:
        """The incident whose memory at one of the receivers holds `mark` and fits; None for no message of ours.

        Raises LogUnavailable.
        """
        for receiver, incident, memory in self._deliverer.memories():
            if receiver in receivers and mark in memory and fits(recall(memory)):
                return incident
        for partition in range(self._partitions):
            if self._deliverer.owns(partition):
                continue
            kept = kept_in(await self._read(partition), partition)
            for (_, incident), story in kept.stories.items():
                for receiver, thread in story.threads.items():
                    known = receiver in receivers and mark in thread.memory
                    if known and fits(recall(thread.memory)):
                        return incident
        return None

    async def _read(self, partition: int) -> list[StoredRecord]:
        offset = await self._log.start_offset(self._topic, partition)
        records: list[StoredRecord] = []
        while batch := await self._log.read(self._topic, partition, offset):
            records += batch
            offset = batch[-1].offset + 1
        return records
