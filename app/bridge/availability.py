"""How much of this month each service was up, as metrics: read on from where the last scrape stopped."""

from typing import Any

import orjson

from app import metrics
from app.bridge.reading import TopicReader, Turnstile
from app.core.rulebook import Rulebook
from app.report.availability import month_of, outages, share
from app.transport.log import Log

ENTRIES_MAX = 100_000  # beginnings and ends of outages that are remembered, the newest


class AvailabilityMetrics:
    """The gauges `tocsin_availability_*`, by service of the policy."""

    def __init__(self, log: Log, topic: str, partitions: int, policy: Rulebook) -> None:
        self._log, self._partitions = log, partitions
        self._reader, self._turnstile = TopicReader(log, topic, partitions), Turnstile()
        self._targets = policy.policy.targets.availability
        self._entries: list[dict[str, Any]] = []

    async def refresh(self) -> None:
        """Read what is new in the timeline and set the gauges."""
        async with self._turnstile as needed:
            for partition in range(self._partitions if needed else 0):
                while (news := await self._reader.chunk(partition)) is not None:
                    documents = (orjson.loads(one.value) for one in news if b'"Service' in one.value)
                    self._entries += [one for one in documents if one["kind"] in ("ServiceDown", "ServiceUp")]
            del self._entries[:-ENTRIES_MAX]
        now_ms = self._log.now_ms()
        spans, month = outages(self._entries, now_ms), month_of("", now_ms)
        for target in self._targets:
            found = share(spans.get(target.name, []), month, now_ms)
            metrics.UP.labels(target.name).set(found["up"] / 100)
            metrics.UP_TARGET.labels(target.name).set(target.target / 100)
            metrics.DOWN_SECONDS.labels(target.name).set(found["down_ms"] / 1000)
