"""A first look at a recorded journal: what is kept of it, which policies it tells, and where actors' messages stood.

What actors told each other through the journal was not there at once: it came when the worker that
sent it got to it, and what it met there may have depended on that. The place at which the message
of a cause stood is its slot; a run puts its own message of that cause there (`app.whatif.run`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from app.core.state.near_part import MERGED
from app.transport.log import Readable, StoredRecord
from models.journal import ALERT_START, ALERTS_START, TICK, source_or_none
from models.text.sanitize import inert
from models.topics import INCIDENT_KEY, partition_of

CHECKED_EACH = 16  # so many records, one is looked at whether it is where its key puts it

_OF_MERGE = b'{"suppression":"' + MERGED.encode()  # how the answer to a merge begins
_FIRST_KEY = re.compile(rb'\s*\{\s*"([^"\\]{1,40})"')
_OUTSIDE = ("alert", "alerts", "tick", "command", "receipt", "silence", "policy", "refused")
MESSAGES = ("signal", "suppression", "member", "expected", "page")


class NotReplayable(Exception):
    """The journal cannot be replayed.

    The message says what was found, where, and what there is instead.
    """


class MessageSlot(NamedTuple):
    """A place at which an actor's message stood."""

    partition: int
    offset: int
    signature: bytes


Place = tuple[int, int]  # partition and recorded offset


@dataclass(slots=True)
class KeptSpan:
    """What is kept of a partition."""

    start: int
    end: int
    first_ms: int = 0  # the first record's time, if there is one
    last_ms: int = 0


@dataclass(slots=True)
class JournalScan:
    """What a first look at the journal tells."""

    spans: list[KeptSpan] = field(default_factory=list)
    slots: dict[Place, list[MessageSlot]] = field(
        default_factory=dict
    )  # by cause, in the order in which they were sent
    causes: dict[Place, Place] = field(default_factory=dict)  # by the slot's place
    kept: set[Place] = field(
        default_factory=set
    )  # messages whose cause is not in the record: they are taken as they were
    policies: list[tuple[int, Place, dict[str, Any]]] = field(
        default_factory=list
    )  # when, where, what
    commands: int = 0
    receipts: int = 0

    @property
    def records(self) -> int:
        """How many there are."""
        return sum(span.end - span.start for span in self.spans)

    @property
    def partitions(self) -> int:
        """How many there are."""
        return len(self.spans)

    @property
    def absent(self) -> frozenset[int]:
        """Partitions that are not in the record: each that is has its policy at least."""
        return frozenset(
            partition for partition, span in enumerate(self.spans) if span.start == span.end
        )


def signature_of(key: bytes | None, value: bytes) -> bytes:
    """What two messages have in common that say the same thing in two runs.

    Incidents' ids differ between runs, so those in the key and in a merge's name do not count.
    """
    prefix = b"" if value.startswith(b'{"member"') else value.partition(b",")[0]
    if prefix.startswith(_OF_MERGE):
        prefix = _OF_MERGE
    key = INCIDENT_KEY if key and key.startswith(INCIDENT_KEY) else key or b""
    return key + b"\n" + prefix


def kind_of(value: bytes) -> str:
    """The first key of a record, by which its kind is known; empty when it is not an object."""
    match = _FIRST_KEY.match(value)
    return match[1].decode(errors="replace") if match else ""


async def scan_journal(log: Readable, topic: str, partitions: int) -> JournalScan:
    """Look through the whole journal once, up to where it ends now. Raises NotReplayable."""
    scan = JournalScan()
    for partition in range(partitions):
        scan.spans.append(
            KeptSpan(
                await log.start_offset(topic, partition), await log.end_offset(topic, partition)
            )
        )
    for partition, span in enumerate(scan.spans):
        offset, seen = span.start, dict[int, Place]()
        while offset < span.end and (records := await log.read(topic, partition, offset)):
            offset = records[-1].offset + 1
            if not span.first_ms:
                span.first_ms = next(
                    (record.timestamp for record in records if record.timestamp), 0
                )
            span.last_ms = max(span.last_ms, records[-1].timestamp)
            _note_records(
                scan, partition, (record for record in records if record.offset < span.end), seen
            )
    return scan


def _note_records(
    scan: JournalScan, partition: int, records: Iterable[StoredRecord], seen: dict[int, Place]
) -> None:
    """Note what is in some records; `seen` has the last position of each source partition."""
    for record in records:
        value = record.value or b""
        is_alert = value.startswith((ALERT_START, ALERTS_START))
        if not record.headers and (is_alert or value == TICK):
            if record.key and record.offset % CHECKED_EACH == 0:
                _check_partition(scan, partition, record)
            continue
        kind, place = kind_of(value), (partition, record.offset)
        if kind and kind not in _OUTSIDE and kind not in MESSAGES:
            known = ", ".join((*_OUTSIDE, *MESSAGES))
            text = f"the record {partition}:{record.offset} of the journal is of the kind {inert(kind)!r}"
            raise NotReplayable(
                f"{text}, known are {known}: replay it with the version of Tocsin that wrote it"
            )
        if kind == "policy":
            _note_policy(scan, record.timestamp, place, value)
        scan.commands += kind == "command"
        scan.receipts += kind == "receipt"
        if kind in MESSAGES:
            _note_slot(scan, place, record, value, seen)


def _check_partition(
    scan: JournalScan, partition: int, record: StoredRecord, source: int = 0
) -> None:
    """Raise NotReplayable when a record is not where its key puts it, or is from a partition that is not there."""
    expected = partition_of(record.key or b"", scan.partitions)
    if expected != partition or source >= scan.partitions:
        text = f"the record {partition}:{record.offset} of the journal cannot be one of {scan.partitions} partitions"
        raise NotReplayable(
            f"{text}: TOCSIN_PARTITIONS has to be what it was when the journal was written"
        )


def _note_policy(scan: JournalScan, at_ms: int, place: Place, value: bytes) -> None:
    try:
        document = orjson.loads(value).get("document")
    except orjson.JSONDecodeError:
        return
    if isinstance(document, dict) and all(document != known for _, _, known in scan.policies):
        scan.policies.append((at_ms, place, document))


def _note_slot(
    scan: JournalScan, place: Place, record: StoredRecord, value: bytes, seen: dict[int, Place]
) -> None:
    source = source_or_none(tuple(record.headers))
    if source is None or source.topic != "journal":
        return
    partition, offset = place
    _check_partition(scan, partition, record, source.partition)
    cause = (source.partition, source.offset)
    if (source.offset, source.number) <= seen.get(source.partition, (-1, -1)):
        return  # a second copy
    seen[source.partition] = (source.offset, source.number)
    if not scan.spans[source.partition].start <= source.offset < scan.spans[source.partition].end:
        scan.kept.add(place)
        return
    scan.causes[place] = cause
    scan.slots.setdefault(cause, []).append(
        MessageSlot(partition, offset, signature_of(record.key, value))
    )
