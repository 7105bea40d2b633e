"""What is fetched plainly is what aiokafka hands out, and what is sent in a batch is what was given."""

import asyncio
from typing import Any

from aiokafka.consumer.fetcher import FetchError, FetchResult, PartitionRecords
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from app.transport.kafka import _fill
from app.transport.log import NewRecord
from app.transport.plain_records import hand_through

PLACE = TopicPartition("t", 0)
RECORDS = [
    NewRecord(b"db", b'{"alert":"a"}', (("source", b"raw:0:7:0"),)),
    NewRecord(None, b"{}"),
    NewRecord(b"db", None, (("a", b""), ("b", b"\0"))),
]


class Answering:
    """The parts of aiokafka's Fetcher that are built on: each answer puts the batch into `_records`."""

    def __init__(self, batch: bytes) -> None:
        self._batch = batch
        self._records: dict[TopicPartition, Any] = {}

    async def _proc_fetch_request(self, *_: object) -> bool:
        records = PartitionRecords(
            PLACE, MemoryRecords(bytes(self._batch)), [], 0, None, None, True, 0
        )
        self._records[PLACE] = FetchResult(
            PLACE, assignment=None, partition_records=records, backoff=0
        )
        self._records[TopicPartition("t", 1)] = FetchError(error=ValueError("away"), backoff=0)
        return True

    def take(self) -> list[tuple[Any, ...]]:
        """What came with an answer, as the engine reads it."""
        asyncio.run(self._proc_fetch_request("assignment", "node", "request"))
        return [
            (record.offset, record.timestamp, record.key, record.value, tuple(record.headers))
            for record in self._records[PLACE]._partition_records
        ]


def _batch_of(records: list[NewRecord], bytes_max: int = 10_000) -> BatchBuilder | None:
    batch = BatchBuilder(bytes_max, 0)
    return batch if _fill(batch, records) else None


def test_plain_records_say_the_same() -> None:
    """The worker reads the same fields, whether aiokafka copies a record or not."""
    batch = _batch_of(RECORDS)
    assert batch is not None
    stock, plain = Answering(batch._build()), Answering(batch._build())
    hand_through(plain)

    expected = stock.take()

    assert plain.take() == expected
    assert [NewRecord(*taken[2:]) for taken in expected] == RECORDS
    assert type(next(iter(plain._records.values()))._partition_records).__name__ == "PlainRecords"


def test_a_batch_is_closed_and_counts_its_records() -> None:
    """aiokafka adds nothing to it, and counts what is in it."""
    batch = _batch_of(RECORDS)

    assert batch is not None
    assert (batch.closed(), batch.record_count()) == (True, len(RECORDS))


def test_what_has_no_room_is_not_sent() -> None:
    """A batch takes all of its records or none."""
    assert _batch_of([NewRecord(b"k", b"x" * 300)] * 3, bytes_max=700) is None
