"""A tick into every partition owned, each second.

Time passes for the engines only through the journal. A tick says which run of a worker it is from,
and for how long that has run, by a clock that nobody sets. While a driven clock stands still,
whoever drives it appends the ticks: others would give the same alerts other offsets, and so other
ids, each time.
"""

import logging
from typing import Any

from app.clock import Clock
from app.transport.log import LogUnavailable
from app.worker.worker import Worker
from models.journal import TICK

logger = logging.getLogger("tocsin.ticks")


def attach_ticks(app: Any, worker: Worker, clock: Clock) -> None:
    """Give the app the timer."""

    @app.timer(1.0, name="tocsin.ticks")
    async def tick() -> None:
        if worker.ready.is_set() and not app.rebalancing and not clock.stands_still:
            # On a driven clock another time passes than that of this machine.
            value = TICK if clock.is_driven else worker.health.next_tick()
            try:
                await worker.tick(value)
            except LogUnavailable as error:
                # Faust would take it for the end of the app. Time goes on with the next tick that
                # the journal takes.
                logger.warning("time stands still: %s", error)
            worker.health.observe(worker.pipes)
