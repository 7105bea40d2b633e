"""How much of a month each service was up, from when incidents had it down and when no more.

A service is down while at least one incident has it down. Months are UTC's.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

Span = tuple[int, int]


def month_of(text: str, now_ms: int) -> Span:
    """Begin and end of a month such as 2026-11 in ms; the one of now for an empty text. Raises ValueError."""
    if not text:
        text = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m")
    try:
        begin = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"the month is {text!r}, must be such as 2026-11") from None
    end = begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)
    return round(begin.timestamp() * 1000), round(end.timestamp() * 1000)


def outages(timeline: Iterable[dict[str, Any]], now_ms: int) -> dict[str, list[Span]]:
    """When each service was down, as spans in order of time that do not touch. What is down still lasts until now."""
    begun: dict[tuple[str, str], int] = {}
    spans: dict[str, list[Span]] = {}
    for entry in sorted(timeline, key=lambda one: str(one["at"])):
        if entry["kind"] not in ("ServiceDown", "ServiceUp"):
            continue
        key, at_ms = (entry["service"], entry["incident"]), _ms(entry["at"])
        if entry["kind"] == "ServiceDown":
            begun.setdefault(key, at_ms)
        elif key in begun:
            spans.setdefault(key[0], []).append((begun.pop(key), at_ms))
    for (service, _), at_ms in begun.items():
        spans.setdefault(service, []).append((at_ms, now_ms))
    return {service: _merged(found) for service, found in spans.items()}


def share(spans: list[Span], month: Span, now_ms: int) -> dict[str, Any]:
    """`down_ms`, `up` (per cent of the month so far) and `outages` (their number) of a service in a month."""
    begin, end = month[0], min(month[1], max(now_ms, month[0] + 1))
    inside = [(max(first, begin), min(last, end)) for first, last in spans if first < end and last > begin]
    down_ms = sum(last - first for first, last in inside)
    return {"down_ms": down_ms, "up": 100 * (1 - down_ms / (end - begin)), "outages": len(inside)}


def _merged(spans: list[Span]) -> list[Span]:
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def _ms(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1000)
