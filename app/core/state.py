"""A partition's state: alerts, incidents, windows, source positions, timers; and its form in the changelog.

Each thing has one changelog key: `a/` an alert, `c/` its counters (a repeat changes nothing else), `i/` an incident,
`w/` a window, `s/` a source position, `p` the policy document and `m` the meta record, last in each checkpoint. The
indexes (which incident a component has open, which alerts an incident has, the timers) are derived from these.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from models.alert import Labels
from models.incident import State
from models.severity import Severity

META = b"m"
POLICY = b"p"

Timer = tuple[int, str, str]  # when in engine time, what, whose. Sorted in this order, so equal times fire in one order


@dataclass(slots=True)
class LiveAlert:
    """An alert that fires, or that ended a while ago. Times are engine time in ms, but `starts_ms`, the sender's."""

    fingerprint: str
    component: str
    labels: Labels
    annotations: Labels
    severity: Severity
    severity_found: str  # the severity label when the policy does not know it
    owner: str
    incident_class: str
    firing: bool = False
    fired_ms: int = 0
    fired_by: int = 0  # the offset of the record that made it fire
    ended_ms: int = 0
    incident: str = ""  # the id of the incident that it belongs to
    joined: int = 0  # the offset of the record by which it joined that incident
    forget_ms: int = 0  # when to forget it; 0 while it belongs to an incident
    # The counters. A repeat changes these and nothing else.
    count: int = 0
    last_ms: int = 0
    hold_ms: int = 0
    starts_ms: int = 0
    # Derived.
    repeat: bytes = b""  # how the value of a plain repeat begins
    timer_ms: int = 0  # when its expiry timer fires; it is set again only then, not at each repeat
    touched: bool = False  # its counters changed since the last checkpoint

    @property
    def name(self) -> str:
        """The alertname, or the fingerprint of an alert that has none."""
        return self.labels.get("alertname") or self.fingerprint

    @property
    def expires_ms(self) -> int:
        """When it counts as ended if it is not heard of again."""
        return self.last_ms + self.hold_ms

    def renew(self, hold_ms: int, starts_ms: int) -> None:
        """Take over what a sender said, and from now on recognise its repeats."""
        self.hold_ms, self.starts_ms = hold_ms, starts_ms
        self.repeat = (
            f'{{"alert":"{self.fingerprint}","status":"firing","hold_ms":{hold_ms},"starts_ms":{starts_ms},'.encode()
        )


@dataclass(slots=True)
class Member:
    """An alert of another component in a correlated incident, as its signal told."""

    name: str
    component: str
    incident: str
    severity: Severity
    firing: bool
    record: str  # the position of the record that made it fire


@dataclass(slots=True)
class Incident:
    """One incident that is not closed. Times are engine time in ms; 0 is never."""

    id: str
    component: str
    incident_class: str
    state: State
    severity: Severity  # the worst so far
    owner: str
    title: str
    next_step: str  # what to do first
    opened_ms: int
    opened_by: str  # position of the record
    acknowledged_ms: int = 0
    acknowledged_by: str = ""
    resolved_ms: int = 0
    resolved_by: str = ""
    closed_ms: int = 0
    step: int = 1  # of the owner's chain; the first is told when the incident opens
    escalated: list[str] = field(default_factory=list)  # the rules that have escalated it
    reopened: int = 0
    rule: str = ""  # the correlation that opened it, if one did
    members: dict[str, Member] = field(default_factory=dict)  # of a correlated incident, by fingerprint
    # Derived.
    alerts: dict[str, LiveAlert] = field(default_factory=dict)  # by fingerprint, in the order of joining
    firing: int = 0
    names: dict[str, int] = field(default_factory=dict)  # alertname -> alerts

    @property
    def still_firing(self) -> bool:
        """Whether any of its alerts or members fires."""
        return self.firing > 0 or any(member.firing for member in self.members.values())


@dataclass(slots=True)
class Fired:
    """An alert in a window."""

    at_ms: int
    fingerprint: str
    member: Member


class PartitionState:
    """All state of one journal partition, and what of it changed since the last checkpoint."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.alerts: dict[bytes, LiveAlert] = {}  # by fingerprint in bytes, as it stands in a journal value
        self.incidents: dict[str, Incident] = {}
        self.current: dict[tuple[str, str], Incident] = {}  # component and class -> the incident that is not closed
        self.windows: dict[tuple[str, str], list[Fired]] = {}  # rule and group -> what fired, oldest first
        self.sources: dict[tuple[str, int], tuple[int, int]] = {}  # topic and partition -> last offset and number
        self.timers: list[Timer] = []
        self.dirty: dict[bytes, None] = {}
        self.touched: list[LiveAlert] = []

    # Changes. Each marks what it changes for the next checkpoint.

    def put_alert(self, alert: LiveAlert) -> None:
        """Add an alert, or note that more than its counters changed."""
        self.alerts[alert.fingerprint.encode()] = alert
        self.dirty[b"a/" + alert.fingerprint.encode()] = None
        self.touch(alert)

    def touch(self, alert: LiveAlert) -> None:
        """Note that an alert's counters changed."""
        if not alert.touched:
            alert.touched = True
            self.touched.append(alert)

    def drop_alert(self, alert: LiveAlert) -> None:
        """Forget an alert."""
        key = alert.fingerprint.encode()
        del self.alerts[key]
        self.dirty[b"a/" + key] = None
        self.dirty[b"c/" + key] = None

    def put_incident(self, incident: Incident) -> None:
        """Add an incident, or note that it changed."""
        self.incidents[incident.id] = incident
        self.current[incident.component, incident.incident_class] = incident
        self.dirty[b"i/" + incident.id.encode()] = None

    def drop_incident(self, incident: Incident) -> None:
        """Forget a closed incident."""
        del self.incidents[incident.id]
        del self.current[incident.component, incident.incident_class]
        self.dirty[b"i/" + incident.id.encode()] = None

    def put_window(self, rule: str, group: str, window: list[Fired]) -> None:
        """Keep a window; an empty one is forgotten."""
        if window:
            self.windows[rule, group] = window
        else:
            self.windows.pop((rule, group), None)
        self.dirty[_window_key(rule, group)] = None

    def is_new(self, topic: str, partition: int, offset: int, number: int) -> bool:
        """Whether a source position is past the last one seen of that partition; if so it is the last one now."""
        last = self.sources.get((topic, partition))
        if last is not None and (offset, number) <= last:
            return False
        self.sources[topic, partition] = (offset, number)
        self.dirty[f"s/{topic}/{partition}".encode()] = None
        return True

    def join(self, incident: Incident, alert: LiveAlert, offset: int) -> None:
        """Make a firing alert part of an incident. The one place that updates the incident's index of alerts."""
        if alert.incident != incident.id:
            alert.incident, alert.joined, alert.forget_ms = incident.id, offset, 0
            incident.alerts[alert.fingerprint] = alert
            incident.names[alert.name] = incident.names.get(alert.name, 0) + 1
        incident.firing += 1

    def schedule(self, at_ms: int, what: str, whose: str) -> None:
        """Set a timer. Timers are never cancelled: one that has lost its reason is ignored when it fires."""
        heapq.heappush(self.timers, (at_ms, what, whose))

    # The changelog.

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """What changed since the last call, as changelog records; None means forgotten."""
        records: list[tuple[bytes, bytes | None]] = [(key, self._dump(key)) for key in self.dirty]
        for alert in self.touched:
            alert.touched = False
            key = alert.fingerprint.encode()
            if key in self.alerts:
                counters = [alert.count, alert.last_ms, alert.hold_ms, alert.starts_ms]
                records.append((b"c/" + key, orjson.dumps(counters)))
        self.dirty.clear()
        self.touched.clear()
        return records

    def _dump(self, key: bytes) -> bytes | None:
        kind, name = key[:1], key[2:]
        thing: Any
        if kind == b"a":
            thing = self.alerts.get(name)
            return orjson.dumps({slot: getattr(thing, slot) for slot in _ALERT_SLOTS}) if thing else None
        if kind == b"i":
            thing = self.incidents.get(name.decode())
            return orjson.dumps({slot: getattr(thing, slot) for slot in _INCIDENT_SLOTS}) if thing else None
        if kind == b"w":
            rule, group = orjson.loads(name)
            thing = self.windows.get((rule, group))
            return orjson.dumps(thing) if thing else None
        if kind == b"s":
            topic, partition = name.decode().rsplit("/", 1)
            return orjson.dumps(self.sources[topic, int(partition)])
        return None  # the counters of a forgotten alert


def load(items: Mapping[bytes, bytes]) -> PartitionState:
    """The state that the changelog's items (key -> newest value) describe, indexes rebuilt. Timers are the engine's."""
    state = PartitionState()
    for key, value in items.items():
        kind, name = key[:2], key[2:]
        if kind == b"a/":
            state.alerts[name] = _load_alert(orjson.loads(value), items[b"c/" + name])
        elif kind == b"i/":
            incident = _load_incident(orjson.loads(value))
            state.incidents[incident.id] = incident
            state.current[incident.component, incident.incident_class] = incident
        elif kind == b"w/":
            rule, group = orjson.loads(name)
            state.windows[rule, group] = [_load_fired(one) for one in orjson.loads(value)]
        elif kind == b"s/":
            topic, partition = name.decode().rsplit("/", 1)
            offset, number = orjson.loads(value)
            state.sources[topic, int(partition)] = (offset, number)
    _index_alerts(state, state.alerts.values())
    return state


def _index_alerts(state: PartitionState, alerts: Iterable[LiveAlert]) -> None:
    # One record is one alert, so the offset by which an alert joined puts an incident's alerts in their old order.
    for alert in sorted((alert for alert in alerts if alert.incident), key=lambda alert: alert.joined):
        incident = state.incidents[alert.incident]
        incident.alerts[alert.fingerprint] = alert
        incident.names[alert.name] = incident.names.get(alert.name, 0) + 1
        incident.firing += alert.firing


def _load_alert(document: dict[str, Any], counters: bytes) -> LiveAlert:
    document["severity"] = Severity(document["severity"])
    alert = LiveAlert(**document)
    alert.count, alert.last_ms, hold_ms, starts_ms = orjson.loads(counters)
    alert.renew(hold_ms, starts_ms)
    return alert


def _load_incident(document: dict[str, Any]) -> Incident:
    document["state"] = State(document["state"])
    document["severity"] = Severity(document["severity"])
    document["members"] = {key: _load_member(member) for key, member in document["members"].items()}
    return Incident(**document)


def _load_member(document: dict[str, Any]) -> Member:
    document["severity"] = Severity(document["severity"])
    return Member(**document)


def _load_fired(document: dict[str, Any]) -> Fired:
    return Fired(document["at_ms"], document["fingerprint"], _load_member(document["member"]))


def _window_key(rule: str, group: str) -> bytes:
    return b"w/" + orjson.dumps([rule, group])


_ALERT_SLOTS = (
    *("fingerprint", "component", "labels", "annotations", "severity", "severity_found", "owner", "incident_class"),
    *("firing", "fired_ms", "fired_by", "ended_ms", "incident", "joined", "forget_ms"),
)
_INCIDENT_SLOTS = (
    *(
        "id",
        "component",
        "incident_class",
        "state",
        "severity",
        "owner",
        "title",
        "next_step",
        "opened_ms",
        "opened_by",
    ),
    *("acknowledged_ms", "acknowledged_by", "resolved_ms", "resolved_by", "step", "escalated", "reopened"),
    *("rule", "members"),
)
