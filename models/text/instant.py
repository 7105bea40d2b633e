"""Instants as Tocsin writes them: RFC 3339, in UTC, to the millisecond."""

from datetime import UTC, datetime
from functools import lru_cache

NEWEST_MS = 253402300799999  # the end of the year 9999; datetime knows no later time


@lru_cache(maxsize=1024)  # the effects of one record say the same few instants many times
def format_instant(at_ms: int) -> str:
    """`2026-04-12T03:15:02.007Z` for milliseconds since 1970."""
    return f"{_second(at_ms // 1000)}.{at_ms % 1000:03d}Z"


def milliseconds(instant: str) -> int:
    """The milliseconds since 1970 of an instant that `format_instant` wrote."""
    return round(datetime.fromisoformat(instant).timestamp() * 1000)


@lru_cache(maxsize=256)  # the effects of one moment share their second
def _second(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()[
        :19
    ]  # strftime would not fill up a year before 1000
