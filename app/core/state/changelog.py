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
from app.core.state.members import Fired, Link, Member, Target
from app.core.state.receivers import Receiver
from app.core.state.state import FORMER, Incident, PartitionState
from app.core.state.tasks import Task
from models.errors import TocsinError
from models.events import NotificationKind
from models.incident import State
from models.json_bytes import packed
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
    b"l/": "links",
    b"r/": "receivers",
    b"z/": "silences",
    b"t/": "tasks",
    b"s/": "sources",
    b"x/": "spoiled",
    b"d/": "resting",
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

_ALERT_COUNTERS = ("count", "last_ms", "hold_ms", "starts_ms")
_ALERT_DERIVED = ("repeat", "bytes", "kin", "timer_ms", "touched")
_INCIDENT_DERIVED = (
    *("alerts", "firing", "firing_by", "unheard", "loud", "waiting", "unnamed", "names"),
    *("ranking", "bytes", "timer_ms", "deadline_inputs"),
)
_LINK_SLOTS = [one.name for one in fields(Link) if one.name != "bytes"]
_ALERT_SLOTS = [
    one.name for one in fields(LiveAlert) if one.name not in (*_ALERT_COUNTERS, *_ALERT_DERIVED)
]
_INCIDENT_SLOTS = [one.name for one in fields(Incident) if one.name not in _INCIDENT_DERIVED]


COUNT_MAX = 2**62  # of what is counted, and of times: what grows from there on is JSON still


class DamagedState(TocsinError):
    """What the changelog holds is not what any version wrote.

    The message says where, and what to do.
    """


def changes(state: PartitionState) -> list[tuple[bytes, bytes | None]]:
    """What changed since the last call, as changelog records; None means forgotten."""
    records: list[tuple[bytes, bytes | None]] = [(key, _dump(state, key)) for key in state.dirty]
    for alert in state.touched:
        alert.touched = False
        key = alert.fingerprint.encode()
        if key in state.alerts:
            counters = [alert.count, alert.last_ms, alert.hold_ms, alert.starts_ms]
            records.append((b"c/" + key, packed(counters)))
    state.dirty.clear()
    state.touched.clear()
    return records


def number_of_keys(state: PartitionState) -> int:
    """How many keys the changelog has when all changes are written, the policy and the meta record among them."""
    return 2 + bool(state.former) + sum(len(getattr(state, things)) for things in KINDS.values())


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
            link = (state.links if key[:1] == b"l" else state.resting).get(_pair(key[2:]))
            parts += len(link.sources) + len(link.targets) if link else 0
    return parts


def _dump(state: PartitionState, key: bytes) -> bytes | None:
    kind, name = key[:1], key[2:]
    if kind == b"a":
        alert = state.alerts.get(name)
        return packed({slot: getattr(alert, slot) for slot in _ALERT_SLOTS}) if alert else None
    if kind == b"i":
        incident = state.incidents.get(name.decode())
        return (
            packed({slot: getattr(incident, slot) for slot in _INCIDENT_SLOTS})
            if incident
            else None
        )
    thing: Any
    match kind:
        case b"w":
            thing = state.windows.get(_pair(name))
        case b"e":
            thing = state.early.get(_pair(name))
        case b"f":
            thing = list(state.former)
        case b"l" | b"d":
            link = (state.links if kind == b"l" else state.resting).get(_pair(name))
            thing = link and {slot: getattr(link, slot) for slot in _LINK_SLOTS}
        case b"r":
            thing = state.receivers.get(_pair(name))
        case b"z":
            thing = state.silences.get(name.decode())
        case b"t":
            thing = state.tasks.get(name.decode())
        case b"s":
            topic, partition = name.decode().rsplit("/", 1)
            thing = state.sources[topic, int(partition)]
        case b"x":
            thing = state.spoiled.get(_pair(name))
        case _:
            thing = None  # the counters of a forgotten alert
    return packed(thing) if thing else None


def _pair(name: bytes) -> tuple[str, str]:
    one, other = orjson.loads(name)
    return one, other


def load(items: Mapping[bytes, bytes]) -> PartitionState:
    """The state that the changelog's items (key -> newest value) describe, indexes rebuilt. Timers are the engine's.

    Raises DamagedState.
    """
    state = PartitionState()
    for key, value in items.items():
        try:
            _load(state, items, key, value)
        except DAMAGE as error:
            raise DamagedState(f"the record of {key!r:.80} is {value!r:.80}: {error!r}") from error
    _index_alerts(state, state.alerts.values())
    for alert in state.alerts.values():
        if alert.forget_ms and not alert.firing:
            state.ended.add(alert, state.alerts)
    return state


def forget_strangers(state: PartitionState, items: Mapping[bytes, bytes]) -> None:
    """Let the next checkpoint take away the items that the state does not have.

    Older versions passed them over.
    """
    for key in items:
        known = key in (META, POLICY) or (
            key[2:] in state.alerts if key[:2] == b"c/" else _dump(state, key)
        )
        if not known:
            state.dirty[key] = None


def _load(state: PartitionState, items: Mapping[bytes, bytes], key: bytes, value: bytes) -> None:
    kind, name = key[:2], key[2:]
    if kind == b"a/":
        alert = state.alerts[name] = _alert(orjson.loads(value), items[b"c/" + name])
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
        incident.loud += alert.firing and not alert.holds
        incident.waiting += alert.firing and alert.waits
        note_unnamed(incident, alert)


def _alert(document: dict[str, Any], counters: bytes) -> LiveAlert:
    check_types(LiveAlert, document)
    document["severity"] = Severity(document["severity"])
    document.setdefault("loud_ms", document["fired_ms"])
    if document.get("holds"):
        document["holds"] = _holds(document["holds"])
    alert = LiveAlert(**document)
    numbers = alert.count, alert.last_ms, hold_ms, starts_ms = orjson.loads(counters)
    assert all(type(one) is int and abs(one) < COUNT_MAX for one in numbers), (
        f"its counters are {counters!r:.80}"
    )
    alert.renew(hold_ms, starts_ms)
    return alert


def _holds(document: dict[str, Any]) -> dict[str, Hold]:
    for hold in document.values():
        check_types(Hold, hold)
    return {key: Hold(**hold) for key, hold in document.items()}


def _incident(state: PartitionState, _: bytes, document: dict[str, Any]) -> None:
    if "summary" not in document:
        document = _of_format_1(document)
    check_types(Incident, document)
    document["state"] = State(document["state"])
    document["severity"] = Severity(document["severity"])
    for name in ("told_severity", "peak_severity", "owner_severity"):
        document[name] = Severity(document.get(name, document["severity"]))
    assert not document.get("unsaid") or document["unsaid"]["kind"] in list(NotificationKind)
    document.setdefault("told_owner", document["owner"] if document["told_ms"] else "")
    for severity in document.get("clock_severity", {}).values():
        Severity(severity)
    document["members"] = {key: _member(member) for key, member in document["members"].items()}
    document["holds"] = _holds(document.get("holds", {}))
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
        "loud_ms",
        "told_ms",
        "first_told_ms",
        "climb_ms",
        "word_ms",
        "reminded_ms",
    )
    told = {
        "summary": document["title"],
        "told_alerts": 10_000,
        "told_severity": document["severity"],
    }
    return dict.fromkeys(since, document["opened_ms"]) | told | document


def _member(document: dict[str, Any]) -> Member:
    check_types(Member, document)
    document["severity"] = Severity(document["severity"])
    return Member(**document)


def _window(state: PartitionState, name: bytes, document: Any) -> None:
    state.windows[_pair(name)] = _all_fired(document)


def _early(state: PartitionState, name: bytes, document: Any) -> None:
    state.early[_pair(name)] = _all_fired(document)


def _all_fired(document: Any) -> list[Fired]:
    for one in document:
        check_types(Fired, one)
    return [Fired(**one | {"member": _member(one["member"])}) for one in document]


def _former(state: PartitionState, _: bytes, document: Any) -> None:
    assert type(document) is list
    assert all(type(shape) is str for shape in document)
    state.former = dict.fromkeys(document)


def _link(state: PartitionState, name: bytes, document: Any) -> None:
    state.links[_pair(name)] = _link_of(document)


def _resting(state: PartitionState, name: bytes, document: Any) -> None:
    state.resting[_pair(name)] = _link_of(document)


def _link_of(document: Any) -> Link:
    check_types(Link, document)
    sources = {key: _member(one) for key, one in document["sources"].items()}
    targets = {key: _target(one) for key, one in document["targets"].items()}
    last = _member(document["last"]) if document["last"] else None
    size = sum(one.size for one in sources.values()) + sum(one.size for one in targets.values())
    return Link(sources, targets, last, document["ended_ms"], size)


def _target(document: dict[str, Any]) -> Target:
    check_types(Target, document)
    root = document["root"]
    return Target(document["at_ms"], _member(document["member"]), _member(root) if root else None)


def _receiver(state: PartitionState, name: bytes, document: Any) -> None:
    receiver, channel = _pair(name)
    check_types(Receiver, document)
    state.receivers[receiver, channel] = Receiver(**document)


def _silence(state: PartitionState, name: bytes, document: Any) -> None:
    check_types(Silence, document)
    matchers = (
        Matcher(one["label"], Operator(one["operator"]), one["value"])
        for one in document["matchers"]
    )
    state.silences[name.decode()] = Silence(**document | {"matchers": tuple(matchers)})


def _task(state: PartitionState, name: bytes, document: Any) -> None:
    check_types(Task, document)
    # Each reminder is a deadline: below zero there would be more of them than anybody can wait for.
    assert document["reminded"] >= 0, f"reminded is {document['reminded']}, must be 0 or more"
    state.tasks[name.decode()] = Task(**document | {"severity": Severity(document["severity"])})


def _source(state: PartitionState, name: bytes, document: Any) -> None:
    topic, partition = name.decode().rsplit("/", 1)
    offset, number = document
    assert type(offset) is int
    assert type(number) is int
    state.sources[topic, int(partition)] = (offset, number)


def _spoiled(state: PartitionState, name: bytes, document: Any) -> None:
    assert type(document) is int
    state.spoiled[_pair(name)] = document


_LOADERS = {
    b"i/": _incident,
    b"w/": _window,
    b"l/": _link,
    b"r/": _receiver,
    b"z/": _silence,
    b"t/": _task,
    b"s/": _source,
    b"x/": _spoiled,
    b"d/": _resting,
    b"e/": _early,
    FORMER: _former,
}
