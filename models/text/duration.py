"""Durations as people write them in Prometheus and Alertmanager: 90s, 15m, 1h30m, 2d."""

import re

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PART = re.compile(r"([0-9]{1,100})(ms|s|m|h|d|w)")
_WHOLE = re.compile(r"([0-9]{1,100}(ms|s|m|h|d|w))+")


def parse_ms(text: str) -> int:
    """The duration in milliseconds.

    Raises ValueError that says what was found and what is expected.
    """
    if text == "0":
        return 0
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"is {text!r:.60}, must be a duration such as 90s, 15m, 1h30m or 2d")
    return sum(int(number) * _UNITS_MS[unit] for number, unit in _PART.findall(text))


def format_ms(duration_ms: int) -> str:
    """The duration as people write it, in its two largest units at most: 1h30m, 15m, 45s."""
    parts = []
    rest = max(duration_ms, 0)
    for unit in ("d", "h", "m", "s"):
        number, rest = divmod(rest, _UNITS_MS[unit])
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts[:2]) or "0s"


def write_ms(duration_ms: int) -> str:
    """The duration in all its units, so that `parse_ms` reads the same: 1d2h30m, 90ms, 0s."""
    parts = []
    rest = duration_ms
    for unit in ("d", "h", "m", "s", "ms"):
        number, rest = divmod(rest, _UNITS_MS[unit])
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"
