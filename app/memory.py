"""Memory that is free goes back to the system.

The C library keeps what its threads have freed, in pieces between what is in use, and a service whose alerts come and go
would seem to grow for hours.
"""

import asyncio
import ctypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

EVERY_SECONDS = 60.0


def give_back() -> None:
    """Give whole pages that nothing stands in back to the system, where the C library can (glibc): some ms."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@asynccontextmanager
async def given_back() -> AsyncIterator[None]:
    """Do so every minute, in a thread, for as long as the context lasts."""

    async def on_and_on() -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await asyncio.to_thread(give_back)

    task = asyncio.create_task(on_and_on(), name="memory")
    try:
        yield
    finally:
        task.cancel()
