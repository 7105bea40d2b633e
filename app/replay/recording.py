"""A recording: Tocsin's topics, or a range of them, in one file that is read as a log is.

The first line is JSON and says what the file is (`Header`). Blocks follow, compressed, each with the records of one partition
of a topic, one after the other. Then comes the index (JSON, compressed), which has for each block its place, its size, its
checksum and its offsets, so that a read at an offset unpacks one block. The file's last bytes say where the index is, and
have the checksum of the first line and the index together: what ends before that is no whole recording. Damage in a block
is found when the block is read.
"""

import json
import os
import struct
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from app.transport.log import LogUnavailable, StoredRecord

KIND = "tocsin recording"
FORMAT = 1
BLOCK_RECORDS = 10_000
BLOCK_BYTES = 8 * 1024 * 1024  # before compression; a record that is larger has a block of its own
HEADER_BYTES_MAX = 1024 * 1024
LEVEL = 6  # zlib's
_END = struct.Struct(">QII8s")  # where the index begins, its size, the checksum, and the last word
_BEGINNING = b'{"kind":"tocsin recording"'
_NOT_WRITTEN = "its first line or its index is not what was written: copy it again, or record again"
_LAST_WORD = b"\ntocsin\n"
_RECORD = struct.Struct(">qqiii")  # offset, time, and the lengths of key, value and headers; -1 is None


class BadRecording(LogUnavailable):
    """The file is no recording, or not a whole one, or a newer one. The message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a recording has of one partition: the journal from the offset `first` up to `end`, which is not in it.

    `applied` is the last offset that the partition's worker had certainly worked up when it was recorded: effects of later
    records need not be there. `policy` is the fingerprint at the beginning. `whole` says that nothing was left out: it begins
    with the partition's first record, and ends where the journal ended. `kept_from` has for each effects topic whose
    oldest records were gone already the position of the first effect that was kept.
    """

    partition: int
    first: int
    end: int
    applied: int
    policy: str
    whole: bool
    kept_from: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Header:
    """A recording's first line. `source` says in words what was recorded, `incident` because of which; "" for none."""

    version: str  # of the Tocsin that recorded
    recorded_ms: int
    source: str
    prefix: str
    partitions: int
    parts: list[Part]
    incident: str = ""

    def line(self) -> bytes:
        """As it stands in the file."""
        return orjson.dumps({"kind": KIND, "format": FORMAT, **asdict(self)}) + b"\n"


class Block(NamedTuple):
    """The index's line for a block: whose it is, the offsets of its first and its last record, and where it is."""

    topic: str
    partition: int
    first: int
    last: int
    records: int
    place: int
    size: int
    crc: int


class Writer:
    """Writes a recording under another name, which `finish` makes the right one; without that nothing is left."""

    def __init__(self, path: Path, header: Header) -> None:
        self._path = path
        self._temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
        self._file: IO[bytes] = self._temporary.open("xb")
        self._line = header.line()
        self._file.write(self._line)
        self._blocks: list[Block] = []

    def write(self, topic: str, partition: int, records: Sequence[StoredRecord]) -> None:
        """Add records of a partition, which have to follow those that were added before."""
        start = size = 0
        for number, record in enumerate(records):
            more = _RECORD.size + len(record.key or b"") + len(record.value or b"")
            if number > start and (size + more > BLOCK_BYTES or number - start == BLOCK_RECORDS):
                self._write(topic, partition, records[start:number])
                start, size = number, 0
            size += more
        if records:
            self._write(topic, partition, records[start:])

    def _write(self, topic: str, partition: int, records: Sequence[StoredRecord]) -> None:
        packed = zlib.compress(_pack(records), LEVEL)
        first, last, place = records[0].offset, records[-1].offset, self._file.tell()
        self._blocks.append(Block(topic, partition, first, last, len(records), place, len(packed), zlib.crc32(packed)))
        self._file.write(packed)

    def finish(self) -> int:
        """Complete the file; its size in bytes."""
        index, place = zlib.compress(orjson.dumps([list(block) for block in self._blocks])), self._file.tell()
        crc = zlib.crc32(index, zlib.crc32(self._line))
        self._file.write(index + _END.pack(place, len(index), crc, _LAST_WORD))
        self._file.flush()
        os.fsync(self._file.fileno())
        size = self._file.tell()
        self._file.close()
        self._temporary.replace(self._path)
        return size

    def abandon(self) -> None:
        """Leave nothing, unless it is complete."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)


class Recording:
    """`app.transport.log.Readable` over a file that `tocsin record` has written."""

    header: Header

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._blocks: dict[tuple[str, int], list[Block]] = {}
        self._newest: dict[
            tuple[str, int], tuple[int, list[StoredRecord]]
        ] = {}  # the block that was read last, unpacked

    async def start(self) -> None:
        """Open the file and read its index. Raises BadRecording."""
        try:
            self._file = self._path.open("rb")
            line = self._file.readline(HEADER_BYTES_MAX)
            document = _document(self._path, line)
            for block in self._index(self._file, line):
                self._blocks.setdefault((block.topic, block.partition), []).append(block)
            parts = [Part(**part) for part in document.pop("parts")]
            self.header = Header(parts=parts, **document)
        except OSError as error:
            await self.stop()
            raise BadRecording(f"{self._path} cannot be read: {error.strerror}") from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._newest.clear()

    def now_ms(self) -> int:
        """When it was recorded: what is due is due from then on."""
        return self.header.recorded_ms

    async def list_topics(self) -> dict[str, int]:
        """The topics that have a record in it, with the partitions that they had."""
        return {topic: self.header.partitions for topic, _ in self._blocks}

    async def read(self, topic: str, partition: int, offset: int, max_records: int = 5000) -> list[StoredRecord]:
        """Records at `offset` and after, of one block at a time. Raises BadRecording when it is damaged."""
        blocks = self._blocks.get((topic, partition), [])
        number = max(bisect_right(blocks, offset, key=lambda block: block.first) - 1, 0)
        if number < len(blocks) and blocks[number].last < offset:
            number += 1
        if number >= len(blocks):
            return []
        records = self._unpacked(blocks[number])
        start = bisect_right(records, offset - 1, key=lambda record: record.offset)
        return records[start : start + max_records]

    async def start_offset(self, topic: str, partition: int) -> int:
        """The offset of the first record that it has; where it has none, what the next one would get."""
        blocks = self._blocks.get((topic, partition))
        return blocks[0].first if blocks else self._empty(topic, partition)

    async def end_offset(self, topic: str, partition: int) -> int:
        """The offset behind the last record that it has."""
        blocks = self._blocks.get((topic, partition))
        return blocks[-1].last + 1 if blocks else self._empty(topic, partition)

    def _empty(self, topic: str, partition: int) -> int:
        parts = [part.first for part in self.header.parts if part.partition == partition]
        return parts[0] if parts and topic == f"{self.header.prefix}.journal" else 0

    def _unpacked(self, block: Block) -> list[StoredRecord]:
        place, records = self._newest.get(block[:2], (-1, []))
        if place == block.place:
            return records
        if self._file is None:
            raise BadRecording(f"the recording {self._path} is closed")
        self._file.seek(block.place)
        packed = self._file.read(block.size)
        if len(packed) < block.size or zlib.crc32(packed) != block.crc:
            raise BadRecording(
                f"{self._path} is damaged: the records {block.first} to {block.last} of {block.topic} {block.partition} are "
                "not what was written: copy it again, or record again"
            )
        records = _unpack(zlib.decompress(packed))
        self._newest[block[:2]] = (block.place, records)
        return records

    def _index(self, file: IO[bytes], line: bytes) -> list[Block]:
        size = file.seek(0, os.SEEK_END)
        cut = BadRecording(
            f"{self._path} ends in the middle: it has {size} bytes, and a whole recording says at its end that it is one: "
            "copy it again, or record again"
        )
        if size < len(line) + _END.size:
            raise cut
        file.seek(size - _END.size)
        place, length, crc, word = _END.unpack(file.read(_END.size))
        if word != _LAST_WORD or place + length + _END.size != size:
            raise cut
        file.seek(place)
        index = file.read(length)
        if zlib.crc32(index, zlib.crc32(line)) != crc:
            raise BadRecording(f"{self._path} is damaged: {_NOT_WRITTEN}")
        return [Block(*block) for block in orjson.loads(zlib.decompress(index))]


def _document(path: Path, line: bytes) -> dict[str, Any]:
    """What the first line says, without its kind and its format. Raises BadRecording."""
    if line.startswith(b"SQLite format 3"):
        raise BadRecording(f"{path} is an embedded journal's file: name its folder, {path.parent}")
    try:
        document = json.loads(line)
    except ValueError:
        if line.startswith(_BEGINNING) and line.endswith(b"\n"):
            raise BadRecording(f"{path} is damaged: {_NOT_WRITTEN}") from None
        document = None
    if not isinstance(document, dict) or document.pop("kind", "") != KIND:
        raise BadRecording(
            f"{path} is no recording: it begins with {line[:30]!r}, must be a file that tocsin record has written, or the "
            "folder of an embedded journal"
        )
    version = document.pop("format", None)
    if not isinstance(version, int) or version > FORMAT:
        raise BadRecording(
            f"{path} has format {version}, written by Tocsin {document.get('version')}; this one reads up to {FORMAT}: run "
            "the newer version"
        )
    return document


def _pack(records: Sequence[StoredRecord]) -> bytes:
    parts: list[bytes] = []
    for record in records:
        key, value = record.key, record.value
        headers = (
            orjson.dumps([[name, (text or b"").decode("latin-1")] for name, text in record.headers])
            if record.headers
            else b""
        )
        lengths = (-1 if key is None else len(key), -1 if value is None else len(value), len(headers))
        parts += (_RECORD.pack(record.offset, record.timestamp, *lengths), key or b"", value or b"", headers)
    return b"".join(parts)


def _unpack(data: bytes) -> list[StoredRecord]:
    records: list[StoredRecord] = []
    place, end = 0, len(data)
    unpack, size, append = _RECORD.unpack_from, _RECORD.size, records.append
    while place < end:
        offset, at_ms, key_size, value_size, headers_size = unpack(data, place)
        place += size
        key = None if key_size < 0 else data[place : (place := place + key_size)]
        value = None if value_size < 0 else data[place : (place := place + value_size)]
        if headers_size:
            pairs = orjson.loads(data[place : (place := place + headers_size)])
            append(
                StoredRecord(offset, at_ms, key, value, tuple([(name, text.encode("latin-1")) for name, text in pairs]))
            )
        else:
            append(StoredRecord(offset, at_ms, key, value))
    return records
