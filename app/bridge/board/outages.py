"""When services were down, from the timeline: what is new is read when somebody asks."""

import orjson

from app.history.topic_reader import TopicReader, Turnstile
from app.report.availability import OutageLedger
from app.transport.log import Readable
from models.topics import DAY_MS

KEPT_MS = 100 * DAY_MS  # longer than the timeline is kept

# Most of a timeline is about something else, and need not be parsed.
_ABOUT = (b'"kind":"ServiceDown"', b'"kind":"ServiceUp"', b'"kind":"Closed"')


class OutageView:
    """A ledger of outages. With `kept_ms` those that ended longer ago are dropped."""

    def __init__(
        self, log: Readable, topic: str, partitions: int, kept_ms: int | None = KEPT_MS
    ) -> None:
        self._log, self._topic, self._partitions = log, topic, partitions
        self._kept_ms = kept_ms
        self._reader, self._turnstile = TopicReader(log, topic, partitions), Turnstile()
        self._ledger = OutageLedger()

    async def ledger(self) -> OutageLedger:
        """The outages, up to now."""
        async with self._turnstile as needed:
            for partition in range(self._partitions) if needed else ():
                while (news := await self._reader.next_chunk(partition)) is not None:
                    for item in news:
                        if any(about in item.value for about in _ABOUT):
                            self._ledger.feed(orjson.loads(item.value))
        if self._kept_ms is not None:
            self._ledger.forget(self._log.now_ms() - self._kept_ms)
        return self._ledger

    async def kept_from_ms(self) -> int:
        """From when on the timeline is whole; 0 when nothing of it is gone.

        What is not known any more counts as up.
        """
        kept_ms = 0
        for partition in range(self._partitions):
            start = await self._log.start_offset(self._topic, partition)
            oldest = await self._log.read(self._topic, partition, start, 1) if start else []
            if oldest:
                kept_ms = max(kept_ms, oldest[0].timestamp)
        return kept_ms
