"""Whether the effects topics hold, record by record and byte for byte, what the replay has computed.

Consumers drop what is not past the last position that they have seen of a partition. So a record
that stands twice is no difference while it has the same bytes; and in the compacted topics an older
snapshot may be gone when a newer one of its key is there. Messages of actors are compared with the
journal's records that carry their position (`messages.py`).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from app.history.source import Source
from app.replay.difference import (
    Difference,
    changed_effect,
    extra_effect,
    missing_effect,
    repeated_position,
    unordered_effect,
)
from app.transport.log import StoredRecord
from models.effect import EFFECTS, Effect, Position, Stream, position_from

COMPACTED = frozenset({Stream.INCIDENTS, Stream.FOLLOWUPS, Stream.SILENCES, Stream.ALERTS})


@dataclass(slots=True)
class VerificationResult:
    """What came of comparing a partition; counts are of effects.

    `compacted` and `expired` are gone from their topics by compaction and by age; `pending` are of
    records that the worker had not certainly worked up, and nothing later is in their topic;
    `duplicates` stand a second time, with the same bytes; `foreign` have no position; `elsewhere`
    are messages to partitions of which there is no record.
    """

    identical: int = 0
    compacted: int = 0
    expired: int = 0
    pending: int = 0
    duplicates: int = 0
    foreign: int = 0
    elsewhere: int = 0
    differences: int = 0
    first: Difference | None = None

    def differs(self, difference: Difference) -> None:
        """Count a difference, and keep the first one of the journal's order."""
        self.differences += 1
        if self.first is None or difference.place < self.first.place:
            self.first = difference

    def add(self, other: "VerificationResult") -> None:
        """Add what came of another partition, which stands behind this one in order."""
        for name in (*COUNTS, "differences"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.first is not None and (self.first is None or other.first.place < self.first.place):
            self.first = other.first


COUNTS = ("identical", "compacted", "expired", "pending", "duplicates", "foreign", "elsewhere")


_NONE = Position(-1, -1)


@dataclass(slots=True)
class _EffectsTopic:
    """What stands in one partition of an effects topic.

    By position its digest and its offset, until it was computed.
    """

    stored: dict[Position, tuple[bytes, int]] = field(default_factory=dict)
    newest: dict[bytes | None, Position] = field(
        default_factory=dict
    )  # by key, where it is compacted
    kept_from: Position | None = None
    last: Position = _NONE


class Verifier:
    """Compares the effects of the records `first` up to `end` of a partition.

    `applied` is how far the worker certainly was.
    """

    def __init__(self, source: Source, partition: int, first: int, end: int, applied: int) -> None:
        self.checked = VerificationResult()
        self._source = source
        self._partition = partition
        self._first, self._end, self._applied = first, end, applied
        self._topics: dict[Stream, _EffectsTopic] = {}

    async def start(self) -> None:
        """Read what stands in the topics."""
        for stream in EFFECTS:
            topic = self._topics[stream] = _EffectsTopic()
            if stream not in COMPACTED:  # there the newest of each key stays, however old
                topic.kept_from = await self._source.kept_from(stream, self._partition)
            name = self._source.topic(stream)
            offset = await self._source.log.start_offset(name, self._partition)
            while records := await self._source.log.read(name, self._partition, offset):
                offset = records[-1].offset + 1
                for record in records:
                    self._note_record(stream, topic, record)

    def _note_record(self, stream: Stream, topic: _EffectsTopic, record: StoredRecord) -> None:
        position = position_from(tuple(record.headers))
        if position is None:
            self.checked.foreign += 1
            return
        if stream in COMPACTED:
            topic.newest[record.key] = max(position, topic.newest.get(record.key, position))
        if self._first <= position.offset < self._end:
            mark = record_digest(record.key, record.value)
            known = topic.stored.get(position)
            if known is not None and known[0] != mark:
                self.checked.differs(
                    repeated_position(self._partition, stream, position, known[1], record)
                )
            elif known is not None:
                self.checked.duplicates += 1
            else:
                topic.stored[position] = (mark, record.offset)
                if position < topic.last and stream not in COMPACTED:
                    self.checked.differs(
                        unordered_effect(self._partition, stream, position, topic.last, record)
                    )
        topic.last = max(topic.last, position)

    def take(self, effects: Iterable[Effect]) -> None:
        """Compare effects of the range, in order; messages are left to others."""
        checked = self.checked
        for effect in effects:
            if effect.stream is Stream.JOURNAL:
                continue
            topic = self._topics[effect.stream]
            stored = topic.stored.pop(effect.position, None)
            if stored is None:
                self._note_missing(effect, topic)
            elif stored[0] != record_digest(effect.key, effect.kept_value):
                checked.differs(changed_effect(self._partition, effect, stored[1]))
            else:
                checked.identical += 1

    def _note_missing(self, effect: Effect, topic: _EffectsTopic) -> None:
        checked, position = self.checked, effect.position
        if topic.newest.get(effect.key, position) > position:
            checked.compacted += 1
        elif (
            position.offset > self._applied and position > topic.last
        ):  # a topic gets its effects in order
            checked.pending += 1
        elif topic.kept_from is not None and position < topic.kept_from:
            checked.expired += 1
        else:
            checked.differs(missing_effect(self._partition, effect, self._applied))

    def finish(self) -> VerificationResult:
        """What came of it, once all effects of the range were taken."""
        for stream, topic in self._topics.items():
            for position, (_, offset) in topic.stored.items():
                self.checked.differs(extra_effect(self._partition, stream, position, offset))
        return self.checked


def record_digest(key: bytes | None, value: bytes | None) -> bytes:
    """Sixteen bytes that tell whether key and value are the same."""
    lengths = b"%d %d " % (-1 if key is None else len(key), -1 if value is None else len(value))
    return hashlib.blake2b(lengths + (key or b"") + (value or b""), digest_size=16).digest()
