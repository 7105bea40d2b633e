"""A recording: Tocsin's topics, or a range of them, in one file that is read as a log is.

The first line is JSON and says what the file is (`RecordingHeader`). Blocks follow, compressed, each with
the records of one partition of a topic, one after the other. Then comes the index (JSON,
compressed), which has for each block its place, its size, its checksum and its offsets, so that a
read at an offset unpacks one block. The file's last bytes say where the index is, and have the
checksum of the first line and the index together: what ends before that is no whole recording.
Damage in a block is found when the block is read.
"""

import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import orjson

from app.transport.log import LogUnavailable, StoredRecord

KIND = "tocsin recording"
FORMAT = 1
BEGINNING = b'{"kind":"tocsin recording"'
END = struct.Struct(">QII8s")  # where the index begins, its size, the checksum, and the last word
LAST_WORD = b"\ntocsin\n"
RECORD = struct.Struct(
    ">qqiii"
)  # offset, time, and the lengths of key, value and headers; -1 is None


class BadRecording(LogUnavailable):
    """The file is no recording, or not a whole one, or a newer one.

    The message says which and what to do.
    """


@dataclass(frozen=True, slots=True)
class RecordedPart:
    """What a recording has of one partition: the journal from the offset `first` up to `end`, which is not in it.

    `applied` is the last offset that the partition's worker had certainly worked up when it was
    recorded: effects of later records need not be there. `policy` is the fingerprint at the
    beginning. `whole` says that nothing was left out: it begins with the partition's first record,
    and ends where the journal ended. `kept_from` has for each effects topic whose oldest records
    were gone already the position of the first effect that was kept.
    """

    partition: int
    first: int
    end: int
    applied: int
    policy: str
    whole: bool
    kept_from: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordingHeader:
    """A recording's first line.

    `source` says in words what was recorded, `incident` because of which; "" for none.
    """

    version: str  # of the Tocsin that recorded
    recorded_ms: int
    source: str
    prefix: str
    partitions: int
    parts: list[RecordedPart]
    incident: str = ""

    def line(self) -> bytes:
        """As it stands in the file."""
        return orjson.dumps({"kind": KIND, "format": FORMAT, **asdict(self)}) + b"\n"


class BlockIndex(NamedTuple):
    """The index's line for a block.

    Whose it is, the offsets of its first and its last record, and where it is.
    """

    topic: str
    partition: int
    first: int
    last: int
    records: int
    place: int
    size: int
    crc: int


def pack_block(records: Sequence[StoredRecord]) -> bytes:
    """A block's content, before it is compressed."""
    parts: list[bytes] = []
    for record in records:
        key, value = record.key, record.value
        headers = (
            orjson.dumps([[name, (text or b"").decode("latin-1")] for name, text in record.headers])
            if record.headers
            else b""
        )
        lengths = (
            -1 if key is None else len(key),
            -1 if value is None else len(value),
            len(headers),
        )
        parts += (
            RECORD.pack(record.offset, record.timestamp, *lengths),
            key or b"",
            value or b"",
            headers,
        )
    return b"".join(parts)


def unpack_block(data: bytes) -> list[StoredRecord]:
    """The records of a block's content."""
    records: list[StoredRecord] = []
    place, end = 0, len(data)
    lengths, size, append = RECORD.unpack_from, RECORD.size, records.append
    while place < end:
        offset, at_ms, key_size, value_size, headers_size = lengths(data, place)
        place += size
        key = None if key_size < 0 else data[place : (place := place + key_size)]
        value = None if value_size < 0 else data[place : (place := place + value_size)]
        if headers_size:
            pairs = orjson.loads(data[place : (place := place + headers_size)])
            append(
                StoredRecord(
                    offset,
                    at_ms,
                    key,
                    value,
                    tuple([(name, text.encode("latin-1")) for name, text in pairs]),
                )
            )
        else:
            append(StoredRecord(offset, at_ms, key, value))
    return records
