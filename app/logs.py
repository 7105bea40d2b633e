"""The log on standard error, as text or as JSON (`TOCSIN_LOG_FORMAT`).

A line an event, and nothing in it that a terminal would obey, whoever said it. What goes on is told
once a minute, not at each attempt.
"""

import json
import logging
import os
import re
import ssl
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType

from models.log_format import LogFormat
from models.text.sanitize import inert, inert_lines

_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


OURS = "tocsin"
MINUTE_S = 60.0
CAUSES_MAX = 1000  # that are remembered; beyond it those of the last minute only
BROKER_AWAY = "the broker is away"
# What a record may be about, where the caller knows it (`extra`); each is a field in JSON.
ID_FIELDS = ("incident", "notification", "contact", "partition", "offset")
# What aiokafka, and we, say again and again while a broker cannot be reached.
_AWAY = re.compile(
    r"NodeNotReady|KafkaConnectionError|ConnectionError|Connect call failed|Unable connect|does not answer"
    r"|Unable to update metadata|CoordinatorNotAvailable|coordinator dead|Connection at .* closed"
)
_NUMBER = re.compile(r"\d+")


class InertFormatter(logging.Formatter):
    """Formats a record on one line; only the traceback behind it has lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        """The record's line, with the number of those like it that were left out before it."""
        left_out: int = getattr(record, "left_out", 0)
        more = f" ({left_out} more like it since the last line)" if left_out else ""
        return inert(super().formatMessage(record) + more)

    def formatException(self, ei: _Raised) -> str:  # noqa: N802  as above
        """The traceback."""
        return inert_lines(super().formatException(ei))


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, with its ids as fields (`ID_FIELDS`).

    Everything beyond ASCII is escaped, so a terminal obeys nothing in it. `time` is RFC 3339 in
    UTC with milliseconds; `left_out` counts the records like it since the last line.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        written = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, object] = {
            "time": written.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {name: record.__dict__[name] for name in ID_FIELDS if name in record.__dict__}
        left_out: int = getattr(record, "left_out", 0)
        if left_out:
            fields["left_out"] = left_out
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        # JSON's escapes leave DEL as it is.
        return json.dumps(fields, default=str).replace("\x7f", "\\u007f")


class OnceAMinute(logging.Filter):
    """Lets a warning or an error through once a minute for each cause, and counts the rest.

    Time is the records' own. Critical records, and ours with a traceback, always pass: each of
    them is an event of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._passed_s: dict[tuple[str, str], float] = {}
        self._left_out: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written; if so, it carries how many were left out before it."""
        if not _repeats(record):
            return True
        cause = _cause(record)
        passed_s = self._passed_s.get(cause)
        if passed_s is not None and record.created - passed_s < MINUTE_S:
            self._left_out[cause] = self._left_out.get(cause, 0) + 1
            return False
        if len(self._passed_s) >= CAUSES_MAX:
            self._forget(record.created - MINUTE_S)
        self._passed_s[cause] = record.created
        record.left_out = self._left_out.pop(cause, 0)
        return True

    def _forget(self, before_s: float) -> None:
        old = [cause for cause, passed_s in self._passed_s.items() if passed_s <= before_s]
        for cause in old or list(self._passed_s):
            del self._passed_s[cause]
            self._left_out.pop(cause, None)


def _repeats(record: logging.LogRecord) -> bool:
    """Whether a record may be one of many about the same thing."""
    if not logging.WARNING <= record.levelno < logging.CRITICAL:
        return False
    return not (_is_ours(record) and record.exc_info)


def _cause(record: logging.LogRecord) -> tuple[str, str]:
    """What a record is about: whose it is, and the reason.

    While a broker is away aiokafka writes a dozen different messages; to whoever reads them they
    are one. Two messages of ours with different numbers, such as partitions, are two.
    """
    message = record.getMessage()
    owner = OURS if _is_ours(record) else "others"
    if _AWAY.search(message):
        return owner, BROKER_AWAY
    text = message if owner == OURS else _NUMBER.sub("", message)
    return owner, f"{record.name}: {text[:200]}"


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.split(".")[0] == OURS


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


def to_stderr(environ: Mapping[str, str] = os.environ) -> None:
    """Log what is ours from INFO on, and of others what they warn of.

    Their requests, in DEBUG, have passwords in them. Faust's and aiokafka's lines go the same way.
    A format that is none is text here; `app.settings` refuses it.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(environ.get("TOCSIN_LOG_FORMAT", "")))
    handler.addFilter(OnceAMinute())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger(OURS).setLevel(logging.INFO)
    logging.getLogger("asyncio").addFilter(is_news)


def _formatter(log_format: str) -> logging.Formatter:
    if log_format == LogFormat.JSON:
        return JsonFormatter()
    return InertFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
