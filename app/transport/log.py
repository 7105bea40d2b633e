"""What Tocsin needs of a log, whoever keeps it: append one atomic batch, read from an offset, find the end.

Faust consumes, assigns and recovers; everything that has to be durable goes through a `Log`. There
are two: Kafka (`app.transport.kafka`) and one SQLite file (`app.transport.sqlite`). Whoever only
looks asks for a `Readable`.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from models.errors import TocsinError
from models.topics import TopicSpec

Headers = tuple[tuple[str, bytes], ...]


class NewRecord(NamedTuple):
    """A record to be appended. `value` None is a tombstone."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(slots=True)
class StoredRecord:
    """A record as it was kept. Fields are named as aiokafka's `ConsumerRecord`, so that one engine reads both.

    `timestamp` is the append time in milliseconds.
    """

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


BATCH_BYTES = (
    900_000  # of a batch: a Kafka broker takes 1,048,588 of a topic that does not say otherwise
)
UTF8_BYTES_MAX = 4  # of a character of a header's name
RECORD_BYTES = 64  # of a record beside its key, its value and its headers, at the most


def in_batches(
    records: Sequence[NewRecord], bytes_max: int = BATCH_BYTES
) -> list[Sequence[NewRecord]]:
    """The records in as few batches as are not larger, in order.

    A record that is larger has one of its own.
    """
    batches: list[Sequence[NewRecord]] = []
    start = size = 0
    for number, record in enumerate(records):
        more = size_of(record)
        if size + more > bytes_max and number > start:
            batches.append(records[start:number])
            start, size = number, 0
        size += more
    return [*batches, records[start:]] if records else []


def size_of(record: NewRecord) -> int:
    """How many bytes a record has in a batch, at the most."""
    key, value, headers = record
    size = RECORD_BYTES + len(key or b"") + len(value or b"")
    for name, text in headers:
        size += len(name) * UTF8_BYTES_MAX + len(text)
    return size


class LogUnavailable(TocsinError):
    """The log did not acknowledge.

    Nothing may be assumed written. The caller answers 503, or stops.
    """


class LogAway(LogUnavailable):
    """Nobody answers there, and somebody may later: whoever starts can wait."""


class Fenced(LogUnavailable):
    """Somebody else has claimed the partition since.

    What was to be appended is not there, and never will be.
    """


class TopicMismatch(TocsinError):
    """A topic exists with settings on which a promise would break.

    The message lists each, found and expected.
    """


class Readable(Protocol):
    """Append-only partitions under topic names, to be read.

    A log, or a recording of one (`app.transport.recording`).
    """

    async def start(self) -> None:
        """Connect. Raises LogUnavailable with the address and what to check."""

    async def stop(self) -> None:
        """Flush and disconnect."""

    def now_ms(self) -> int:
        """The clock by which appended records are stamped, in milliseconds since 1970."""

    async def list_topics(self) -> dict[str, int]:
        """The number of partitions of each topic that there is."""

    async def read(
        self, topic: str, partition: int, offset: int, max_records: int = 5000
    ) -> list[StoredRecord]:
        """Records at `offset` and after, oldest first.

        An empty list at the end of the partition.
        """

    async def start_offset(self, topic: str, partition: int) -> int:
        """The oldest offset that is still kept."""

    async def end_offset(self, topic: str, partition: int) -> int:
        """The offset that the next record will get."""


Place = tuple[str, int]  # topic and partition


class Appended(NamedTuple):
    """A record that was appended while somebody followed."""

    topic: str
    partition: int
    record: StoredRecord


class Follower(Protocol):
    """Reads what is appended to some partitions from the moment on at which it was made."""

    async def next(self) -> list[Appended]:
        """Wait until something was appended; oldest first in each partition.

        The caller bounds the wait. Raises LogUnavailable.
        """


class Log(Readable, Protocol):
    """A log that is written to."""

    async def ensure_topics(self, specs: Sequence[TopicSpec]) -> set[str]:
        """Create what is missing and return the names created. Raises TopicMismatch."""

    async def append(self, topic: str, partition: int, records: Sequence[NewRecord]) -> int:
        """Append all records, all or none; return the first one's offset once they are durable.

        To a claimed partition there may be any number of them; to others as many as one batch has
        (`in_batches`). Raises LogUnavailable. Appends to one partition by one Log are kept in the
        order in which they were called.
        """

    async def claim(self, topic: str, partition: int) -> None:
        """Become the only writer of a partition.

        Whoever claimed it before gets Fenced. Raises LogUnavailable.
        """

    async def give_up(self, topic: str, partition: int) -> None:
        """End a claim: what is appended from here on is one of many writers' again."""


class FollowedLog(Log, Protocol):
    """A log of which somebody waits for news."""

    def following(self, places: Sequence[Place]) -> AbstractAsyncContextManager[Follower]:
        """Follow some partitions from here on, without looking again and again."""


async def append_all(log: Log, topic: str, partition: int, records: Sequence[NewRecord]) -> None:
    """Append in as many batches as it takes, one after the other.

    Raises LogUnavailable; the first ones may be there.
    """
    for batch in in_batches(records):
        await log.append(topic, partition, batch)
