"""The records of the journal: every input that can change an incident.

A record's value is one JSON object whose first key names its kind; its Kafka key is the correlation
key that chose the partition (a component, or a rule's group). The append timestamp is the record's
time. Records that copy or follow from another record carry that one's position in the header
`source`; a partition drops a source position that is not past the last it has seen, so nothing that
is sent twice counts twice.

An alert's value begins with everything that tells a plain repeat from news, in fixed order, so that
a repeat is recognised without being parsed. `encode_alert` is the only writer of that shape.

The alerts of one request for one component are one record, and are decided together. Between two
tabs stands the value of one alert, so a repeat among them is recognised in the same way.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.alert import Alert
from models.reason import BadInput, Reason
from models.silence import Silence
from models.text.json_bytes import json_bytes
from models.topics import PARTITIONS_MAX

ALERT_START = b'{"alert":"'
ALERTS_START = b'{"alerts":['  # several alerts of one request
_BEFORE, _BETWEEN, _AFTER = b"\t", b",\t", b"\t]}"  # JSON has no tab within a text
POLICY_START = b'{"policy":'
COMMAND_START = b'{"command":'
FINGERPRINT = slice(
    len(ALERT_START), len(ALERT_START) + 16
)  # where an alert's fingerprint stands in its value
_STATUS_START = FINGERPRINT.stop + len(b'","status":"')
STATUS = slice(_STATUS_START, _STATUS_START + len(b"resolved"))  # "firing" has two bytes less

TICK = b'{"tick":true}'
SOURCE_HEADER = "source"

# The newest format of records. A record whose kind comes with a later format than 1 has a header
# that says so: a Tocsin that does not know the kind stops there and does not drop the record.
FORMAT = 1
FORMAT_HEADER = "format"
_FORMAT = re.compile(rb"[1-9]\d{0,8}")
Headers = tuple[tuple[str, bytes], ...]
_SOURCE = re.compile(rb"(raw|journal):(\d{1,19}):(\d{1,19}):(\d{1,19})")


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """The position that a journal record follows from.

    A record of another topic, or a numbered effect of the journal.
    """

    topic: str  # "raw" or "journal"; the role, not the name, so that a prefix changes nothing
    partition: int
    offset: int
    number: int = 0

    def header(self) -> tuple[str, bytes]:
        """The Kafka header that carries it."""
        return source_header(self.topic, self.partition, self.offset, self.number)


def source_header(topic: str, partition: int, offset: int, number: int = 0) -> tuple[str, bytes]:
    """The same of a position that is no object yet."""
    return SOURCE_HEADER, f"{topic}:{partition}:{offset}:{number}".encode()


def source_headers(topic: str, partition: int) -> Callable[[int], tuple[str, bytes]]:
    """The same of many offsets, each with the number 0, as most records of the raw topic need."""
    start = f"{topic}:{partition}:".encode()
    return lambda offset: (SOURCE_HEADER, b"%b%d:0" % (start, offset))


def source_from(headers: Headers) -> Source | None:
    """The source position in a record's headers, or None. Raises BadInput when it is not one."""
    for name, value in headers:
        if name == SOURCE_HEADER:
            match = _SOURCE.fullmatch(value or b"")
            if match is None:
                expected = "raw:PARTITION:OFFSET:NUMBER or journal:..."
                raise BadInput(
                    Reason.MALFORMED,
                    f"the header {SOURCE_HEADER} is {value!r:.60}, must be {expected}",
                )
            topic, partition, offset, number = match.groups()
            if int(partition) >= PARTITIONS_MAX:  # each is remembered for ever
                expected = f"a partition below {PARTITIONS_MAX}"
                raise BadInput(
                    Reason.MALFORMED,
                    f"the header {SOURCE_HEADER} is {value!r:.60}, must have {expected}",
                )
            return Source(topic.decode(), int(partition), int(offset), int(number))
    return None


def source_or_none(headers: Headers) -> Source | None:
    """The same, and None also for a header that is not one.

    The engine makes a dead letter of its record.
    """
    try:
        return source_from(headers)
    except BadInput:
        return None


def format_from(headers: Headers) -> int:
    """The format that a record's kind came with; 1 when its headers name none. Raises BadInput."""
    for name, value in headers:
        if name == FORMAT_HEADER:
            if not _FORMAT.fullmatch(value or b""):
                raise BadInput(
                    Reason.MALFORMED,
                    f"the header {FORMAT_HEADER} is {value!r:.60}, must be a number",
                )
            return int(value)
    return 1


def text_of(document: Mapping[str, Any], name: str) -> str:
    """A text of a record. Raises BadInput."""
    value = document.get(name)
    if not isinstance(value, str):
        raise BadInput(Reason.MALFORMED, f"{name} is {value!r:.60}, must be a text")
    return value


def encode_alert(alert: Alert) -> bytes:
    """The journal value of an alert."""
    return json_bytes(
        {
            "alert": alert.fingerprint,
            "status": "firing" if alert.firing else "resolved",
            "ttl_ms": alert.ttl_ms,
            "starts_ms": alert.starts_ms,
            "ends_ms": alert.ends_ms,
            "labels": alert.labels,
            "annotations": alert.annotations,
            "url": alert.url,
        }
        | ({"until_resolved": True} if alert.until_resolved else {})
    )


def encode_alerts(alerts: Sequence[bytes]) -> bytes:
    """The journal value of the alerts of one request; each is an `encode_alert`."""
    if len(alerts) == 1:
        return alerts[0]
    return ALERTS_START + _BEFORE + _BETWEEN.join(alerts) + _AFTER


def alerts_in(value: bytes) -> list[bytes]:
    """The values of the alerts of a record, of one alert or of several. Raises BadInput."""
    if value.startswith(ALERT_START):
        return [value]
    start, end = ALERTS_START + _BEFORE, _AFTER
    if not value.startswith(start) or not value.endswith(end):
        raise BadInput(
            Reason.MALFORMED, "a record of several alerts has to have a tab between two alerts"
        )
    return value[len(start) : -len(end)].split(_BETWEEN)


def encode_command(name: str, incident: str, by: str, **details: Any) -> bytes:
    """The journal value of an operator's command. `name` is one of `models.command.Command`.

    Details: `text`, and by command `to` and `team` (assign), `verdict` and `scope` (assessed),
    `eta_ms` (update), `number` (complaint), `step` (escalate), `into` (merge), `task` (done). What came back from a
    chat, a pager or a link has `through` (which of them) and a `key`, which counts once.
    """
    return json_bytes({"command": name, "incident": incident, "by": by, **details})


def encode_tick(run: str, elapsed_ms: int) -> bytes:
    """The journal value of a tick of a worker: which run of it, and for how long it has run."""
    return json_bytes({"tick": True, "run": run, "elapsed_ms": elapsed_ms})


def encode_silence(silence: Silence, *, preview: bool = False) -> bytes:
    """The journal value of a silence, for every partition.

    The newest record of an id is the silence. A `preview` only asks what it would do.
    """
    matchers = [[matcher.label, matcher.operator, matcher.value] for matcher in silence.matchers]
    return json_bytes(
        {
            "silence": silence.id,
            "matchers": matchers,
            "starts_ms": silence.starts_ms,
            "ends_ms": silence.ends_ms,
            "by": silence.by,
            "comment": silence.comment,
        }
        | ({"annotations": silence.annotations} if silence.annotations else {})
        | ({"preview": True} if preview else {})
    )


def encode_receipt(notification: str, incident: str, state: str, detail: str) -> bytes:
    """The journal value of a notifier's word on a notification: `delivered` or `failed`."""
    return json_bytes(
        {"receipt": notification, "incident": incident, "state": state, "detail": detail}
    )


def encode_signal(
    rule: str,
    group: str,
    role: str,
    member: Mapping[str, Any],
    rule_id: str = "",
    *,
    left: bool = False,
    near: Mapping[str, Any] | None = None,
) -> bytes:
    """The journal value of a component's message to a rule that looks across components.

    `role` says as what the alert takes part: `member`, `source`, `target`, or the number of a step
    of a sequence. `shape` says which rule of this name is meant (`app.core.rules.rule_id`), and
    `left` that the alert fires on, but takes no part in that rule any more. `near` is what a rule
    of nearness has to know besides: of one that fires `places`, `kind`, digests of its `labels` and
    its `hours` as background; of one that ended whether it is `resolved`.
    """
    document: dict[str, Any] = {"signal": rule, "group": group, "role": role, "member": member}
    if rule_id:
        document["rule_id"] = rule_id
    if near is not None:
        document["near"] = near
    if left:
        document["left"] = True
    return json_bytes(document)


def encode_suppression(
    rule: str,
    alert: str,
    record: str,
    suppression: Mapping[str, Any] | None,
    rule_id: str = "",
    near: Mapping[str, Any] | None = None,
) -> bytes:
    """The journal value of a rule's message to a component: that an alert keeps quiet, or (None) need not any more.

    `record` is the position of the record that made the alert fire: what has fired again since is
    not meant. `shape` says which rule of the name said it. `near` is there when an incident (which
    `alert` names then) belongs to another that is near it: the `member` by which that one knows it,
    the `root`, its `key`, and the `severity` from which on its alerts keep quiet.
    """
    more: dict[str, Any] = {"rule_id": rule_id} if rule_id else {}
    more |= {} if near is None else {"near": near}
    return json_bytes(
        {"suppression": rule, "alert": alert, "record": record, "because": suppression} | more
    )


def encode_member(
    root: str,
    rule: str,
    member: Mapping[str, Any],
    why: str = "",
    rule_id: str = "",
    *,
    left: bool = False,
    near: bool = False,
) -> bytes:
    """The journal value of a rule's message to a root's incident: what became of an alert that depends on it.

    `why` says why one that fires still belongs to it no more, `shape` by which rule of the name it
    did, and `left` that by that one it does not, since the policy has changed, but perhaps by
    another. `near` says that it does not depend on the root, but is near it.
    """
    more = (
        ({"why": why} if why else {})
        | ({"rule_id": rule_id} if rule_id else {})
        | ({"left": True} if left else {})
        | ({"near": True} if near else {})
    )
    return json_bytes({"member": root, "rule": rule, "alert": member} | more)


def encode_expected(rule: str, labels: Mapping[str, str], *, received: bool) -> bytes:
    """The journal value of a message about a heartbeat that the policy expects: that it does, or that it was received."""
    return json_bytes({"expected": rule, "labels": labels, "received": received})


def encode_page(
    severity: str, kind: str, body: Mapping[str, Any], ended: Sequence[str] = ()
) -> bytes:
    """The journal value of a notification on its way to the receiver's actor, which may make a digest of it.

    `ended` names what was over before a message named it: a digest of the message names it too.
    """
    more = {"ended": list(ended)} if ended else {}
    return json_bytes({"page": kind, "severity": severity, "body": body} | more)


def encode_refused(letter: Mapping[str, Any]) -> bytes:
    """The journal value of a raw record that cannot be read; `letter` is its dead letter's body."""
    return json_bytes({"refused": letter["reason"], "letter": letter})


def encode_resubmitted(letter: str, by: str) -> bytes:
    """The journal value that says that a dead letter was sent again and taken."""
    return json_bytes({"resubmitted": letter, "by": by})


def encode_policy(fingerprint: str, document: Mapping[str, Any]) -> bytes:
    """The journal value of a policy change; the whole policy stands in it."""
    return json_bytes({"policy": fingerprint, "document": document})
