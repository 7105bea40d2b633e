"""The state's form in the changelog: one key for each thing, and the newest value of each key is the state.

`a/` an alert, `c/` its counters (a repeat changes nothing else), `i/` an incident, `w/` a window,
`l/` a link of sources and targets, `r/` a receiver, `z/` a silence, `t/` a task, `s/` a source
position, `x/` a deadline to be passed over, `d/` a link and `e/` firings of a rule that is not in
force here (`app.core.correlation.signal_router`), `f/` the shapes that rules had, `b/` the hours in
which an alert began, `n/` a part of what nearness remembers of a group, `p` the policy
document and `m` the meta record, last in each checkpoint. The fields of each record are written
out in `app.core.state.changelog_fields`.

The meta record says how many keys there are as of its checkpoint. Compaction drops what has a newer
value, so that the state as of a checkpoint before that value lacks keys: it is no state, and is
recognised by their number.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from app.core.state.changelog_fields import encode, read_fields
from app.core.state.expected_heartbeats import ExpectedHeartbeat
from app.core.state.incident_alerts import add_alert, in_order, note_unnamed
from app.core.state.live_alert import LiveAlert, Suppression, bytes_of
from app.core.state.members import Fired, InhibitionGroup, Member, Target
from app.core.state.near_memory import BEGUN_KEY, GROUP_KEY
from app.core.state.near_part import NearPart
from app.core.state.receivers import Receiver
from app.core.state.state import FORMER, Incident, PartitionState
from app.core.state.tasks import Task
from app.core.state.timer_kind import TimerKind
from models.errors import TocsinError
from models.events import NotificationKind
from models.incident import State
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
    b"h/": "expected",
    b"s/": "sources",
    b"x/": "quarantined",
    b"d/": "parked",
    b"e/": "deferred_signals",
}

# What reading a record raises that Tocsin did not write.
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
            # As JSON. There are many of these, and this is twice as fast as to encode a list.
            counters = (alert.count, alert.last_ms, alert.ttl_ms, alert.starts_ms)
            records.append((b"c/" + key, b"[%d,%d,%d,%d]" % counters))
    state.dirty.clear()
    state.touched.clear()
    return records + state.near.changed_records()


def number_of_keys(state: PartitionState) -> int:
    """How many keys the changelog has when all changes are written, the policy and the meta record among them."""
    return (
        2
        + bool(state.former_rule_ids)
        + state.near.number_of_keys
        + sum(len(getattr(state, things)) for things in KINDS.values())
    )


def sizes_by_bound(state: PartitionState) -> dict[str, int]:
    """How much there is of what the policy's `bounds` limit, by the name of the bound."""
    return {
        "alerts": len(state.alerts),
        "alert_bytes": state.alert_bytes,
        "incidents": len(state.incidents),
        "groups": len(state.inhibition_groups)
        + len(state.windows)
        + len(state.parked)
        + len(state.deferred_signals),
        "silences": len(state.silences),
        "tasks": len(state.tasks),
    }


def is_whole(items: Mapping[bytes, bytes]) -> bool:
    """Whether the items as of a checkpoint have as many keys as there were.

    They have fewer where compaction has been over the checkpoint, or records are lost, and more
    where somebody else wrote.
    """
    keys: int | None = orjson.loads(items[META]).get("keys")
    return len(items) == keys


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
    value: Any
    match kind:
        case b"a":
            value = state.alerts.get(name)
        case b"i":
            value = state.incidents.get(name.decode())
        case b"w":
            value = state.windows.get(_decode_pair(name))
        case b"e":
            value = state.deferred_signals.get(_decode_pair(name))
        case b"f":
            value = list(state.former_rule_ids)
        case b"l" | b"d":
            groups = state.inhibition_groups if kind == b"l" else state.parked
            value = groups.get(_decode_pair(name))
        case b"r":
            value = state.receivers.get(_decode_pair(name))
        case b"z":
            value = state.silences.get(name.decode())
        case b"t":
            value = state.tasks.get(name.decode())
        case b"h":
            value = state.expected.get(name.decode())
        case b"s":
            topic, partition = name.decode().rsplit("/", 1)
            value = state.sources[topic, int(partition)]
        case b"x":
            value = state.quarantined.get(_quarantined_key(name))
        case _:
            value = None  # the counters of a forgotten alert
    return encode(value) if value else None


def _decode_pair(name: bytes) -> tuple[str, str]:
    item, other = orjson.loads(name)
    return item, other


def _quarantined_key(name: bytes) -> tuple[TimerKind, str]:
    kind, subject = orjson.loads(name)
    return TimerKind(kind), subject


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
    try:
        state.near.end_load()
    except DAMAGE as error:
        raise DamagedState(f"what nearness remembers cannot be read: {error!r}") from error
    _index_alerts(state, state.alerts.values())
    for alert in state.alerts.values():
        if alert.retain_until_ms and not alert.firing:
            state.ended.add(alert, state.alerts)
    return state


def _load_key(
    state: PartitionState, items: Mapping[bytes, bytes], key: bytes, value: bytes
) -> None:
    kind, name = key[:2], key[2:]
    if kind == b"a/":
        alert = state.alerts[name] = _load_alert(orjson.loads(value), items[b"c/" + name])
        assert alert.fingerprint.encode() == name
        state.measure(alert, bytes_of(alert.labels, alert.annotations, alert.generator_url))
    elif (
        kind in _LOADERS
    ):  # else the policy or the meta record, which are the engine's, or counters
        _LOADERS[kind](state, name, orjson.loads(value))


def _index_alerts(state: PartitionState, alerts: Iterable[LiveAlert]) -> None:
    for alert in in_order(alert for alert in alerts if alert.incident):
        incident = state.incidents[alert.incident]
        add_alert(incident, alert)
        incident.firing += alert.firing
        incident.unheard += alert.unheard_ms > 0
        if alert.firing:
            incident.firing_by[alert.severity] = incident.firing_by.get(alert.severity, 0) + 1
        incident.notifiable += alert.firing and not alert.suppressions
        incident.awaiting_correlation += alert.firing and alert.awaits_correlation
        note_unnamed(incident, alert)


def _load_alert(document: dict[str, Any], counters: bytes) -> LiveAlert:
    fields = read_fields(LiveAlert, document)
    fields["severity"] = Severity(fields["severity"])
    if fields["suppressions"]:
        fields["suppressions"] = _load_suppressions(fields["suppressions"])
    alert = LiveAlert(**fields)
    numbers = alert.count, alert.last_ms, ttl_ms, starts_ms = orjson.loads(counters)
    assert all(type(number) is int and abs(number) < COUNT_MAX for number in numbers), (
        f"its counters are {counters!r:.80}"
    )
    alert.renew(ttl_ms, starts_ms)
    return alert


def _load_suppressions(document: dict[str, Any]) -> dict[str, Suppression]:
    return {key: Suppression(**read_fields(Suppression, item)) for key, item in document.items()}


def _load_incident(state: PartitionState, _: bytes, document: dict[str, Any]) -> None:
    fields = read_fields(Incident, document)
    fields["state"] = State(fields["state"])
    for name in ("severity", "notified_severity", "peak_severity", "owner_severity"):
        fields[name] = Severity(fields[name])
    if fields["deferred_notification"]:
        NotificationKind(fields["deferred_notification"]["kind"])
    for severity in fields["clock_severity"].values():
        Severity(severity)
    if fields["near"]:
        near = read_fields(NearPart, fields["near"])
        fields["near"] = NearPart(**near | {"severity": Severity(near["severity"])})
    fields["members"] = {key: _load_member(member) for key, member in fields["members"].items()}
    fields["suppressions"] = _load_suppressions(fields["suppressions"])
    incident = Incident(**fields, bytes=sum(member.size for member in fields["members"].values()))
    state.incidents[incident.id] = incident
    state.current[incident.place.key, incident.incident_class] = incident


def _load_member(document: dict[str, Any]) -> Member:
    fields = read_fields(Member, document)
    return Member(**fields | {"severity": Severity(fields["severity"])})


def _load_window(state: PartitionState, name: bytes, document: Any) -> None:
    state.windows[_decode_pair(name)] = _load_firings(document)


def _load_deferred(state: PartitionState, name: bytes, document: Any) -> None:
    state.deferred_signals[_decode_pair(name)] = _load_firings(document)


def _load_firings(document: Any) -> list[Fired]:
    firings = [read_fields(Fired, item) for item in document]
    return [Fired(**firing | {"member": _load_member(firing["member"])}) for firing in firings]


def _load_former(state: PartitionState, _: bytes, document: Any) -> None:
    assert type(document) is list
    assert all(type(rule_id) is str for rule_id in document)
    state.former_rule_ids = dict.fromkeys(document)


def _load_group(state: PartitionState, name: bytes, document: Any) -> None:
    state.inhibition_groups[_decode_pair(name)] = _group_of(document)


def _load_parked(state: PartitionState, name: bytes, document: Any) -> None:
    state.parked[_decode_pair(name)] = _group_of(document)


def _group_of(document: Any) -> InhibitionGroup:
    fields = read_fields(InhibitionGroup, document)
    sources = {key: _load_member(item) for key, item in fields["sources"].items()}
    targets = {key: _load_target(item) for key, item in fields["targets"].items()}
    last = _load_member(fields["last"]) if fields["last"] else None
    size = sum(source.size for source in sources.values()) + sum(
        target.size for target in targets.values()
    )
    return InhibitionGroup(sources, targets, last, fields["ended_ms"], size)


def _load_target(document: dict[str, Any]) -> Target:
    fields = read_fields(Target, document)
    root = _load_member(fields["root"]) if fields["root"] else None
    return Target(fields["at_ms"], _load_member(fields["member"]), root)


def _load_receiver(state: PartitionState, name: bytes, document: Any) -> None:
    receiver, channel = _decode_pair(name)
    state.receivers[receiver, channel] = Receiver(**read_fields(Receiver, document))


def _load_silence(state: PartitionState, name: bytes, document: Any) -> None:
    fields = read_fields(Silence, document)
    matchers = tuple(_load_matcher(matcher) for matcher in fields["matchers"])
    state.silences[name.decode()] = Silence(**fields | {"matchers": matchers})


def _load_matcher(document: dict[str, Any]) -> Matcher:
    fields = read_fields(Matcher, document)
    return Matcher(fields["label"], Operator(fields["operator"]), fields["value"])


def _load_task(state: PartitionState, name: bytes, document: Any) -> None:
    fields = read_fields(Task, document)
    # Each reminder is a timer: below zero there would be more of them than anybody can wait for.
    assert fields["reminded"] >= 0, f"reminded is {fields['reminded']}, must be 0 or more"
    state.tasks[name.decode()] = Task(**fields | {"severity": Severity(fields["severity"])})


def _load_expected(state: PartitionState, name: bytes, document: Any) -> None:
    expected = ExpectedHeartbeat(**read_fields(ExpectedHeartbeat, document))
    assert expected.fingerprint == name.decode(), "an expected heartbeat has another's key"
    state.expected[name.decode()] = expected


def _load_source(state: PartitionState, name: bytes, document: Any) -> None:
    topic, partition = name.decode().rsplit("/", 1)
    offset, number = document
    assert type(offset) is int
    assert type(number) is int
    state.sources[topic, int(partition)] = (offset, number)


def _load_quarantined(state: PartitionState, name: bytes, document: Any) -> None:
    assert type(document) is int
    state.quarantined[_quarantined_key(name)] = document


def _load_begun(state: PartitionState, name: bytes, document: Any) -> None:
    state.near.load_begun(name, document)


def _load_near(state: PartitionState, name: bytes, document: Any) -> None:
    state.near.load_group(name, document)


_LOADERS = {
    BEGUN_KEY: _load_begun,
    GROUP_KEY: _load_near,
    b"i/": _load_incident,
    b"w/": _load_window,
    b"l/": _load_group,
    b"r/": _load_receiver,
    b"z/": _load_silence,
    b"t/": _load_task,
    b"h/": _load_expected,
    b"s/": _load_source,
    b"x/": _load_quarantined,
    b"d/": _load_parked,
    b"e/": _load_deferred,
    FORMER: _load_former,
}
