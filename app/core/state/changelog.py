"""The state's form in the changelog: one key for each thing, and the newest value of each key is the state.

`a/` an alert, `c/` its counters (a repeat changes nothing else), `i/` an incident, `w/` a window,
`l/` a link of sources and targets, `r/` a receiver, `z/` a silence, `t/` a task, `s/` a source
position, `x/` a deadline to be passed over, `d/` a link and `e/` firings of a rule that is not in
force here (`app.core.correlation.signal_router`), `f/` the shapes that rules had, `p` the policy
document and `m` the meta record, last in each checkpoint. Fields that an older version did not
write have their defaults.

The meta record says how many keys there are as of its checkpoint. Compaction drops what has a newer
value, so that the state as of a checkpoint before that value lacks keys: it is no state, and is
recognised by their number.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import orjson

from app.core.state.changelog_types import check_types
from app.core.state.incident_alerts import in_order, note_unnamed
from app.core.state.live_alert import Hold, LiveAlert
from app.core.state.members import Fired, InhibitionGroup, Member, Target
from app.core.state.receivers import Receiver
from app.core.state.state import FORMER, Incident, PartitionState
from app.core.state.tasks import Task
from models.errors import TocsinError
from models.events import NotificationKind
from models.incident import State
from models.json_bytes import json_bytes
from models.matcher import Matcher, Operator
from models.severity import Severity
from models.silence import Silence

META = b"m"
POLICY = b"p"
KINDS = {  # of keys -> where the state has what they stand for; one more is a new format
    b"a/": "alerts",
    b"c/": "alerts",
    b"i/": "incidents",
    b"w/": "windows",
    b"l/": "inhibition_groups",
    b"r/": "receivers",
    b"z/": "silences",
    b"t/": "tasks",
    b"s/": "sources",
    b"x/": "quarantined",
    b"d/": "parked",
    b"e/": "early",
}

# What reading a record raises that is not what this or an older version wrote.
DAMAGE = (
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    AssertionError,
    OSError,
)

_ALERT_COUNTERS = ("count", "last_ms", "ttl_ms", "starts_ms")
_ALERT_DERIVED = ("repeat", "bytes", "kin", "timer_ms", "touched")
_INCIDENT_DERIVED = (
    *("alerts", "firing", "firing_by", "unheard", "loud", "waiting", "unnamed", "names"),
    *("ranking", "bytes", "timer_ms"),
)
_GROUP_SLOTS = [one.name for one in fields(InhibitionGroup) if one.name != "bytes"]
_ALERT_SLOTS = [
    one.name for one in fields(LiveAlert) if one.name not in (*_ALERT_COUNTERS, *_ALERT_DERIVED)
]
_INCIDENT_SLOTS = [one.name for one in fields(Incident) if one.name not in _INCIDENT_DERIVED]


COUNT_MAX = 2**62  # of what is counted, and of times: what grows from there on is JSON still


class DamagedState(TocsinError):
    """What the changelog holds is not what any version wrote.

    The message says where, and what to do.
    """


def changed_records(state: PartitionState) -> list[tuple[bytes, bytes | None]]:
    """What changed since the last call, as changelog records; None means forgotten."""
    records: list[tuple[bytes, bytes | None]] = [
        (key, _encode_key(state, key)) for key in state.dirty
    ]
    for alert in state.touched:
        alert.touched = False
        key = alert.fingerprint.encode()
        if key in state.alerts:
            counters = [alert.count, alert.last_ms, alert.ttl_ms, alert.starts_ms]
            records.append((b"c/" + key, json_bytes(counters)))
    state.dirty.clear()
    state.touched.clear()
    return records


def number_of_keys(state: PartitionState) -> int:
    """How many keys the changelog has when all changes are written, the policy and the meta record among them."""
    return (
        2
        + bool(state.former_rule_ids)
        + sum(len(getattr(state, things)) for things in KINDS.values())
    )


def is_whole(items: Mapping[bytes, bytes]) -> bool | None:
    """Whether the items as of a checkpoint have as many keys as there were; None when an older version did not say.

    They have fewer where compaction has been over the checkpoint, or records are lost, and more
    where somebody else wrote.
    """
    keys = orjson.loads(items[META]).get("keys")
    return None if keys is None else len(items) == keys


def parts_dirty(state: PartitionState) -> int:
    """How many members, sources and targets stand in the records of what changed.

    A few such records can be large.
    """
    parts = 0
    for key in state.dirty:
        if key[:1] == b"i":
            incident = state.incidents.get(key[2:].decode())
            parts += len(incident.members) if incident else 0
        elif key[:1] in (b"l", b"d"):
            inhibition_group = (state.inhibition_groups if key[:1] == b"l" else state.parked).get(
                _decode_pair(key[2:])
            )
            parts += (
                len(inhibition_group.sources) + len(inhibition_group.targets)
                if inhibition_group
                else 0
            )
    return parts


def _encode_key(state: PartitionState, key: bytes) -> bytes | None:
    kind, name = key[:1], key[2:]
    if kind == b"a":
        alert = state.alerts.get(name)
        return json_bytes({slot: getattr(alert, slot) for slot in _ALERT_SLOTS}) if alert else None
    if kind == b"i":
        incident = state.incidents.get(name.decode())
        return (
            json_bytes({slot: getattr(incident, slot) for slot in _INCIDENT_SLOTS})
            if incident
            else None
        )
    thing: Any
    match kind:
        case b"w":
            thing = state.windows.get(_decode_pair(name))
        case b"e":
            thing = state.deferred_signals.get(_decode_pair(name))
        case b"f":
            thing = list(state.former_rule_ids)
        case b"l" | b"d":
            inhibition_group = (state.inhibition_groups if kind == b"l" else state.parked).get(
                _decode_pair(name)
            )
            thing = inhibition_group and {
                slot: getattr(inhibition_group, slot) for slot in _GROUP_SLOTS
            }
        case b"r":
            thing = state.receivers.get(_decode_pair(name))
        case b"z":
            thing = state.silences.get(name.decode())
        case b"t":
            thing = state.tasks.get(name.decode())
        case b"s":
            topic, partition = name.decode().rsplit("/", 1)
            thing = state.sources[topic, int(partition)]
        case b"x":
            thing = state.quarantined.get(_decode_pair(name))
        case _:
            thing = None  # the counters of a forgotten alert
    return json_bytes(thing) if thing else None


def _decode_pair(name: bytes) -> tuple[str, str]:
    one, other = orjson.loads(name)
    return one, other


def load_state(items: Mapping[bytes, bytes]) -> PartitionState:
    """The state that the changelog's items (key -> newest value) describe, indexes rebuilt. Timers are the engine's.

    Raises DamagedState.
    """
    state = PartitionState()
    for key, value in items.items():
        try:
            _load_key(state, items, key, value)
        except DAMAGE as error:
            raise DamagedState(f"the record of {key!r:.80} is {value!r:.80}: {error!r}") from error
    _index_alerts(state, state.alerts.values())
    for alert in state.alerts.values():
        if alert.retain_until_ms and not alert.firing:
            state.ended.add(alert, state.alerts)
    return state


def drop_unknown_keys(state: PartitionState, items: Mapping[bytes, bytes]) -> None:
    """Let the next checkpoint take away the items that the state does not have.

    Older versions passed them over.
    """
    for key in items:
        known = key in (META, POLICY) or (
            key[2:] in state.alerts if key[:2] == b"c/" else _encode_key(state, key)
        )
        if not known:
            state.dirty[key] = None


def _load_key(
    state: PartitionState, items: Mapping[bytes, bytes], key: bytes, value: bytes
) -> None:
    kind, name = key[:2], key[2:]
    if kind == b"a/":
        alert = state.alerts[name] = _load_alert(orjson.loads(value), items[b"c/" + name])
        assert alert.fingerprint.encode() == name
        state.measure(alert)
    elif (
        kind in _LOADERS
    ):  # else the policy or the meta record, which are the engine's, or counters
        _LOADERS[kind](state, name, orjson.loads(value))


def _index_alerts(state: PartitionState, alerts: Iterable[LiveAlert]) -> None:
    for alert in in_order(alert for alert in alerts if alert.incident):
        incident = state.incidents[alert.incident]
        incident.alerts[alert.fingerprint] = alert
        incident.names[alert.name] = incident.names.get(alert.name, 0) + 1
        incident.firing += alert.firing
        incident.unheard += alert.unheard_ms > 0
        if alert.firing:
            incident.firing_by[alert.severity] = incident.firing_by.get(alert.severity, 0) + 1
        incident.notifiable += alert.firing and not alert.suppressions
        incident.awaiting_correlation += alert.firing and alert.awaits_correlation
        note_unnamed(incident, alert)


def _load_alert(document: dict[str, Any], counters: bytes) -> LiveAlert:
    check_types(LiveAlert, document)
    document["severity"] = Severity(document["severity"])
    document.setdefault("notifiable_since_ms", document["fired_ms"])
    if document.get("holds"):
        document["holds"] = _load_suppressions(document["holds"])
    alert = LiveAlert(**document)
    numbers = alert.count, alert.last_ms, ttl_ms, starts_ms = orjson.loads(counters)
    assert all(type(one) is int and abs(one) < COUNT_MAX for one in numbers), (
        f"its counters are {counters!r:.80}"
    )
    alert.renew(ttl_ms, starts_ms)
    return alert


def _load_suppressions(document: dict[str, Any]) -> dict[str, Hold]:
    for hold in document.values():
        check_types(Hold, hold)
    return {key: Hold(**hold) for key, hold in document.items()}


def _load_incident(state: PartitionState, _: bytes, document: dict[str, Any]) -> None:
    if "summary" not in document:
        document = _of_format_1(document)
    check_types(Incident, document)
    document["state"] = State(document["state"])
    document["severity"] = Severity(document["severity"])
    for name in ("notified_severity", "peak_severity", "owner_severity"):
        document[name] = Severity(document.get(name, document["severity"]))
    assert not document.get("deferred_notification") or document["deferred_notification"][
        "kind"
    ] in list(NotificationKind)
    document.setdefault("told_owner", document["owner"] if document["notified_ms"] else "")
    for severity in document.get("clock_severity", {}).values():
        Severity(severity)
    document["members"] = {key: _load_member(member) for key, member in document["members"].items()}
    document["holds"] = _load_suppressions(document.get("holds", {}))
    incident = Incident(
        **document, bytes=sum(member.size for member in document["members"].values())
    )
    state.incidents[incident.id] = incident
    state.current[incident.place.key, incident.incident_class] = incident


def _of_format_1(document: dict[str, Any]) -> dict[str, Any]:
    """An incident that was written before clocks and reminders.

    Told when it opened, and everything counts from then.
    """
    since = (
        "severity_ms",
        "notifiable_since_ms",
        "notified_ms",
        "first_notified_ms",
        "climb_ms",
        "last_update_ms",
        "reminded_ms",
    )
    told = {
        "summary": document["title"],
        "notified_alerts": 10_000,
        "notified_severity": document["severity"],
    }
    return dict.fromkeys(since, document["opened_ms"]) | told | document


def _load_member(document: dict[str, Any]) -> Member:
    check_types(Member, document)
    document["severity"] = Severity(document["severity"])
    return Member(**document)


def _load_window(state: PartitionState, name: bytes, document: Any) -> None:
    state.windows[_decode_pair(name)] = _load_firings(document)


def _load_deferred(state: PartitionState, name: bytes, document: Any) -> None:
    state.deferred_signals[_decode_pair(name)] = _load_firings(document)


def _load_firings(document: Any) -> list[Fired]:
    for one in document:
        check_types(Fired, one)
    return [Fired(**one | {"member": _load_member(one["member"])}) for one in document]


def _load_former(state: PartitionState, _: bytes, document: Any) -> None:
    assert type(document) is list
    assert all(type(rule_id) is str for rule_id in document)
    state.former_rule_ids = dict.fromkeys(document)


def _load_group(state: PartitionState, name: bytes, document: Any) -> None:
    state.inhibition_groups[_decode_pair(name)] = _group_of(document)


def _load_parked(state: PartitionState, name: bytes, document: Any) -> None:
    state.parked[_decode_pair(name)] = _group_of(document)


def _group_of(document: Any) -> InhibitionGroup:
    check_types(InhibitionGroup, document)
    sources = {key: _load_member(one) for key, one in document["sources"].items()}
    targets = {key: _load_target(one) for key, one in document["targets"].items()}
    last = _load_member(document["last"]) if document["last"] else None
    size = sum(one.size for one in sources.values()) + sum(one.size for one in targets.values())
    return InhibitionGroup(sources, targets, last, document["ended_ms"], size)


def _load_target(document: dict[str, Any]) -> Target:
    check_types(Target, document)
    root = document["root"]
    return Target(
        document["at_ms"], _load_member(document["member"]), _load_member(root) if root else None
    )


def _load_receiver(state: PartitionState, name: bytes, document: Any) -> None:
    receiver, channel = _decode_pair(name)
    check_types(Receiver, document)
    state.receivers[receiver, channel] = Receiver(**document)


def _load_silence(state: PartitionState, name: bytes, document: Any) -> None:
    check_types(Silence, document)
    matchers = (
        Matcher(one["label"], Operator(one["operator"]), one["value"])
        for one in document["matchers"]
    )
    state.silences[name.decode()] = Silence(**document | {"matchers": tuple(matchers)})


def _load_task(state: PartitionState, name: bytes, document: Any) -> None:
    check_types(Task, document)
    # Each reminder is a deadline: below zero there would be more of them than anybody can wait for.
    assert document["reminded"] >= 0, f"reminded is {document['reminded']}, must be 0 or more"
    state.tasks[name.decode()] = Task(**document | {"severity": Severity(document["severity"])})


def _load_source(state: PartitionState, name: bytes, document: Any) -> None:
    topic, partition = name.decode().rsplit("/", 1)
    offset, number = document
    assert type(offset) is int
    assert type(number) is int
    state.sources[topic, int(partition)] = (offset, number)


def _load_quarantined(state: PartitionState, name: bytes, document: Any) -> None:
    assert type(document) is int
    state.quarantined[_decode_pair(name)] = document


_LOADERS = {
    b"i/": _load_incident,
    b"w/": _load_window,
    b"l/": _load_group,
    b"r/": _load_receiver,
    b"z/": _load_silence,
    b"t/": _load_task,
    b"s/": _load_source,
    b"x/": _load_quarantined,
    b"d/": _load_parked,
    b"e/": _load_deferred,
    FORMER: _load_former,
}
