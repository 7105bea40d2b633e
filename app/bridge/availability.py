"""How much of this month each service was up, as metrics.

Read on from where the last scrape stopped.
"""

import orjson

from app import metrics
from app.core.rules.compiled_policy import Rulebook
from app.history.topic_reader import TopicReader, Turnstile
from app.report.availability import Ledger, availability, month_before, month_of
from app.transport.log import Log

# Most of a timeline is about something else, and need not be parsed.
_ABOUT = (b'"kind":"ServiceDown"', b'"kind":"ServiceUp"', b'"kind":"Closed"')


class AvailabilityMetrics:
    """The gauges `tocsin_availability_*`, by service of the policy."""

    def __init__(self, log: Log, topic: str, partitions: int, policy: Rulebook) -> None:
        self._log, self._partitions = log, partitions
        self._reader, self._turnstile = TopicReader(log, topic, partitions), Turnstile()
        self._targets = policy.policy.targets.availability
        self._ledger = Ledger()

    def use(self, policy: Rulebook) -> None:
        """Tell of another policy's services from now on."""
        services = {one.name for one in policy.policy.targets.availability}
        for one in self._targets:
            if one.name not in services:
                for gauge in (metrics.UP, metrics.UP_TARGET, metrics.DOWN_SECONDS):
                    gauge.remove(one.name)
        self._targets = policy.policy.targets.availability

    async def refresh(self) -> None:
        """Read what is new in the timeline and set the gauges."""
        async with self._turnstile as needed:
            for partition in range(self._partitions if needed else 0):
                while (news := await self._reader.chunk(partition)) is not None:
                    for one in news:
                        if any(about in one.value for about in _ABOUT):
                            self._ledger.feed(orjson.loads(one.value))
        now_ms = self._log.now_ms()
        month = month_of("", now_ms)
        self._ledger.forget(month_before(month)[0])
        for row in availability(self._targets, self._ledger, month, now_ms):
            metrics.UP.labels(row["service"]).set(row["up"] / 100)
            metrics.UP_TARGET.labels(row["service"]).set(row["target"] / 100)
            metrics.DOWN_SECONDS.labels(row["service"]).set(row["down_ms"] / 1000)
