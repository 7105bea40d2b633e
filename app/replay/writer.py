"""Writing a recording."""

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import orjson

from app.files.file_access import open_private
from app.transport.log import StoredRecord
from app.transport.recording_format import (
    END,
    LAST_WORD,
    RECORD,
    BlockIndex,
    RecordingHeader,
    pack_block,
)

BLOCK_RECORDS = 10_000
BLOCK_BYTES = 8 * 1024 * 1024  # before compression; a record that is larger has a block of its own
LEVEL = 6  # zlib's


class RecordingWriter:
    """Writes a recording under another name, which `finish` makes the right one.

    Without that nothing is left.
    """

    def __init__(self, path: Path, header: RecordingHeader) -> None:
        self._path = path
        self._temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
        self._file: IO[bytes] = open(  # noqa: SIM115  `finish` closes it; Path has no opener
            self._temporary, "xb", opener=open_private
        )
        self._line = header.line()
        self._file.write(self._line)
        self._blocks: list[BlockIndex] = []

    def write(self, topic: str, partition: int, records: Sequence[StoredRecord]) -> None:
        """Add records of a partition, which have to follow those that were added before."""
        start = size = 0
        for number, record in enumerate(records):
            more = RECORD.size + len(record.key or b"") + len(record.value or b"")
            if number > start and (size + more > BLOCK_BYTES or number - start == BLOCK_RECORDS):
                self._write_records(topic, partition, records[start:number])
                start, size = number, 0
            size += more
        if records:
            self._write_records(topic, partition, records[start:])

    def _write_records(self, topic: str, partition: int, records: Sequence[StoredRecord]) -> None:
        packed = zlib.compress(pack_block(records), LEVEL)
        first, last, place = records[0].offset, records[-1].offset, self._file.tell()
        self._blocks.append(
            BlockIndex(
                topic, partition, first, last, len(records), place, len(packed), zlib.crc32(packed)
            )
        )
        self._file.write(packed)

    def finish(self) -> int:
        """Complete the file; its size in bytes."""
        index, place = (
            zlib.compress(orjson.dumps([list(block) for block in self._blocks])),
            self._file.tell(),
        )
        crc = zlib.crc32(index, zlib.crc32(self._line))
        self._file.write(index + END.pack(place, len(index), crc, LAST_WORD))
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
