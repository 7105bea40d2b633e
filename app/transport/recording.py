"""Reading a recording (`app.transport.recording_format`) as a log is read."""

import json
import os
import zlib
from bisect import bisect_right
from pathlib import Path
from typing import IO, Any

import orjson

from app.transport.log import StoredRecord
from app.transport.recording_format import (
    BEGINNING,
    END,
    FORMAT,
    KIND,
    LAST_WORD,
    BadRecording,
    BlockIndex,
    RecordedPart,
    RecordingHeader,
    unpack_block,
)

HEADER_BYTES_MAX = 1024 * 1024
UNPACKED_BYTES_MAX = (
    64 * 1024 * 1024
)  # of a block, or of the index: a small file must not fill the memory
_NOT_WRITTEN = "its first line or its index is not what was written: copy it again, or record again"


class Recording:
    """`app.transport.log.Readable` over a file that `tocsin record` has written."""

    header: RecordingHeader

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._blocks: dict[tuple[str, int], list[BlockIndex]] = {}
        self._newest: dict[
            tuple[str, int], tuple[int, list[StoredRecord]]
        ] = {}  # the block that was read last, unpacked

    async def start(self) -> None:
        """Open the file and read its index. Raises BadRecording."""
        try:
            self._file = self._path.open("rb")
            line = self._file.readline(HEADER_BYTES_MAX)
            document = _parse_header(self._path, line)
            for block in self._read_index(self._file, line):
                self._blocks.setdefault((block.topic, block.partition), []).append(block)
            parts = [RecordedPart(**part) for part in document.pop("parts")]
            self.header = RecordingHeader(parts=parts, **document)
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

    async def read(
        self, topic: str, partition: int, offset: int, max_records: int = 5000
    ) -> list[StoredRecord]:
        """Records at `offset` and after, of one block at a time.

        Raises BadRecording when it is damaged.
        """
        blocks = self._blocks.get((topic, partition), [])
        number = max(bisect_right(blocks, offset, key=lambda block: block.first) - 1, 0)
        if number < len(blocks) and blocks[number].last < offset:
            number += 1
        if number >= len(blocks):
            return []
        records = self._unpack_block(blocks[number])
        start = bisect_right(records, offset - 1, key=lambda record: record.offset)
        return records[start : start + max_records]

    async def start_offset(self, topic: str, partition: int) -> int:
        """The offset of the first record that it has.

        Where it has none, what the next one would get.
        """
        blocks = self._blocks.get((topic, partition))
        return blocks[0].first if blocks else self._first_offset(topic, partition)

    async def end_offset(self, topic: str, partition: int) -> int:
        """The offset behind the last record that it has."""
        blocks = self._blocks.get((topic, partition))
        return blocks[-1].last + 1 if blocks else self._first_offset(topic, partition)

    def _first_offset(self, topic: str, partition: int) -> int:
        parts = [part.first for part in self.header.parts if part.partition == partition]
        return parts[0] if parts and topic == f"{self.header.prefix}.journal" else 0

    def _unpack_block(self, block: BlockIndex) -> list[StoredRecord]:
        place, records = self._newest.get(block[:2], (-1, []))
        if place == block.place:
            return records
        if self._file is None:
            raise BadRecording(f"the recording {self._path} is closed")
        self._file.seek(block.place)
        packed = self._file.read(block.size)
        data = (
            _decompress(packed)
            if len(packed) == block.size and zlib.crc32(packed) == block.crc
            else None
        )
        if data is None:
            raise BadRecording(
                f"{self._path} is damaged: the records {block.first} to {block.last} of {block.topic} {block.partition} are "
                "not what was written: copy it again, or record again"
            )
        records = unpack_block(data)
        self._newest[block[:2]] = (block.place, records)
        return records

    def _read_index(self, file: IO[bytes], line: bytes) -> list[BlockIndex]:
        size = file.seek(0, os.SEEK_END)
        cut = BadRecording(
            f"{self._path} ends in the middle: it has {size} bytes, and a whole recording says at its end that it is one: "
            "copy it again, or record again"
        )
        if size < len(line) + END.size:
            raise cut
        file.seek(size - END.size)
        place, length, crc, word = END.unpack(file.read(END.size))
        if word != LAST_WORD or place + length + END.size != size:
            raise cut
        file.seek(place)
        index = file.read(length)
        data = _decompress(index) if zlib.crc32(index, zlib.crc32(line)) == crc else None
        if data is None:
            raise BadRecording(f"{self._path} is damaged: {_NOT_WRITTEN}")
        return [BlockIndex(*block) for block in orjson.loads(data)]


def _decompress(packed: bytes) -> bytes | None:
    """What was compressed; None when it is more than it may be, or was not compressed."""
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, UNPACKED_BYTES_MAX)
    except zlib.error:
        return None
    return data if stream.eof else None


def _parse_header(path: Path, line: bytes) -> dict[str, Any]:
    """What the first line says, without its kind and its format. Raises BadRecording."""
    if line.startswith(b"SQLite format 3"):
        raise BadRecording(f"{path} is an embedded journal's file: name its folder, {path.parent}")
    try:
        document = json.loads(line)
    except ValueError:
        if line.startswith(BEGINNING) and line.endswith(b"\n"):
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
