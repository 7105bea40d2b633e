"""Reading a partition from one offset on, a batch at a time."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from app.transport.log import Readable, StoredRecord

READ_RECORDS = 5000  # of a read


async def batches_from(
    log: Readable,
    topic: str,
    partition: int,
    first: int | None = None,
    first_size: int = READ_RECORDS,
) -> AsyncGenerator[list[StoredRecord], None]:
    """The records of a partition up to its end, in batches; none is empty.

    They begin at the offset `first`, or at the oldest record that is kept. The first batch has at
    most `first_size` records: whoever looks for one of the next records need not read many.
    """
    offset = await log.start_offset(topic, partition) if first is None else first
    size = first_size
    while records := await log.read(topic, partition, offset, size):
        size = READ_RECORDS
        offset = records[-1].offset + 1
        yield records


async def records_from(
    log: Readable,
    topic: str,
    partition: int,
    first: int | None = None,
    end: int | None = None,
) -> AsyncGenerator[StoredRecord, None]:
    """The same, record by record, up to the offset `end`, which is left out."""
    async with aclosing(batches_from(log, topic, partition, first)) as batches:
        async for records in batches:
            for record in records:
                if end is not None and record.offset >= end:
                    return
                yield record
