"""A tick into every partition owned, each second.

Time passes for the engines only through the journal.
"""

import logging
from typing import Any

from app.transport.log import LogUnavailable
from app.worker.worker import Worker

logger = logging.getLogger("tocsin.ticks")


def attach(app: Any, worker: Worker) -> None:
    """Give the app the timer."""

    @app.timer(1.0, name="tocsin.ticks")
    async def tick() -> None:
        if worker.ready.is_set() and not app.rebalancing:
            try:
                await worker.tick()
            except LogUnavailable as error:
                # Faust would take it for the end of the app. Time goes on with the next tick that
                # the journal takes.
                logger.warning("time stands still: %s", error)
