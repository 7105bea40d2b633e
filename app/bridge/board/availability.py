"""How much of this month each service was up, as metrics.

Read on from where the last scrape stopped.
"""

import asyncio

from app import metrics
from app.bridge.board.outages import OutageView
from app.bridge.writer import retrieve_error
from app.core.rules.compiled_policy import CompiledPolicy
from app.report.availability import availability_rows, month_of
from app.transport.log import Log, LogUnavailable

SCRAPE_SECONDS = 2.0  # for what is new: a scrape has five


class AvailabilityMetrics:
    """The gauges `tocsin_availability_*`, by service of the policy."""

    def __init__(self, log: Log, topic: str, partitions: int, policy: CompiledPolicy) -> None:
        self._log = log
        self.outages = OutageView(log, topic, partitions)
        self._targets = policy.policy.targets.availability
        self._reading: asyncio.Task[None] | None = None

    def use(self, policy: CompiledPolicy) -> None:
        """Tell of another policy's services from now on."""
        services = {availability.name for availability in policy.policy.targets.availability}
        for target in self._targets:
            if target.name not in services:
                for gauge in (metrics.UP, metrics.UP_TARGET, metrics.DOWN_SECONDS):
                    gauge.remove(target.name)
        self._targets = policy.policy.targets.availability

    async def refresh(self) -> None:
        """Read what is new in the timeline and set the gauges.

        Raises LogUnavailable, also when it takes too long; then the reading goes on, and the next
        scrape has what came of it.
        """
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(retrieve_error)
        try:
            async with asyncio.timeout(SCRAPE_SECONDS):
                await asyncio.shield(self._reading)
        except TimeoutError:
            raise LogUnavailable(f"the log did not answer within {SCRAPE_SECONDS:g} s") from None

    async def stop(self) -> None:
        """Give up a reading that goes on."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        ledger, now_ms = await self.outages.ledger(), self._log.now_ms()
        for row in availability_rows(self._targets, ledger, month_of("", now_ms), now_ms):
            metrics.UP.labels(row["service"]).set(row["up"] / 100)
            metrics.UP_TARGET.labels(row["service"]).set(row["target"] / 100)
            metrics.DOWN_SECONDS.labels(row["service"]).set(row["down_ms"] / 1000)
