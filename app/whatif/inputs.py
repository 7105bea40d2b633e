"""A recorded journal as what came from outside: its partitions read together, in the order of time.

A run takes from the record what Tocsin did not make itself: alerts, commands, silences, ticks. What
actors told each other is computed anew, but where the record has it (`app.whatif.journal_scan`). A
slot comes after the record that its message follows from.
"""

from enum import IntEnum
from heapq import heappop, heappush, heapreplace
from typing import NamedTuple

from app.transport.log import Headers, Readable, StoredRecord
from app.whatif.ids import ROOM, message_to_run
from app.whatif.journal_scan import MESSAGES, JournalScan, Place, kind_of
from models.journal import ALERT_START, ALERTS_START, TICK, source_or_none

AT_ONCE = 5000  # steps of the merged journal that are handed out together


class InputKind(IntEnum):
    """What a run does with a record of the journal."""

    PLAIN = 0  # apply it
    ALERT = 1  # apply it where its component lives
    COMMAND = 2  # apply it to the incident that it meant
    POLICY = 3  # apply it where the recorded policies count
    SLOT = 4  # apply the run's own message
    PASSED = 5  # only the time passes: a second copy, or a receipt, which changes nothing that is compared


class InputStep(NamedTuple):
    """A record of the journal, at its place in the order in which a run takes them.

    `record.offset` is a run's.
    """

    partition: int
    kind: InputKind
    record: StoredRecord


class MergedJournal:
    """The journal's partitions as one sequence of steps."""

    def __init__(self, log: Readable, topic: str, scan: JournalScan) -> None:
        self._log, self._topic, self._survey = log, topic, scan
        self._buffers: list[list[StoredRecord]] = [
            [] for _ in scan.spans
        ]  # what was read and not handed out, newest first
        self._read = [
            span.start for span in scan.spans
        ]  # the offsets up to which partitions were read
        self._next = [span.start for span in scan.spans]  # the offsets of what comes next
        self._next_ms = [
            0
        ] * scan.partitions  # and when that is; a partition's time never goes back
        self._raw: dict[
            Place, Place
        ] = {}  # partition and raw partition -> the last position that was copied from there
        self._heap: list[tuple[int, int]] = []  # an entry for each partition that has a next record

    async def start(self) -> None:
        """Read the beginning of each partition."""
        for partition in range(self._survey.partitions):
            await self._read_next_batch(partition)
            if self._buffers[partition]:
                if kind_of(self._buffers[partition][-1].value or b"") == "policy":
                    self._next_ms[
                        partition
                    ] = -1  # what each begins with, before anything happens in another
                heappush(self._heap, (self._next_ms[partition], partition))

    async def steps(self) -> list[InputStep]:
        """The next steps; an empty list at the end."""
        steps: list[InputStep] = []
        while self._heap and len(steps) < AT_ONCE:
            at_ms, partition = self._heap[0]
            if not self._buffers[partition]:
                heappop(self._heap)
            elif at_ms != self._next_ms[partition]:
                heapreplace(self._heap, (self._next_ms[partition], partition))
            else:
                first = self._first(partition)
                steps.append(self._take_record(first))
                if self._buffers[first]:
                    self._look_ahead(first)
                else:
                    await self._read_next_batch(first)
        return steps

    def _first(self, partition: int) -> int:
        """The partition whose record has to be taken before this one's can be.

        That of its cause, and so on.
        """
        if (partition, self._next[partition]) not in self._survey.causes:
            return partition
        asked = {partition}
        while cause := self._survey.causes.get((partition, self._next[partition])):
            if cause[0] in asked or self._next[cause[0]] > cause[1] or not self._buffers[cause[0]]:
                break
            partition = cause[0]
            asked.add(partition)
        return partition

    def _take_record(self, partition: int) -> InputStep:
        record = self._buffers[partition].pop()
        kind, headers = self._classify_record(partition, record)
        # A record of its own: the log may keep those that it hands out.
        offset, value = record.offset * ROOM, record.value
        if (partition, record.offset) in self._survey.kept:
            value = message_to_run(value or b"")
        return InputStep(
            partition, kind, StoredRecord(offset, record.timestamp, record.key, value, headers)
        )

    async def _read_next_batch(self, partition: int) -> None:
        """Read on in a partition of which everything that was read has been handed out."""
        buffer, end = self._buffers[partition], self._survey.spans[partition].end
        if self._read[partition] < end:
            records = await self._log.read(self._topic, partition, self._read[partition])
            self._read[partition] = records[-1].offset + 1 if records else end
            buffer += [record for record in reversed(records) if record.offset < end]
        if buffer:
            self._look_ahead(partition)
        else:
            self._next[partition] = end

    def _look_ahead(self, partition: int) -> None:
        """Note what comes next of a partition."""
        record = self._buffers[partition][-1]
        self._next[partition] = record.offset
        self._next_ms[partition] = max(self._next_ms[partition], record.timestamp)

    def _classify_record(self, partition: int, record: StoredRecord) -> tuple[InputKind, Headers]:
        """What is to be done with a record, and the headers that it has in a run.

        None that tells of a source.
        """
        value = record.value or b""
        if not record.headers:
            if value.startswith((ALERT_START, ALERTS_START)):
                return InputKind.ALERT, ()
            if value == TICK:
                return InputKind.PLAIN, ()
        headers = tuple(record.headers)
        source = source_or_none(headers)
        if source is not None and source.topic == "raw":
            whence, position = (partition, source.partition), (source.offset, source.number)
            if position <= self._raw.get(whence, (-1, -1)):
                return InputKind.PASSED, ()
            self._raw[whence], headers = position, ()
        if source is not None and source.topic == "journal":
            place = (partition, record.offset)
            if place in self._survey.causes:
                return InputKind.SLOT, ()
            return InputKind.PLAIN if place in self._survey.kept else InputKind.PASSED, ()
        return _KINDS.get(kind_of(value), InputKind.PLAIN), headers


_KINDS = {
    "alert": InputKind.ALERT,
    "alerts": InputKind.ALERT,
    "command": InputKind.COMMAND,
    "policy": InputKind.POLICY,
    "receipt": InputKind.PASSED,
} | dict.fromkeys(
    MESSAGES,
    InputKind.PASSED,  # one that does not say what it follows from: somebody else's
)
