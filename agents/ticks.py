"""A tick into every partition owned, each second.

Time passes for the engines only through the journal. While a driven clock stands still, whoever
drives it appends the ticks: others would give the same alerts other offsets, and so other ids, each
time.
"""

import logging
from typing import Any

from app.clock import Clock
from app.transport.log import LogUnavailable
from app.worker.worker import Worker

logger = logging.getLogger("tocsin.ticks")


def attach_ticks(app: Any, worker: Worker, clock: Clock) -> None:
    """Give the app the timer."""

    @app.timer(1.0, name="tocsin.ticks")
    async def tick() -> None:
        if worker.ready.is_set() and not app.rebalancing and not clock.stands_still:
            try:
                await worker.tick()
            except LogUnavailable as error:
                # Faust would take it for the end of the app. Time goes on with the next tick that
                # the journal takes.
                logger.warning("time stands still: %s", error)
