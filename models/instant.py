"""Instants as Tocsin writes them: RFC 3339, in UTC, to the millisecond."""

from datetime import UTC, datetime


def format_instant(at_ms: int) -> str:
    """`2026-04-12T03:15:02.007Z` for milliseconds since 1970."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"
