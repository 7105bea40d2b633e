"""Memory that is free goes back to the system, and the state, which lives long, is looked through for cycles once.

The C library keeps what its threads have freed, in pieces between what is in use, and a service
whose alerts come and go would seem to grow for hours.
"""

import asyncio
import ctypes
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

EVERY_SECONDS = 60.0
GC_THRESHOLD = (
    200_000  # allocations before the youngest generation is looked at; Python's default is 700
)


def give_back() -> None:
    """Give whole pages that nothing stands in back to the system, where the C library can (glibc).

    Some ms.
    """
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


def collect_seldom() -> None:
    """Let the collector look seldom: state, records and effects make no cycles.

    Before a state is loaded: with Python's own thresholds a quarter of the time goes to the collector.
    """
    gc.set_threshold(GC_THRESHOLD, 50, 100)


def spare_the_collector() -> None:
    """The same, and keep the collector from walking what is there again and again."""
    gc.collect()
    gc.freeze()
    collect_seldom()
