"""What happened hour by hour: alerts in, incidents out, messages; who was woken by what; targets kept.

Hours and months are UTC's. The night is the reader's: it has a time zone.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from models.events_timeline import TimelineKind
from models.text.instant import format_instant, milliseconds

HOUR_MS = 3_600_000
HOURS_MAX = 32 * 24  # kept; a month and the day before it
INCIDENTS_MAX = 20_000  # kept: the newest
PAGES_MAX = 200  # kept of one incident
NIGHT = (22, 7)  # from and to, in hours of the reader's clock

Document = dict[str, Any]


@dataclass(slots=True)
class Hour:
    """What happened within an hour."""

    alerts: int = 0  # that began to fire
    incidents: int = 0  # that opened
    messages: int = 0
    pages: int = 0  # messages that wake somebody


@dataclass(slots=True)
class _Response:
    """How people and Tocsin dealt with an incident."""

    opened_ms: int
    severity: str  # the worst that it had
    name: str = ""  # of the alert that woke somebody first
    pages_ms: list[int] = field(default_factory=list)
    touched: bool = False  # a person did something about it
    over: bool = False
    clocks: dict[str, bool] = field(default_factory=dict)  # clock -> whether it was met


@dataclass(frozen=True, slots=True)
class NoiseRow:
    """How often alerts of a name woke somebody."""

    name: str
    pages: int
    at_night: int
    incidents: int
    untouched: int  # that ended, and nobody did anything about them


@dataclass(frozen=True, slots=True)
class TargetRow:
    """How often a response time target was kept."""

    severity: str
    clock: str  # acknowledge or resolve
    met: int
    missed: int

    @property
    def share(self) -> float:
        """How many of 1 were met."""
        return self.met / (self.met + self.missed)


class ActivityLedger:
    """Takes timeline entries and notifications, those of an incident in their order. Bounded."""

    def __init__(self) -> None:
        self._hours: dict[int, Hour] = {}  # by hours since 1970
        self._responses: dict[str, _Response] = {}  # a partition's in the order of their opening

    def feed_entry(self, entry: Document) -> None:
        """Take a timeline entry."""
        kind, at_ms, incident = entry["kind"], milliseconds(entry["at"]), str(entry.get("incident"))
        if kind == TimelineKind.OPENED:
            self._hour(at_ms).incidents += 1
            self._responses[incident] = _Response(at_ms, entry["severity"])
            if len(self._responses) > 2 * INCIDENTS_MAX:
                self._keep_newest()
        if kind in (TimelineKind.OPENED, TimelineKind.ALERT_FIRED) and entry.get("alert"):
            self._hour(at_ms).alerts += 1
        response = self._responses.get(incident)
        if response is not None:
            _apply(response, entry)

    def feed_notification(self, notification: Document) -> None:
        """Take a message."""
        at_ms, wakes = milliseconds(notification["at"]), bool(notification["wakes"])
        hour = self._hour(at_ms)
        hour.messages += 1
        hour.pages += wakes
        response = self._responses.get(notification["incident"])
        if wakes and response is not None and len(response.pages_ms) < PAGES_MAX:
            response.name = response.name or _alert_name(notification)
            response.pages_ms.append(at_ms)

    def forget(self, now_ms: int) -> None:
        """Drop what is too old, and what is too much."""
        oldest = now_ms // HOUR_MS - HOURS_MAX
        self._hours = {number: hour for number, hour in self._hours.items() if number >= oldest}
        self._responses = {
            name: response
            for name, response in self._responses.items()
            if response.opened_ms >= oldest * HOUR_MS
        }
        self._keep_newest()

    def hours(self, count: int, now_ms: int) -> list[tuple[int, Hour]]:
        """The last hours, the oldest first, each with its beginning in ms; empty ones too."""
        last = now_ms // HOUR_MS
        numbers = range(last - count + 1, last + 1)
        return [(number * HOUR_MS, self._hours.get(number, Hour())) for number in numbers]

    def noise(self, since_ms: int, zone: tzinfo) -> list[NoiseRow]:
        """Which alerts woke somebody since then, those that did most often first."""
        named: dict[str, list[tuple[_Response, list[int]]]] = defaultdict(list)
        for response in self._responses.values():
            pages = [at_ms for at_ms in response.pages_ms if at_ms >= since_ms]
            if pages:
                named[response.name].append((response, pages))
        rows = [
            NoiseRow(
                name,
                sum(len(pages) for _, pages in woken),
                sum(is_night(at_ms, zone) for _, pages in woken for at_ms in pages),
                len(woken),
                sum(response.over and not response.touched for response, _ in woken),
            )
            for name, woken in named.items()
        ]
        return sorted(rows, key=lambda row: (-row.pages, row.name))

    def targets(self, month: tuple[int, int]) -> list[TargetRow]:
        """How often each target was kept by the incidents that opened in a month."""
        counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for response in self._responses.values():
            if month[0] <= response.opened_ms < month[1]:
                for clock, met in response.clocks.items():
                    counts[response.severity, clock][not met] += 1
        return [TargetRow(*key, *both) for key, both in sorted(counts.items())]

    def _keep_newest(self) -> None:
        self._responses = dict(list(self._responses.items())[-INCIDENTS_MAX:])

    def _hour(self, at_ms: int) -> Hour:
        return self._hours.setdefault(at_ms // HOUR_MS, Hour())


def _apply(response: _Response, entry: Document) -> None:
    kind = entry["kind"]
    if kind == TimelineKind.SEVERITY_RAISED:
        response.severity = min(response.severity, entry["severity"])
    elif kind == TimelineKind.CLOCK_BREACHED:
        response.clocks[entry["clock"]] = False
    elif kind == TimelineKind.CLOCK_MET:
        response.clocks.setdefault(entry["clock"], True)
    elif kind in (TimelineKind.RESOLVED, TimelineKind.LOST, TimelineKind.CLOSED):
        response.over = True
    elif kind == TimelineKind.REOPENED:
        response.over = False
    # A refused command changed nothing, but somebody was there.
    response.touched = response.touched or bool(entry.get("by"))


def _alert_name(notification: Document) -> str:
    """The name of the worst alert that a message names, else its title."""
    for alert in notification["alerts"]:
        if name := alert["labels"].get("alertname"):
            return str(name)
    return str(notification["title"])


def is_night(at_ms: int, zone: tzinfo) -> bool:
    """Whether people sleep then (NIGHT)."""
    hour = datetime.fromtimestamp(at_ms / 1000, zone).hour
    return hour >= NIGHT[0] or hour < NIGHT[1]


def hour_documents(hours: Iterable[tuple[int, Hour]]) -> list[Document]:
    """Hours as the API gives them: `at`, `alerts`, `incidents`, `messages`, `pages`."""
    return [
        {
            "at": format_instant(at_ms),
            "alerts": hour.alerts,
            "incidents": hour.incidents,
            "messages": hour.messages,
            "pages": hour.pages,
        }
        for at_ms, hour in hours
    ]
