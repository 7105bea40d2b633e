"""What an Alertmanager's event recorder wrote, as records of a journal.

Source: Alertmanager 0.33 and later, `eventrecorder/eventrecorderpb/eventrecorder.proto`; a line is
one event as protobuf writes it in JSON. The stream has an alert when it comes and when a group
drops it, not its repeats. So an alert fires until its end, whoever sends it, and where several
groups or several Alertmanagers of a cluster tell the same, it counts once.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import orjson

from app.core.rules.compiled_policy import CompiledPolicy
from app.intake.normalise import HOLD_MAX_MS, Lifetime, alert_of
from app.transport.log import StoredRecord
from models.journal import TICK, encode_alert, encode_silence
from models.matcher import Matcher, Operator
from models.reason import BadInput, Reason
from models.silence import Silence
from models.text.instant import format_instant
from models.wire import SILENCE_ANNOTATIONS_BYTES_MAX, instant_ms, texts_of

REPEAT_MS = 60_000  # how often a heartbeat is repeated, which the stream does not have
RENEWAL_MS = HOLD_MAX_MS // 2  # and any other alert, so that it does not count as lost
AHEAD_MS = 86_400_000  # that another machine's clock may be ahead
PROBLEMS_SHOWN = 5

Document = dict[str, Any]

_LIFETIME = Lifetime(HOLD_MAX_MS, until_resolved=True)
_OPERATORS = {
    "TYPE_EQUAL": Operator.EQUAL,
    "TYPE_NOT_EQUAL": Operator.NOT_EQUAL,
    "TYPE_REGEXP": Operator.REGEX,
    "TYPE_NOT_REGEXP": Operator.NOT_REGEX,
}


@dataclass(slots=True)
class EventCounts:
    """What was in a stream: events by kind, notifications by receiver, and lines that are no event."""

    kinds: Counter[str] = field(default_factory=Counter)
    notifications: Counter[str] = field(default_factory=Counter)
    alerts: int = 0  # that began to fire
    still_firing: int = 0  # of which the stream has no end
    repeated: int = 0  # heartbeats that were filled in
    refused: int = 0
    problems: list[str] = field(default_factory=list)  # the first of those refused

    def refuse(self, problem: str) -> None:
        """Count a line that cannot be used."""
        self.refused += 1
        if len(self.problems) < PROBLEMS_SHOWN:
            self.problems.append(problem)


@dataclass(slots=True)
class _Firing:
    """An alert that fires: since which record, and as what it came."""

    at_ms: int
    entry: Document


Timed = tuple[int, int, bytes | None, bytes]  # time, order within it, key, value


class EventJournal:
    """The journal that a stream of events becomes, under a policy that says where alerts belong."""

    def __init__(self, policy: CompiledPolicy, now_ms: int) -> None:
        """`now_ms` is the time of this machine: what happened later than in a day did not happen."""
        self.counts = EventCounts()
        self._times = range(1, now_ms + AHEAD_MS)
        self._policy = policy
        self._firing: dict[str, _Firing] = {}
        self._silences: set[str] = set()
        self._records: list[Timed] = []
        self._last_ms = 0

    def records(self, lines: Iterable[bytes], first_offset: int) -> list[StoredRecord]:
        """The records of lines, in the order of their time, and a tick at the end of the stream."""
        events = sorted(self._read_events(lines), key=itemgetter(0))
        for at_ms, number, kind, body in events:
            self._last_ms = at_ms
            try:
                self._take(kind, body, at_ms)
            except (BadInput, AttributeError, KeyError, TypeError) as error:
                problem = (
                    error.message
                    if isinstance(error, BadInput)
                    else "lacks a part, or has one of another type"
                )
                self.counts.refuse(f"line {number}: {problem}")
        self._repeat_firing()
        self.counts.still_firing = len(self._firing)
        timed = sorted(self._records, key=itemgetter(0, 1))
        stored = [
            StoredRecord(first_offset + number, at_ms, key, value)
            for number, (at_ms, _, key, value) in enumerate(timed)
        ]
        end = first_offset + len(stored)
        return [*stored, StoredRecord(end, self._last_ms, None, TICK)] if stored else []

    def _read_events(self, lines: Iterable[bytes]) -> Iterator[tuple[int, int, str, Document]]:
        """Time, line, kind and body of each event."""
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                event = orjson.loads(line)
                at_ms = instant_ms(event["@timestamp"], "@timestamp")
                ((kind, body),) = event["data"].items()
            except BadInput as refusal:
                self.counts.refuse(f"line {number}: {refusal.message}")
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
                self.counts.refuse(f"line {number}: is no event of Alertmanager's event recorder")
            else:
                self.counts.kinds[kind] += 1
                if at_ms is not None and at_ms in self._times:
                    yield at_ms, number, kind, body
                else:
                    self.counts.refuse(f"line {number}: @timestamp is no time that can be recorded")

    def _take(self, kind: str, body: Document, at_ms: int) -> None:
        match kind:
            case "alertCreated":
                self._on_alert(body["alert"], at_ms)
            case "alertGrouped" | "alertResolved":
                self._on_alert(body["alert"]["details"], at_ms)
            case "notification":
                receiver = body.get("groupInfo", {}).get("receiverName", "")
                self.counts.notifications[str(receiver)] += 1
                for alert in body.get("alerts", []):
                    self._on_alert(alert["details"], at_ms)
            case "silenceCreated" | "silenceUpdated":
                self._add_silence(body["silence"], at_ms)
            case "silenceMutedAlert" if body["silence"].get("id") not in self._silences:
                self._add_silence(body["silence"], at_ms)  # it is older than the stream

    def _on_alert(self, details: Document, at_ms: int) -> None:
        entry = _entry_of(details)
        ends_ms = instant_ms(entry.get("endsAt"), "endsAt")
        alert = alert_of({**entry, "status": "firing", "endsAt": None}, at_ms, _LIFETIME)
        known = self._firing.get(alert.fingerprint)
        over = details.get("resolved") is True and ends_ms is not None
        if not over and known is None:
            self._firing[alert.fingerprint] = _Firing(at_ms, entry)
            self.counts.alerts += 1
            self._add_alert({**entry, "status": "firing", "endsAt": None}, at_ms)
        elif over and known is not None and ends_ms is not None and ends_ms >= known.at_ms:
            # A group tells of the end at its next turn, perhaps when it fires again.
            del self._firing[alert.fingerprint]
            self._add_alert({**entry, "status": "resolved"}, min(ends_ms, at_ms))
            self._repeat(known, min(ends_ms, at_ms))

    def _add_alert(self, entry: Document, at_ms: int) -> None:
        alert = alert_of(entry, at_ms, _LIFETIME)
        key = self._policy.place(alert.labels, alert.fingerprint).key.encode()
        self._records.append((at_ms, len(self._records), key, encode_alert(alert)))

    def _add_silence(self, document: Document, at_ms: int) -> None:
        sets = document.get("matcherSets", [])
        if len(sets) > 1:
            raise BadInput(
                Reason.MALFORMED,
                f"the silence {document['id']!r:.60} has {len(sets)} sets of matchers",
            )
        matchers = tuple(
            Matcher(str(part["name"]), _OPERATORS[part["type"]], str(part.get("pattern", "")))
            for part in (sets[0] if sets else document)["matchers"]
        )
        starts_ms = instant_ms(document.get("startsAt"), "startsAt") or at_ms
        ends_ms = instant_ms(document.get("endsAt"), "endsAt") or at_ms
        by, comment = str(document.get("createdBy", "")), str(document.get("comment", ""))
        noted = texts_of(document.get("annotations"), "annotations", SILENCE_ANNOTATIONS_BYTES_MAX)
        silence = Silence(str(document["id"]), matchers, starts_ms, ends_ms, by, comment, noted)
        self._silences.add(silence.id)
        self._records.append((at_ms, len(self._records), None, encode_silence(silence)))

    def _repeat_firing(self) -> None:
        for known in self._firing.values():
            self._repeat(known, self._last_ms)

    def _repeat(self, known: _Firing, end_ms: int) -> None:
        """Repeat an alert while it fires; a heartbeat as often as Prometheus does, else it would be missing."""
        is_heartbeat = bool(self._policy.evaluate(known.entry["labels"]).heartbeat)
        step_ms = REPEAT_MS if is_heartbeat else RENEWAL_MS
        for at_ms in range(known.at_ms + step_ms, end_ms, step_ms):
            self._add_alert({**known.entry, "status": "firing", "endsAt": None}, at_ms)
            self.counts.repeated += is_heartbeat


def _entry_of(details: Document) -> Document:
    """An alert of the stream as Alertmanager's API has it."""
    return {
        "labels": _pairs_of(details.get("labels")),
        "annotations": _pairs_of(details.get("annotations")),
        "startsAt": details.get("startsAt"),
        "endsAt": details.get("endsAt"),
    }


def _pairs_of(document: Document | None) -> dict[str, str]:
    pairs = (document or {}).get("labels", [])
    return {str(pair["key"]): str(pair.get("value", "")) for pair in pairs}


def unknown_lines(counts: EventCounts) -> list[str]:
    """What a replay of the recording cannot know, for people."""
    lines = [
        "Who acknowledged, and when: the stream has no acknowledgements, so escalations run as if nobody had answered.",
        "Alerts that stopped without an end: each fires until Alertmanager resolved it.",
        "Events that Alertmanager dropped because its queue was full.",
        "Alerts that began before the stream and notified nobody in it.",
    ]
    if counts.still_firing:
        lines.append(
            f"The end of {counts.still_firing} alerts, which fire to the end of the stream."
        )
    if counts.repeated:
        lines.append(
            f"Repeats: {counts.repeated} of heartbeats were filled in, one a minute. None is missing before its end."
        )
    if counts.refused:
        lines.append(f"{counts.refused} lines that were not used: {'; '.join(counts.problems)}")
    return lines


def span_text(records: list[StoredRecord]) -> str:
    """From when to when the records are."""
    return f"{format_instant(records[0].timestamp)} to {format_instant(records[-1].timestamp)}"
