"""The picture of one incident as data: alerts as spans on lanes, what happened as marks, its states as spans.

Everything comes from the effects topics, which keep what happened for longer than the journal does.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

from app.report.build import Document
from models.text.instant import milliseconds

LANES_MAX = 20  # that a picture shows; it says how many more there are
# The rows of marks, and the kinds of timeline entries on each.
ROWS: dict[str, dict[str, str]] = {
    "notified": {},  # the notifications
    "escalated": {
        "Escalated": "escalated",
        "Forgotten": "forgotten",
        "SeverityRaised": "more severe",
        "SeverityLowered": "less severe",
        "OwnerChanged": "owner changed",
    },
    "people": {
        "Acknowledged": "acknowledged",
        "Assigned": "assigned",
        "Assessed": "assessed",
        "Updated": "update",
        "Noted": "note",
        "RootCauseNamed": "root cause",
        "Mitigated": "mitigated",
        "Complained": "complaint",
        "Merged": "merged",
        "Split": "split off",
    },
    "course": {
        "Opened": "opened",
        "Reopened": "reopened",
        "Resolved": "resolved",
        "Lost": "lost",
        "Closed": "closed",
        "Follows": "follows",
        "Suppressed": "suppressed",
        "Released": "released",
        "NotSuppressed": "not suppressed",
        "Flapping": "flapping",
        "Stable": "stable",
        "ClockWarned": "target near",
        "ClockBreached": "target missed",
        "Reminded": "reminded",
        "Unheard": "not received",
        "HeardAgain": "received again",
        "DeliveryFailed": "not delivered",
        "Refused": "refused",
    },
}
_STATES = {"Opened": "open", "Acknowledged": "acknowledged", "Resolved": "resolved"}
_STATES |= {"Lost": "resolved", "OwnerChanged": "open"}
_STATES |= {"Reopened": "open", "Forgotten": "open", "Closed": "closed"}
_FIRED, _ENDED = (
    ("Opened", "AlertFired", "MemberFired"),
    ("AlertEnded", "AlertExpired", "AlertLost", "MemberEnded"),
)


@dataclass(slots=True)
class TimeSpan:
    """From when until when.

    `open_end` if it has not ended, `before` if it began earlier, nobody here knows when.
    """

    begin_ms: int
    end_ms: int
    open_end: bool = False
    before: bool = False
    state: str = ""  # of the incident's own lane


@dataclass(slots=True)
class Lane:
    """One alert name on one component, and when it fired."""

    name: str
    component: str
    spans: list[TimeSpan] = field(default_factory=list)


@dataclass(slots=True)
class TimelineMark:
    """Something that happened at one time."""

    at_ms: int
    row: str  # of ROWS
    label: str
    text: str

    @property
    def words(self) -> str:
        """What it is, where its row is not to be seen."""
        return f"notified: {self.label}" if self.row == "notified" else self.label


@dataclass(slots=True)
class TimelinePicture:
    """All of it. Texts may be anybody's; whoever draws makes them inert."""

    incident: str
    severity: str
    state: str
    title: str
    begin_ms: int
    end_ms: int
    lanes: list[Lane] = field(default_factory=list)  # by when they began
    more: int = 0  # lanes that there is no room for
    marks: list[TimelineMark] = field(default_factory=list)  # in the order of time
    states: list[TimeSpan] = field(default_factory=list)


def draw_picture(
    incident: Document,
    timeline: Iterable[Document],
    notifications: Iterable[Document],
    now_ms: int = 0,
) -> TimelinePicture:
    """The picture of an incident: its newest snapshot, and what the topics say of it, oldest first.

    What has not ended lasts until `now_ms`, or until the last that is known of it. What it left to
    do is not in it.
    """
    entries = [item for item in timeline if not item["kind"].startswith("Task")]
    told = [
        notification
        for notification in notifications
        if notification["kind"] not in ("task_reminder", "root_cause_wanted")
    ]
    marks = sorted(
        [*_operator_marks(entries), *_notification_marks(told)], key=lambda mark: mark.at_ms
    )
    begin_ms = milliseconds(incident["opened_at"])
    last_ms = max(
        [
            begin_ms,
            *(mark.at_ms for mark in marks),
            *(milliseconds(entry["at"]) for entry in entries),
        ]
    )
    end_ms = last_ms if incident["state"] == "closed" else max(now_ms, last_ms)
    lanes = _alert_lanes(incident, entries, begin_ms, end_ms)
    return TimelinePicture(
        incident["incident"],
        incident["severity"],
        incident["state"],
        incident["title"],
        begin_ms,
        max(end_ms, begin_ms + 1000),
        lanes[:LANES_MAX],
        max(len(lanes) - LANES_MAX, 0),
        marks,
        _state_spans(entries, end_ms),
    )


def _operator_marks(entries: Iterable[Document]) -> list[TimelineMark]:
    kinds = {kind: (row, label) for row, known in ROWS.items() for kind, label in known.items()}
    return [
        TimelineMark(milliseconds(entry["at"]), *kinds[entry["kind"]], str(entry["text"]))
        for entry in entries
        if entry["kind"] in kinds
    ]


def _notification_marks(notifications: Iterable[Document]) -> list[TimelineMark]:
    """The messages, those of one occasion in one mark: whom, through what."""
    marks = []
    for (at, kind), group in groupby(notifications, key=lambda entry: (entry["at"], entry["kind"])):
        channels: dict[str, list[str]] = {}
        for item in group:
            channels.setdefault(str(item["receiver"]), []).append(str(item["channel"]))
        whom = ", ".join(f"{receiver} ({', '.join(by)})" for receiver, by in channels.items())
        marks.append(TimelineMark(milliseconds(at), "notified", str(kind).replace("_", " "), whom))
    return marks


def _alert_lanes(
    incident: Document, entries: list[Document], begin_ms: int, end_ms: int
) -> list[Lane]:
    """The lanes in the order in which they began.

    What ends and was never heard to begin fired when the incident opened.
    """
    lanes: dict[tuple[str, str], Lane] = {}
    firing: dict[object, tuple[Lane, TimeSpan]] = {}

    def begin(identity: object, name: str, component: str, at_ms: int, *, before: bool) -> None:
        lane = lanes.setdefault((name, component), Lane(name, component))
        span = TimeSpan(at_ms, end_ms, open_end=True, before=before)
        lane.spans.append(span)
        firing[identity] = (lane, span)

    for member in incident["members"] if incident["rule"] else ():
        begin(
            (member["name"], member["component"]),
            member["name"],
            member["component"],
            begin_ms,
            before=True,
        )
    for entry in entries:
        if entry["kind"] not in (*_FIRED, *_ENDED) or (
            entry["kind"] == "Opened" and not entry.get("alert")
        ):
            continue
        name, component = _alert_name(entry)
        identity = entry.get("alert") or (name, component)
        at_ms = milliseconds(entry["at"])
        if entry["kind"] in _FIRED:
            known = firing.get(identity)
            if known is not None and known[1].before:
                known[1].begin_ms, known[1].before = at_ms, False
            elif known is None:
                begin(identity, name, component, at_ms, before=False)
            continue
        if identity not in firing:
            begin(identity, name, component, begin_ms, before=True)
        _, span = firing.pop(identity)
        span.end_ms, span.open_end = at_ms, False
    return sorted(lanes.values(), key=lambda lane: lane.spans[0].begin_ms)


def _alert_name(entry: Document) -> tuple[str, str]:
    """The alert's name and component, as the entry's words begin with them."""
    text, component = str(entry["text"]), str(entry.get("component", ""))
    if entry["kind"] in ("MemberFired", "MemberEnded"):
        end = " belongs to it" if entry["kind"] == "MemberFired" else " "
        name, _, rest = text.partition(" on ")
        return name, rest.rpartition(end)[0] or rest
    if entry["kind"] in ("AlertEnded", "AlertExpired", "AlertLost"):
        return text.partition(": ")[0], component
    name, on, _ = text.partition(f" on {component}")
    return (name if on else text.partition(": ")[0]), component


def _state_spans(entries: Iterable[Document], end_ms: int) -> list[TimeSpan]:
    """The incident's own states, one after the other."""
    spans: list[TimeSpan] = []
    for entry in entries:
        state = _STATES.get(entry["kind"])
        if state is None:
            continue
        at_ms = milliseconds(entry["at"])
        if spans:
            spans[-1].end_ms, spans[-1].open_end = at_ms, False
        if state != "closed" and (not spans or spans[-1].state != state):
            spans.append(TimeSpan(at_ms, end_ms, open_end=True, state=state))
        elif state != "closed":
            spans[-1].end_ms, spans[-1].open_end = end_ms, True
    return spans
