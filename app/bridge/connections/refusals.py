"""What the bridge refuses: counted by its reason, and logged once a reason and minute.

The sender is told each time. The log is for whoever runs the bridge, and who does not see the answers.
"""

import logging
import time

from app import metrics
from models.text.sanitize import inert

LOG_SECONDS = 60.0
_SHOWN_CHARACTERS = 300
logger = logging.getLogger("tocsin.bridge")

_logged: dict[str, float] = {}  # when each reason was logged, by the monotonic clock


def count_refusal(reason: str, message: str, number: int = 1) -> None:
    """Note that something was refused, or so many alerts for the same reason."""
    metrics.REFUSED.labels(reason).inc(number)
    now = time.monotonic()
    if now - _logged.get(reason, -LOG_SECONDS) >= LOG_SECONDS:
        _logged[reason] = now
        text = inert(message[:_SHOWN_CHARACTERS])
        logger.info("refused, %s: %s (more of this reason in a minute)", reason, text)


def forget_logged() -> None:
    """Log each reason again when it comes next (tests)."""
    _logged.clear()
