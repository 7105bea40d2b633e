"""The log on standard error.

A line an event, and nothing in it that a terminal would obey, whoever said it.
"""

import logging
import ssl
import sys
from types import TracebackType

from models.sanitize import inert, inert_lines

_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class InertFormatter(logging.Formatter):
    """Formats a record on one line; only the traceback behind it has lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        """The record's line."""
        return inert(super().formatMessage(record))

    def formatException(self, ei: _Raised) -> str:  # noqa: N802  as above
        """The traceback."""
        return inert_lines(super().formatException(ei))


def is_news(record: logging.LogRecord) -> bool:
    """Whether a record of asyncio's tells anybody anything.

    A stream that breaks tells its reader, and keeps the same error for whoever waits for its end;
    nobody does of those that aiokafka gives up, and asyncio says so, with a traceback, when they
    are collected, at any time after the reason was told.
    """
    error = record.exc_info[1] if record.exc_info else None
    forgotten = (
        record.msg.startswith("Future exception was never retrieved")
        if isinstance(record.msg, str)
        else False
    )
    return not (forgotten and isinstance(error, ssl.SSLError | ConnectionError))


def to_stderr() -> None:
    """Log what is ours from INFO on, and of others what they warn of.

    Their requests, in DEBUG, have passwords in them.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(InertFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("tocsin").setLevel(logging.INFO)
    logging.getLogger("asyncio").addFilter(is_news)
