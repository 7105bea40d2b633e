"""How much of a month each service was up, from when incidents had it down and when no more.

A service is down while at least one incident has it down. Months are UTC's. Source: PROCEDURES,
"Availability Targets".
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from models.policy.policy import Availability
from models.text.instant import milliseconds

Span = tuple[int, int]  # begin and end, in ms since 1970

_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")


class OutageLedger:
    """When services were down, from timeline entries: each once, and those of an incident in their order.

    It holds what is down now, and outages since `since_ms`, joined where they overlap or touch;
    what is older `forget` drops.
    """

    def __init__(self, since_ms: int = 0) -> None:
        self._since_ms = since_ms
        self._down: dict[str, dict[str, int]] = {}  # incident -> service -> since when
        self._spans: dict[
            str, list[Span]
        ] = {}  # service -> in order of time, with gaps between them

    def feed(self, entry: dict[str, Any]) -> None:
        """Take a timeline entry. What a closed incident still had down is up from then on."""
        incident, kind = entry["incident"], entry["kind"]
        if kind == "ServiceDown":
            self._down.setdefault(incident, {}).setdefault(
                entry["service"], milliseconds(entry["at"])
            )
        elif kind == "ServiceUp":
            begun = self._down.get(incident, {})
            if entry["service"] in begun:
                self._keep_span(
                    entry["service"], begun.pop(entry["service"]), milliseconds(entry["at"])
                )
            if not begun:
                self._down.pop(incident, None)
        elif kind == "Closed":
            for service, begin in self._down.pop(incident, {}).items():
                self._keep_span(service, begin, milliseconds(entry["at"]))

    def spans(self, service: str, now_ms: int) -> list[Span]:
        """When the service was down.

        In order of time, with gaps between them. What is down still lasts until now.
        """
        spans = list(self._spans.get(service, ()))
        for begun in self._down.values():
            if service in begun:
                _merge_span(spans, max(begun[service], self._since_ms), now_ms)
        return spans

    def forget(self, before_ms: int) -> None:
        """Drop what was over before then."""
        self._since_ms = max(self._since_ms, before_ms)
        for service, spans in list(self._spans.items()):
            rest = [(max(begin, before_ms), end) for begin, end in spans if end > before_ms]
            if rest:
                self._spans[service] = rest
            else:
                del self._spans[service]

    def _keep_span(self, service: str, begin: int, end: int) -> None:
        if end > max(begin, self._since_ms):
            _merge_span(self._spans.setdefault(service, []), max(begin, self._since_ms), end)


def _merge_span(spans: list[Span], begin: int, end: int) -> None:
    """Put a span among others, as one with those that it overlaps or touches."""
    if begin >= end:
        return
    first = bisect_left(spans, begin, key=lambda span: span[1])
    last = bisect_right(spans, end, key=lambda span: span[0])
    if first < last:
        begin, end = min(begin, spans[first][0]), max(end, spans[last - 1][1])
    spans[first:last] = [(begin, end)]


def month_of(text: str, now_ms: int) -> Span:
    """Begin and end of a month such as 2026-11.

    The one of now for an empty text. Raises ValueError.
    """
    match = _MONTH.fullmatch(text or f"{datetime.fromtimestamp(now_ms / 1000, UTC):%Y-%m}")
    try:
        begin = datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC) if match else None
        end = (begin + timedelta(days=31)).replace(day=1) if begin else None
    except (ValueError, OverflowError):
        begin = end = None
    if begin is None or end is None:
        raise ValueError(f"the month is {text!r}, must be such as 2026-11")
    return round(begin.timestamp() * 1000), round(end.timestamp() * 1000)


def month_before(month: Span) -> Span:
    """The month before one."""
    return month_of(f"{datetime.fromtimestamp((month[0] - 1) / 1000, UTC):%Y-%m}", month[0])


def month_availability(spans: list[Span], month: Span, now_ms: int) -> dict[str, Any]:
    """`down_ms`, `up` (per cent of the month so far) and `outages` (their number) of a service in a month."""
    begin, end = month[0], max(min(month[1], now_ms), month[0])
    inside = [
        (max(first, begin), min(last, end)) for first, last in spans if first < end and last > begin
    ]
    down_ms = sum(last - first for first, last in inside)
    up = 100 * (1 - down_ms / (end - begin)) if end > begin else 100.0
    return {"down_ms": down_ms, "up": up, "outages": len(inside)}


def availability_rows(
    targets: Iterable[Availability], ledger: OutageLedger, month: Span, now_ms: int
) -> list[dict[str, Any]]:
    """A row for each service that the policy has a target for.

    `service`; `month` ("2026-11"); `elapsed_ms` of it; `down_ms`; `up` and `target`, in per cent,
    `up` of what has elapsed; `budget_ms`, for how long the service may be down in the whole month,
    and `budget_left_ms`, below 0 when the target is missed; `outages`; `met`; `down`, whether it is
    down at the end of what has elapsed.
    """
    rows = []
    for target in targets:
        spans = ledger.spans(target.name, now_ms)
        of_month = month_availability(spans, month, now_ms)
        budget_ms = round((month[1] - month[0]) * (100 - target.target) / 100)
        end = max(min(month[1], now_ms), month[0])
        rows.append(
            {
                "service": target.name,
                "month": f"{datetime.fromtimestamp(month[0] / 1000, UTC):%Y-%m}",
                "elapsed_ms": end - month[0],
                **of_month,
                "target": target.target,
                "budget_ms": budget_ms,
                "budget_left_ms": budget_ms - of_month["down_ms"],
                "met": of_month["down_ms"] <= budget_ms,
                "down": any(first < end <= last for first, last in spans),
            }
        )
    return rows
