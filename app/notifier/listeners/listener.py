"""A listener's life: it listens until it is told to stop, and comes back after whatever goes wrong."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from app.notifier.ledger.circuit import backoff_ms
from app.notifier.outcome import Refused, TryAgain
from models.text.sanitize import inert

RETRY_MS, RETRY_MS_MAX = 1000, 60_000

logger = logging.getLogger("tocsin.notifier")


class Listener(Protocol):
    """Listens to one chat service."""

    name: str  # for the log

    async def listen(self, on_connected: Callable[[], None]) -> None:
        """Listen until the connection ends. Raises TryAgain and Refused.

        It calls `on_connected` once the service has answered.
        """


async def keep_listening(listener: Listener, jitter: Callable[[], float]) -> None:
    """Listen until cancelled. After each failure in a row it waits twice as long, at most a minute.

    Messages have to go out whatever a chat sends, so a fault of ours here is logged and tried again
    like any other failure.
    """
    failures = 0

    def on_connected() -> None:
        nonlocal failures
        failures = 0
        logger.debug("%s: listens to what comes back", listener.name)

    while True:
        asked_ms = 0.0
        try:
            await listener.listen(on_connected)
        except TryAgain as error:
            asked_ms = (error.retry_after_s or 0) * 1000
            logger.warning("%s: nothing comes back for now: %s", listener.name, inert(str(error)))
            failures += 1
        except Refused as error:
            text = inert(str(error))
            logger.error("%s: nothing comes back: %s", listener.name, text)  # noqa: TRY400
            failures += 1
        except Exception:
            logger.exception("%s: a fault of Tocsin's", listener.name)
            failures += 1
        wait_ms = backoff_ms(max(failures - 1, 0), jitter(), RETRY_MS, RETRY_MS_MAX)
        await asyncio.sleep(max(asked_ms, wait_ms) / 1000)
