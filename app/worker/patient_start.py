"""A start that waits for a log which is away, and that SIGTERM ends."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

from app.transport.log import LogAway

RETRY_SECONDS = 2.0  # between two tries
TOLD_SECONDS = 60.0  # between two lines that say the same
GIVE_UP_SECONDS = 5.0  # for what has begun, when a start is given up

logger = logging.getLogger("tocsin")


async def started(
    start: Callable[[], Awaitable[None]],
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Call `start` until it does not raise for a log that is away. Raises what else it raises.

    The first failure is logged, and then one a minute.
    """
    told = -TOLD_SECONDS
    waited = False
    while True:
        try:
            await start()
        except LogAway as error:
            if not waited or clock() - told >= TOLD_SECONDS:
                logger.warning("waiting: %s", error)
                told, waited = clock(), True
            await pause(RETRY_SECONDS)
        else:
            if waited:
                logger.warning("Kafka answers")
            return


@asynccontextmanager
async def stop_signal() -> AsyncIterator[asyncio.Event]:
    """An event that SIGTERM or SIGINT sets, while somebody starts."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    yield told


async def unless_stopped(work: Awaitable[None], told: asyncio.Event) -> bool:
    """Whether the work was done before somebody said stop. Else it is given up. Raises what it raises."""
    working = asyncio.ensure_future(work)
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if working.done():
        await working
        return True
    working.cancel()
    await asyncio.wait({working}, timeout=GIVE_UP_SECONDS)
    return False


def leave_at_once() -> NoReturn:
    """End with status 0, in the middle of a start.

    Nothing was acknowledged yet, so there is nothing to finish: an end like this one is what
    `kill -9` does.
    """
    logger.info("stopping")
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)
