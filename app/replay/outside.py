"""A recorded journal as what came from outside, and the places at which actors' messages stood in it.

A what-if run takes from the record what Tocsin did not make itself: alerts, commands, silences, ticks. What actors told each
other through the journal is computed anew. But a message was not there at once: it came when the worker that sent it got to
it, and what it met there may have depended on that. So the run learns at which place the message of a cause stood, its
slot, and puts its own message of that cause there. Under the recorded policy that makes the very journal that was recorded.

Partitions are read together, in the order of time; a slot comes after the record that it follows from.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from heapq import heappop, heappush, heapreplace
from typing import Any, NamedTuple, Protocol

import orjson

from app.replay.ids import ROOM, message_to_run
from app.transport.log import Headers, StoredRecord
from models.inert import inert
from models.journal import ALERT_START, TICK, Source, source_from
from models.reason import BadInput
from models.topics import partition_of

CHECKED_EACH = 16  # so many records, one is looked at whether it is where its key puts it
AT_ONCE = 5000  # steps of the merged journal that are handed out together

_FIRST_KEY = re.compile(rb'\s*\{\s*"([^"\\]{1,40})"')
_OUTSIDE = ("alert", "tick", "command", "receipt", "silence", "policy", "refused")
_MESSAGES = ("signal", "hold", "member", "page")


class NotReplayable(Exception):
    """The journal cannot be replayed; the message says what was found, where, and what there is instead."""


class Readable(Protocol):
    """What is read of a log: Kafka's, an embedded one, a recording."""

    async def read(self, topic: str, partition: int, offset: int, max_records: int = 5000) -> list[StoredRecord]:
        """Records at `offset` and after, oldest first; an empty list at the end."""

    async def start_offset(self, topic: str, partition: int) -> int:
        """The oldest offset that is kept."""

    async def end_offset(self, topic: str, partition: int) -> int:
        """The offset that the next record will get."""


class Kind(IntEnum):
    """What a run does with a record of the journal."""

    PLAIN = 0  # apply it
    ALERT = 1  # apply it where its component lives
    COMMAND = 2  # apply it to the incident that it meant
    POLICY = 3  # apply it where the recorded policies count
    SLOT = 4  # apply the run's own message
    PASSED = 5  # only the time passes: a second copy, or a receipt, which changes nothing that is compared


class Slot(NamedTuple):
    """A place at which an actor's message stood."""

    partition: int
    offset: int
    signature: bytes


class Step(NamedTuple):
    """A record of the journal, at its place in the order in which a run takes them. `record.offset` is a run's."""

    partition: int
    kind: Kind
    record: StoredRecord


Place = tuple[int, int]  # partition and recorded offset


@dataclass(slots=True)
class Span:
    """What is kept of a partition."""

    start: int
    end: int
    first_ms: int = 0  # the first record's time, if there is one
    last_ms: int = 0


@dataclass(slots=True)
class Survey:
    """What a first look at the journal tells."""

    spans: list[Span] = field(default_factory=list)
    slots: dict[Place, list[Slot]] = field(default_factory=dict)  # by cause, in the order in which they were sent
    causes: dict[Place, Place] = field(default_factory=dict)  # by the slot's place
    kept: set[Place] = field(
        default_factory=set
    )  # messages whose cause is not in the record: they are taken as they were
    policies: list[tuple[int, Place, dict[str, Any]]] = field(default_factory=list)  # when, where, what
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
        return frozenset(partition for partition, span in enumerate(self.spans) if span.start == span.end)


def signature_of(key: bytes | None, value: bytes) -> bytes:
    """What two messages have in common that say the same thing in two runs. Incidents' ids differ between runs."""
    said = b"" if value.startswith(b'{"member"') else value.partition(b",")[0]
    return (key or b"") + b"\n" + said


def kind_of(value: bytes) -> str:
    """The first key of a record, by which its kind is known; empty when it is not an object."""
    found = _FIRST_KEY.match(value)
    return found[1].decode(errors="replace") if found else ""


async def survey(log: Readable, topic: str, partitions: int) -> Survey:
    """Look through the whole journal once, up to where it ends now. Raises NotReplayable."""
    found = Survey()
    for partition in range(partitions):
        found.spans.append(Span(await log.start_offset(topic, partition), await log.end_offset(topic, partition)))
    for partition, span in enumerate(found.spans):
        offset, seen = span.start, dict[int, Place]()
        while offset < span.end and (records := await log.read(topic, partition, offset)):
            offset = records[-1].offset + 1
            if not span.first_ms:
                span.first_ms = next((record.timestamp for record in records if record.timestamp), 0)
            span.last_ms = max(span.last_ms, records[-1].timestamp)
            _look(found, partition, (record for record in records if record.offset < span.end), seen)
    return found


def _look(found: Survey, partition: int, records: Iterable[StoredRecord], seen: dict[int, Place]) -> None:
    """Note what is in some records; `seen` has the last position of each source partition."""
    for record in records:
        value = record.value or b""
        if not record.headers and (value.startswith(ALERT_START) or value == TICK):
            if record.key and record.offset % CHECKED_EACH == 0:
                _check_partition(found, partition, record)
            continue
        kind, place = kind_of(value), (partition, record.offset)
        if kind and kind not in _OUTSIDE and kind not in _MESSAGES:
            known = ", ".join((*_OUTSIDE, *_MESSAGES))
            text = f"the record {partition}:{record.offset} of the journal is of the kind {inert(kind)!r}"
            raise NotReplayable(f"{text}, known are {known}: replay it with the version of Tocsin that wrote it")
        if kind == "policy":
            _note_policy(found, record.timestamp, place, value)
        found.commands += kind == "command"
        found.receipts += kind == "receipt"
        if kind in _MESSAGES:
            _note_slot(found, place, record, value, seen)


def _check_partition(found: Survey, partition: int, record: StoredRecord, source: int = 0) -> None:
    """Raise NotReplayable when a record is not where its key puts it, or is from a partition that is not there."""
    expected = partition_of(record.key or b"", found.partitions)
    if expected != partition or source >= found.partitions:
        text = f"the record {partition}:{record.offset} of the journal cannot be one of {found.partitions} partitions"
        raise NotReplayable(f"{text}: TOCSIN_PARTITIONS has to be what it was when the journal was written")


def _note_policy(found: Survey, at_ms: int, place: Place, value: bytes) -> None:
    try:
        document = orjson.loads(value).get("document")
    except orjson.JSONDecodeError:
        return
    if isinstance(document, dict) and all(document != known for _, _, known in found.policies):
        found.policies.append((at_ms, place, document))


def _note_slot(found: Survey, place: Place, record: StoredRecord, value: bytes, seen: dict[int, Place]) -> None:
    source = _source(record)
    if source is None or source.topic != "journal":
        return
    partition, offset = place
    _check_partition(found, partition, record, source.partition)
    cause = (source.partition, source.offset)
    if (source.offset, source.number) <= seen.get(source.partition, (-1, -1)):
        return  # a second copy
    seen[source.partition] = (source.offset, source.number)
    if not found.spans[source.partition].start <= source.offset < found.spans[source.partition].end:
        found.kept.add(place)
        return
    found.causes[place] = cause
    found.slots.setdefault(cause, []).append(Slot(partition, offset, signature_of(record.key, value)))


def _source(record: StoredRecord) -> Source | None:
    try:
        return source_from(tuple(record.headers))
    except BadInput:
        return None


class Merged:
    """The journal's partitions as one sequence of steps."""

    def __init__(self, log: Readable, topic: str, found: Survey) -> None:
        self._log, self._topic, self._survey = log, topic, found
        self._buffers: list[list[StoredRecord]] = [
            [] for _ in found.spans
        ]  # what was read and not handed out, newest first
        self._read = [span.start for span in found.spans]  # the offsets up to which partitions were read
        self._next = [span.start for span in found.spans]  # the offsets of what comes next
        self._next_ms = [0] * found.partitions  # and when that is; a partition's time never goes back
        self._raw: dict[
            Place, Place
        ] = {}  # partition and raw partition -> the last position that was copied from there
        self._heap: list[tuple[int, int]] = []  # an entry for each partition that has a next record

    async def start(self) -> None:
        """Read the beginning of each partition."""
        for partition in range(self._survey.partitions):
            await self._refill(partition)
            if self._buffers[partition]:
                if kind_of(self._buffers[partition][-1].value or b"") == "policy":
                    self._next_ms[partition] = -1  # what each begins with, before anything happens in another
                heappush(self._heap, (self._next_ms[partition], partition))

    async def steps(self) -> list[Step]:
        """The next steps; an empty list at the end."""
        steps: list[Step] = []
        while self._heap and len(steps) < AT_ONCE:
            at_ms, partition = self._heap[0]
            if not self._buffers[partition]:
                heappop(self._heap)
            elif at_ms != self._next_ms[partition]:
                heapreplace(self._heap, (self._next_ms[partition], partition))
            else:
                first = self._first(partition)
                steps.append(self._take(first))
                if self._buffers[first]:
                    self._look(first)
                else:
                    await self._refill(first)
        return steps

    def _first(self, partition: int) -> int:
        """The partition whose record has to be taken before this one's can be: that of its cause, and so on."""
        if (partition, self._next[partition]) not in self._survey.causes:
            return partition
        asked = {partition}
        while cause := self._survey.causes.get((partition, self._next[partition])):
            if cause[0] in asked or self._next[cause[0]] > cause[1] or not self._buffers[cause[0]]:
                break
            partition = cause[0]
            asked.add(partition)
        return partition

    def _take(self, partition: int) -> Step:
        record = self._buffers[partition].pop()
        kind, headers = self._kind(partition, record)
        # A record of its own: the log may keep those that it hands out.
        offset, value = record.offset * ROOM, record.value
        if (partition, record.offset) in self._survey.kept:
            value = message_to_run(value or b"")
        return Step(partition, kind, StoredRecord(offset, record.timestamp, record.key, value, headers))

    async def _refill(self, partition: int) -> None:
        """Read on in a partition of which everything that was read has been handed out."""
        buffer, end = self._buffers[partition], self._survey.spans[partition].end
        if self._read[partition] < end:
            found = await self._log.read(self._topic, partition, self._read[partition])
            self._read[partition] = found[-1].offset + 1 if found else end
            buffer += [record for record in reversed(found) if record.offset < end]
        if buffer:
            self._look(partition)
        else:
            self._next[partition] = end

    def _look(self, partition: int) -> None:
        """Note what comes next of a partition."""
        record = self._buffers[partition][-1]
        self._next[partition] = record.offset
        self._next_ms[partition] = max(self._next_ms[partition], record.timestamp)

    def _kind(self, partition: int, record: StoredRecord) -> tuple[Kind, Headers]:
        """What is to be done with a record, and the headers that it has in a run: none that tells of a source."""
        value = record.value or b""
        if not record.headers:
            if value.startswith(ALERT_START):
                return Kind.ALERT, ()
            if value == TICK:
                return Kind.PLAIN, ()
        headers, source = tuple(record.headers), _source(record)
        if source is not None and source.topic == "raw":
            whence, position = (partition, source.partition), (source.offset, source.number)
            if position <= self._raw.get(whence, (-1, -1)):
                return Kind.PASSED, ()
            self._raw[whence], headers = position, ()
        if source is not None and source.topic == "journal":
            place = (partition, record.offset)
            if place in self._survey.causes:
                return Kind.SLOT, ()
            return Kind.PLAIN if place in self._survey.kept else Kind.PASSED, ()
        return _KINDS.get(kind_of(value), Kind.PLAIN), headers


_KINDS = {"alert": Kind.ALERT, "command": Kind.COMMAND, "policy": Kind.POLICY, "receipt": Kind.PASSED} | dict.fromkeys(
    _MESSAGES,
    Kind.PASSED,  # one that does not say what it follows from: somebody else's
)
