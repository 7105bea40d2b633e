"""Whether the messages that actors sent are in the journal, as they were computed, and no others.

A message to the actor of another key is a record of that key's partition, and carries in its header
the position of its cause. It may stand behind the range that is replayed, or in a partition that is
not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.history.source import Source
from app.replay.difference import Difference
from app.replay.verification import VerificationResult, record_digest
from app.transport.log import StoredRecord
from models.effect import Effect, Position, Stream
from models.journal import source_or_none
from models.topics import partition_of

Sent = dict[
    Position, tuple[int, bytes, bytes]
]  # by position: the partition to which, the digest, the beginning of the value
Received = dict[
    tuple[int, Position], tuple[bytes, int]
]  # by the cause's partition and position: the digest, the offset

HEAD = 200  # bytes of a message that are kept, to be shown


@dataclass(slots=True)
class ReceivedMessages:
    """The messages of one partition.

    Those that its records caused, and those that its journal has.
    """

    partition: int
    partitions: int
    sent: Sent = field(default_factory=dict)
    received: Received = field(default_factory=dict)
    twice: list[Difference] = field(default_factory=list)

    def take(self, effects: Iterable[Effect]) -> None:
        """Note what was sent."""
        for effect in effects:
            if effect.stream is Stream.JOURNAL and effect.key is not None:
                target = partition_of(effect.key, self.partitions)
                self.sent[effect.position] = (
                    target,
                    record_digest(effect.key, effect.value),
                    effect.value[:HEAD],
                )

    def note(self, records: Iterable[StoredRecord]) -> None:
        """Note what was received."""
        for record in records:
            if record.headers:
                self._note_record(record)

    def _note_record(self, record: StoredRecord) -> None:
        source = source_or_none(tuple(record.headers))
        if source is None or source.topic != "journal":
            return
        cause = (source.partition, Position(source.offset, source.number))
        mark = record_digest(record.key, record.value)
        known = self.received.setdefault(cause, (mark, record.offset))
        if known[0] != mark:
            hint = f"the first one has offset {known[1]}"
            self.twice.append(
                _message_difference("twice", cause, self.partition, record.offset, hint=hint)
            )


@dataclass(frozen=True, slots=True)
class ReplayedPartition:
    """What was replayed of a partition.

    The range of its causes, where its replay began, and how far its worker was.
    """

    first: int
    end: int
    began: int
    applied: int


async def compare_messages(
    source: Source,
    all_messages: Sequence[ReceivedMessages],
    replayed: Mapping[int, ReplayedPartition],
) -> VerificationResult:
    """Compare what was sent with what was received."""
    checked, received = (
        VerificationResult(),
        {messages.partition: messages.received for messages in all_messages},
    )
    others: dict[int, Received] = {}
    for messages in all_messages:
        for difference in messages.twice:
            checked.differs(difference)
        for position, (target, mark, head) in messages.sent.items():
            cause = (messages.partition, position)
            known = received.get(target, {}).get(cause)
            if known is None:
                if target not in others:
                    others[target] = await _received_elsewhere(source, target, replayed.get(target))
                known = others[target].get(cause)
            if known is None:
                await _note_missing(
                    source, checked, cause, target, head, replayed[messages.partition]
                )
            elif known[0] != mark:
                checked.differs(_message_difference("changed", cause, target, known[1], head))
            else:
                checked.identical += 1
    for messages in all_messages:
        _find_extra(
            checked, messages, {other.partition: other.sent for other in all_messages}, replayed
        )
    return checked


async def _received_elsewhere(
    source: Source, target: int, replayed: ReplayedPartition | None
) -> Received:
    """What a partition's journal has received outside of what was replayed of it."""
    messages = ReceivedMessages(target, source.config.partitions)
    if target not in source.partitions:
        return {}
    journal = source.topics.journal
    start, stop = (
        await source.log.start_offset(journal, target),
        await source.log.end_offset(journal, target),
    )
    ranges = (
        [(start, stop)] if replayed is None else [(start, replayed.began), (replayed.end, stop)]
    )
    for first, end in ranges:
        offset = first
        while offset < end:
            records = await source.log.read(journal, target, offset)
            messages.note(records)
            offset = records[-1].offset + 1
    return messages.received


async def _note_missing(
    source: Source,
    checked: VerificationResult,
    cause: tuple[int, Position],
    target: int,
    head: bytes,
    replayed: ReplayedPartition,
) -> None:
    if target not in source.partitions:
        checked.elsewhere += 1
    elif cause[1].offset > replayed.applied:
        checked.pending += 1
    elif not await source.is_whole(target):
        checked.elsewhere += 1
    else:
        hint = f"the worker had worked up everything up to offset {replayed.applied}"
        checked.differs(_message_difference("missing", cause, target, -1, head, hint))


def _find_extra(
    checked: VerificationResult,
    messages: ReceivedMessages,
    sent: Mapping[int, Sent],
    replayed: Mapping[int, ReplayedPartition],
) -> None:
    for (partition, position), (_, offset) in messages.received.items():
        known = replayed.get(partition)
        if (
            known is not None
            and known.first <= position.offset < known.end
            and position not in sent[partition]
        ):
            checked.differs(
                _message_difference("extra", (partition, position), messages.partition, offset)
            )


def _message_difference(
    kind: str,
    cause: tuple[int, Position],
    target: int,
    offset: int,
    computed: bytes | None = None,
    hint: str = "",
) -> Difference:
    return Difference(
        kind, cause[0], Stream.JOURNAL, cause[1], offset, computed, hint=hint, target=target
    )
