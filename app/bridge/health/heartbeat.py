"""The heartbeat that Tocsin sends: a monitor outside tells people when it does not come.

A dead Tocsin can tell nobody that it is dead. So it is asked for the opposite: once a minute the
bridge asks an address, and only while the journal takes appends and workers apply them, so that
effects really flow. A receiver that is down withholds nothing: others are reached.
"""

import asyncio
import logging

from aiohttp import ClientError, ClientSession, ClientTimeout

from app import metrics
from app.bridge.health.health_watch import HealthWatch
from app.bridge.health.problems import ProblemKind
from app.bridge.writer import JournalWriter
from app.transport.log import LogUnavailable

SECONDS = 60.0
ANSWER_SECONDS = 10.0
FATAL = frozenset(
    (
        ProblemKind.JOURNAL_AWAY,
        ProblemKind.NO_WORKER,
        ProblemKind.NO_TICKS,
        ProblemKind.BEHIND,
    )
)

logger = logging.getLogger("tocsin.health")


class Heartbeat:
    """Asks the address, which is a secret and is not logged."""

    def __init__(self, url: str, watch: HealthWatch, writer: JournalWriter) -> None:
        self._url, self._watch, self._writer = url, watch, writer
        self._result = "sent"  # the last one; a change is logged
        self._session: ClientSession | None = None
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to send."""
        self._session = ClientSession(timeout=ClientTimeout(total=ANSWER_SECONDS))
        self._beating = asyncio.create_task(self._beat_on())

    async def stop(self) -> None:
        """Send no more."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def beat(self) -> str:
        """Send one, unless effects do not flow: sent, failed or withheld."""
        reason = await self._reason_to_withhold()
        result = "withheld" if reason else await self._send()
        metrics.HEARTBEATS.labels(result).inc()
        if result != self._result:
            logger.warning("the heartbeat is %s%s", result, f": {reason}" if reason else "")
        self._result = result
        return result

    async def _beat_on(self) -> None:
        while True:
            await self.beat()
            await asyncio.sleep(SECONDS)

    async def _reason_to_withhold(self) -> str:
        try:
            await self._writer.probe()
        except LogUnavailable as error:
            return str(error)
        fatal = [item.text for item in await self._watch.now() if item.kind in FATAL]
        return "; ".join(fatal)

    async def _send(self) -> str:
        assert self._session is not None
        try:
            async with self._session.get(self._url, allow_redirects=False) as response:
                return "sent" if response.status < 300 else "failed"
        except (ClientError, OSError, TimeoutError, ValueError):
            return "failed"
