"""Compaction of the embedded journal: of the values of a key, only the newest is kept. In small steps, between appends.

A pass over a partition first notes where the newest record of each key stands that was appended
since the pass before. Then it goes over the rows from the oldest to where it had looked, and leaves
out each record that has a newer one. A tombstone goes when a pass meets it for the second time: by
then the values before it are gone, and who read the partition has seen it.

A pass begins when as much was appended as the one before has left, and keeps ahead of what is
appended meanwhile: so a partition is at most three times as large as what is in force, and each
byte is written a second time once, about. What a pass holds in memory is the keys of what was
appended.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.transport.log import NewRecord, StoredRecord
from app.transport.sqlite_batches import INSERT, BatchRow, Damaged, covering_rows

LEAST_BYTES = 1024 * 1024  # appended before a pass is worth it
STEP_BYTES = 64 * 1024  # of the rows that are looked at together, or one row: less than 1 ms
ROW_BYTES = 100  # of a row beside its records
# Of each byte that is appended during a pass: the pass reads what was appended twice, and what was
# kept once, so with two it would fall behind for ever.
PACE = 4
PART = 4  # of what a pass is behind, the part that a step does at the least, so that appends never wait for all of it

_SELECT = (
    "SELECT topic, partition, last, count, at_ms, records, crc, first FROM batches "
    "WHERE topic = ? AND partition = ? AND last > ? AND last <= ? ORDER BY last"
)
_DELETE = "DELETE FROM batches WHERE topic = ? AND partition = ? AND last >= ? AND last <= ?"

Place = tuple[str, int]
Newest = dict[bytes | None, int]


@dataclass(slots=True)
class _Partition:
    appended: int  # bytes since the last pass began
    kept: int = 0  # bytes that the last whole pass has left
    seen: int = (
        -1
    )  # the last offset that it has been over; what was before this process is not known


class Compaction:
    """What the writer of a journal does about its compacted partitions, on its connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._partitions: dict[Place, _Partition] = {}
        self._waiting: list[Place] = []
        self._pass: Iterator[int] | None = None
        self._place: Place | None = None  # that the pass is over
        self._behind = 0  # bytes that the pass has to look at for what was appended

    @property
    def busy(self) -> bool:
        """Whether there is a step to make.

        A pass goes on as fast as its partitions grow, and no faster.
        """
        return self._behind > 0

    def appended(self, rows: Iterable[BatchRow]) -> None:
        """Rows were appended to compacted partitions. Raises sqlite3.Error."""
        for row in rows:
            self._note_growth((row.topic, row.partition), _rows_size([row]))

    def _note_growth(self, place: Place, size: int) -> None:
        partition = self._partitions.get(place)
        if partition is None:
            partition = self._partitions[place] = _Partition(self._size(place))
        else:
            partition.appended += size
        if (
            partition.appended >= max(LEAST_BYTES, partition.kept)
            and place != self._place
            and place not in self._waiting
        ):
            self._waiting.append(place)
        if self._pass is not None or self._waiting:
            self._behind += PACE * size

    def step(self, least: int = 1) -> None:
        """Look at some bytes.

        Raises Damaged and sqlite3.Error, after which the pass is given up.
        """
        share = max(self._behind // PART, least)
        while share > 0 and (self._pass is not None or self._waiting):
            if self._pass is None:
                self._place = self._waiting.pop(0)
                self._pass = self._compact_partition(self._place)
            looked = 0
            try:
                looked = next(self._pass, 0)
            finally:
                if not looked:
                    self._pass, self._place = None, None
            self._behind -= looked
            share -= looked
        if self._pass is None and not self._waiting:
            self._behind = 0

    def _compact_partition(self, place: Place) -> Iterator[int]:
        """A pass over a partition, step by step; how many bytes each has looked at."""
        partition = self._partitions[place]
        partition.appended, kept = 0, 0
        newest: Newest = {}
        groups = self._connection.execute(
            "SELECT max(last) FROM batches WHERE topic = ? AND partition = ?", place
        )
        (end,) = groups.fetchone()
        for rows in self._row_groups(place, partition.seen, end):
            newest.update((record.key, record.offset) for record in _compacted_records(rows))
            yield _rows_size(rows)
        for rows in self._row_groups(place, -1, end):
            kept += self._drop_superseded(rows, newest, partition.seen)
            yield _rows_size(rows)
        partition.kept, partition.seen = kept, end

    def _row_groups(self, place: Place, after: int, end: int) -> Iterator[list[BatchRow]]:
        """The rows of a step each."""
        while after < end:
            group, size = list[BatchRow](), 0
            rows = self._connection.execute(_SELECT, (*place, after, end))
            for row in map(BatchRow._make, rows):
                size += row.size
                if group and size > STEP_BYTES:
                    break
                group.append(row)
            rows.close()
            if not group:
                return
            after = group[-1].last
            yield group

    def _drop_superseded(self, rows: list[BatchRow], newest: Newest, seen: int) -> int:
        """Leave out what has newer values; the bytes that are left."""
        records = _compacted_records(rows)
        kept = [
            NewRecord(record.key, record.value, record.headers)
            for record in records
            if _is_kept(record, newest, seen)
        ]
        if len(kept) == len(records) and len(rows) == 1:
            return _rows_size(rows)
        first, last = rows[0], rows[-1]
        span = (first.begins, last.last)
        written = covering_rows(last.topic, last.partition, span, last.at_ms, kept, STEP_BYTES)
        with self._connection:
            self._connection.execute(_DELETE, (last.topic, last.partition, first.last, last.last))
            self._connection.executemany(INSERT, written)
        return _rows_size(written)

    def _size(self, place: Place) -> int:
        row = self._connection.execute(
            f"SELECT sum({ROW_BYTES} + length(records)) FROM batches WHERE topic = ? AND partition = ?",  # noqa: S608
            place,
        )
        return int(row.fetchone()[0] or 0)


def _rows_size(rows: list[BatchRow]) -> int:
    """Bytes, and some for each row, so that empty ones count."""
    return sum(ROW_BYTES + row.size for row in rows)


def _compacted_records(rows: list[BatchRow]) -> list[StoredRecord]:
    try:
        return [record for row in rows for record in row.unpack()]
    except Damaged as error:
        raise Damaged(f"{rows[0].topic} {rows[0].partition}: {error}") from None


def _is_kept(record: StoredRecord, newest: Newest, seen: int) -> bool:
    if record.value is None and record.offset <= seen:
        return False
    return newest.get(record.key, record.offset) == record.offset
