"""One try: a channel is asked, and whatever it does is an answer."""

import asyncio
import logging

from app.notifier.channel import Channel
from app.notifier.ledger.delivery import Attempt
from app.notifier.ledger.ledger import Failure
from app.notifier.outcome import Refused, Sent, TryAgain

logger = logging.getLogger("tocsin.notifier")


async def send(
    channel: Channel, attempt: Attempt, address: str, timeout_s: float
) -> Sent | Failure:
    """What came of it."""
    notification = attempt.notification
    try:
        async with asyncio.timeout(timeout_s):
            return await channel.send(notification, address, attempt.memory, notification.id)
    except TimeoutError:
        return Failure(f"no answer within {timeout_s:g} s")
    except TryAgain as error:
        after_s = error.retry_after_s
        return Failure(str(error), retry_after_ms=None if after_s is None else int(after_s * 1000))
    except Refused as error:
        return Failure(str(error), permanent=True)
    except Exception:  # a fault of a channel of ours must not hold up the others
        logger.exception(
            "a fault in the channel %s with %s",
            channel.kind,
            notification.id,
            extra={
                "notification": notification.id,
                "incident": notification.incident,
                "contact": notification.receiver,
            },
        )
        return Failure("a fault of the notifier, which its log has", permanent=True)
