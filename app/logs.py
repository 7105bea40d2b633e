"""The log on standard error: a line an event, and nothing in it that a terminal would obey, whoever said it."""

import logging
import sys
from types import TracebackType

from models.inert import inert, inert_lines

_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class InertFormatter(logging.Formatter):
    """Formats a record on one line; only the traceback behind it has lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        """The record's line."""
        return inert(super().formatMessage(record))

    def formatException(self, ei: _Raised) -> str:  # noqa: N802  as above
        """The traceback."""
        return inert_lines(super().formatException(ei))


def to_stderr() -> None:
    """Log what is ours from INFO on, and of others what they warn of: their requests, in DEBUG, have passwords in them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(InertFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("tocsin").setLevel(logging.INFO)
