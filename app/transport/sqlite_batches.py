"""The rows of the embedded journal's table `batches`: some records of a partition, packed into one blob, with a checksum.

A row covers the offsets from `first` to `last`. It has `count` records, which are numbered as the
last of these; the others are left out since newer values of their keys took their place
(`app.transport.compaction`), and `first` is NULL where none are. So a partition's rows follow each
other without a hole, and one that is lost is noticed.
"""

import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from app.transport.log import NewRecord, StoredRecord, in_batches

SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    topic TEXT, partition INTEGER, last INTEGER, count INTEGER, at_ms INTEGER, records BLOB, crc INTEGER, first INTEGER,
    PRIMARY KEY (topic, partition, last)
);
"""
INSERT = "INSERT INTO batches (topic, partition, last, count, at_ms, records, crc, first) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
SELECT_FROM = (
    "SELECT topic, partition, last, count, at_ms, records, crc, first FROM batches "
    "WHERE topic = ? AND partition = ? AND last >= ? ORDER BY last"
)
_LENGTHS = struct.Struct(">iii")  # of key, value and headers; -1 is None


class Damaged(ValueError):
    """Bytes that are no batch, or not the one that was written."""


class BatchRow(NamedTuple):
    """A row."""

    topic: str
    partition: int
    last: int
    held: int  # the column `count`
    at_ms: int
    records: bytes
    crc: int
    first: int | None

    @property
    def begins(self) -> int:
        """The offset from which on it covers its partition."""
        return self.last - self.held + 1 if self.first is None else self.first

    @property
    def first_record_offset(self) -> int:
        """The offset of its first record, or behind it where it has none."""
        return self.last - self.held + 1

    def unpack(self) -> list[StoredRecord]:
        """Its records. Raises Damaged; what else a row says is to be trusted only after that."""
        try:
            begins, numbered = self.begins, self.first_record_offset
        except TypeError:  # a damaged row may have anything anywhere
            raise Damaged(f"the records up to {self.last!r:.40} are not what was written") from None
        if self.crc != _row_checksum(self):
            raise Damaged(f"the records from {begins} on are not what was written")
        return unpack_records(self.records, numbered, self.at_ms, self.held)

    @property
    def size(self) -> int:
        """Bytes of its records; none where it has something else there."""
        return len(self.records) if isinstance(self.records, bytes) else 0


def batch_rows(
    topic: str, partition: int, first: int, at_ms: int, records: Sequence[NewRecord], bytes_max: int
) -> list[BatchRow]:
    """Records that get the offsets from `first` on, in rows of so many bytes at the most, or one record."""
    rows = []
    for batch in in_batches(records, bytes_max):
        rows.append(_make_row(topic, partition, first + len(batch) - 1, at_ms, batch, None))
        first += len(batch)
    return rows


def covering_rows(
    topic: str,
    partition: int,
    span: tuple[int, int],
    at_ms: int,
    records: Sequence[NewRecord],
    bytes_max: int,
) -> list[BatchRow]:
    """What is left of the offsets from the first to the last of a span, in rows that cover all of it; there is one at least."""
    (begins, last), rows = span, list[BatchRow]()
    left = len(records)
    for batch in in_batches(records, bytes_max) or [()]:
        left -= len(batch)
        rows.append(_make_row(topic, partition, last - left, at_ms, batch, begins))
        begins = last - left + 1
    return rows


def _make_row(
    topic: str,
    partition: int,
    last: int,
    at_ms: int,
    records: Sequence[NewRecord],
    first: int | None,
) -> BatchRow:
    if first == last - len(records) + 1:
        first = None
    row = BatchRow(topic, partition, last, len(records), at_ms, pack_records(records), 0, first)
    return row._replace(crc=_row_checksum(row))


def _row_checksum(row: BatchRow) -> int:
    """Of everything in a row; what stands in a damaged one may be of any kind."""
    last = row.last if row.first is None else f"{row.first}-{row.last}"
    place = zlib.crc32(f"{row.topic} {row.partition} {last} {row.held} {row.at_ms}".encode())
    return zlib.crc32(row.records if isinstance(row.records, bytes) else b"", place)


def pack_records(records: Sequence[NewRecord]) -> bytes:
    """The records as one blob: of each the lengths, the key, the value, and the headers as JSON."""
    parts: list[bytes] = []
    for key, value, headers in records:
        packed = orjson.dumps([[name, text.decode()] for name, text in headers]) if headers else b""
        parts += (
            _LENGTHS.pack(
                -1 if key is None else len(key), -1 if value is None else len(value), len(packed)
            ),
            key or b"",
            value or b"",
            packed,
        )
    return b"".join(parts)


def unpack_records(blob: bytes, first: int, at_ms: int, count: int) -> list[StoredRecord]:
    """The records in a batch. Raises Damaged, though a checksum has mostly said so before."""
    try:
        records = records_in(blob, first, at_ms)
    except (struct.error, TypeError, ValueError, AttributeError) as error:
        raise Damaged(f"the records from {first} on are no batch: {error}") from None
    if len(records) != count:
        raise Damaged(
            f"the records from {first} on are no batch: there are {len(records)}, must be {count}"
        )
    return records


def records_in(blob: bytes, first: int, at_ms: int) -> list[StoredRecord]:
    """The records of a row.

    Half of what it takes to read a journal is spent here, so it is written to be fast.
    """
    records: list[StoredRecord] = []
    place, offset, end = 0, first, len(blob)
    unpack, size, append = _LENGTHS.unpack_from, _LENGTHS.size, records.append
    while place < end:
        key_size, value_size, headers_size = unpack(blob, place)
        place += size
        key = None if key_size < 0 else blob[place : (place := place + key_size)]
        value = None if value_size < 0 else blob[place : (place := place + value_size)]
        if headers_size:
            if headers_size < 0:
                raise ValueError(f"headers of {headers_size} bytes")
            pairs = orjson.loads(blob[place : (place := place + headers_size)])
            append(
                StoredRecord(
                    offset,
                    at_ms,
                    key,
                    value,
                    tuple([(name, text.encode()) for name, text in pairs]),
                )
            )
        else:
            append(StoredRecord(offset, at_ms, key, value))
        offset += 1
    if place != end:
        raise ValueError(f"it has {end} bytes, must have {place}")
    return records
