"""A log for as long as something is asked of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.transport.log import Readable

L = TypeVar("L", bound=Readable)
T = TypeVar("T")


def using(log: L, use: Callable[[L], Awaitable[T]]) -> T:
    """What comes of using a log, which is started before and stopped after it, also when it did not start."""

    async def run() -> T:
        try:
            await log.start()
            return await use(log)
        finally:
            await log.stop()

    return asyncio.run(run())
