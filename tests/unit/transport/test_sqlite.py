"""The embedded journal notices what disks and people do to its files."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from app.factory import make_log
from app.settings import Settings
from app.transport.log import LogUnavailable, NewRecord
from app.transport.sqlite import FORMAT, SqliteLog
from app.transport.sqlite_batches import pack_records, unpack_records
from models.topics import Topics, TopicSpec
from tests.support.settings_of import using

TOPIC = "t.journal"
T = TypeVar("T")


def _with_log(
    folder: Path, use: Callable[[SqliteLog], Awaitable[T]], *, read_only: bool = False
) -> T:
    return using(SqliteLog(folder, read_only=read_only), use)


def _fill(folder: Path, batches: int = 4) -> None:
    """Batches of three records each."""

    async def append(log: SqliteLog) -> None:
        for number in range(batches):
            await log.append(
                TOPIC, 0, [NewRecord(b"k", b"%d-%d" % (number, one)) for one in range(3)]
            )

    _with_log(folder, append)


async def _values(log: SqliteLog, offset: int = 0) -> list[bytes | None]:
    return [record.value for record in await log.read(TOPIC, 0, offset)]


def _change(folder: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(folder / "journal.db")
    with connection:
        connection.execute(statement, values)
    connection.close()


def test_nothing_is_answered_before_it_is_on_the_disk(tmp_path: Path) -> None:
    """While somebody keeps the file from being written, an append waits, and so does its answer."""

    async def append(log: SqliteLog) -> tuple[bool, int]:
        other = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(log.append(TOPIC, 0, [NewRecord(b"k", b"v")]))
        await asyncio.wait({waiting}, timeout=0.3)
        answered = waiting.done()
        other.execute("ROLLBACK")
        other.close()
        return answered, await waiting

    assert _with_log(tmp_path, append) == (False, 0)
    assert _with_log(tmp_path, _values) == [b"v"]


def test_a_record_that_changed_is_not_read(tmp_path: Path) -> None:
    """SQLite would hand it out; the checksum tells."""
    _fill(tmp_path)
    _change(
        tmp_path,
        "UPDATE batches SET records = ? WHERE last = 5",
        pack_records([NewRecord(b"k", b"another")] * 3),
    )
    before = _with_log(tmp_path, lambda log: log.read(TOPIC, 0, 6))
    with pytest.raises(LogUnavailable) as refused:
        _with_log(tmp_path, _values)

    assert [record.offset for record in before] == [6, 7, 8, 9, 10, 11]
    assert str(refused.value) == (
        f"the journal in {tmp_path} is damaged: t.journal 0: the records from 3 on are not what was written: "
        "restore the folder from a copy, or name a new one in TOCSIN_BROKER"
    )


@pytest.mark.parametrize("column", ["count", "at_ms", "records", "crc", "first"])
@pytest.mark.parametrize("value", ["text", 1.5, b"\x00", 2**40])
def test_a_row_that_changed_is_told_whatever_stands_in_it(
    tmp_path: Path, column: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads it, and compaction, say that the journal is damaged, and raise nothing else."""
    monkeypatch.setattr("app.transport.compaction.LEAST_BYTES", 1)
    _fill(tmp_path)
    _change(tmp_path, f"UPDATE batches SET {column} = ? WHERE last = 5", value)

    with pytest.raises(
        LogUnavailable,
        match=r"is damaged: t\.journal 0: the records .* are not what was written: restore",
    ):
        _with_log(tmp_path, _values)
    with pytest.raises(
        LogUnavailable,
        match=r"is damaged: t\.journal 0: the records .* are not what was written: restore",
    ):
        _with_log(tmp_path, _compact)


async def _compact(log: SqliteLog) -> None:
    await log.ensure_topics([TopicSpec(TOPIC, 1, {"cleanup.policy": "compact"})])
    for _ in range(4):
        await log.append(TOPIC, 0, [NewRecord(b"k", b"v")])


@pytest.mark.parametrize("offset", [0, 2, 4])
def test_a_hole_is_not_passed_over(tmp_path: Path, offset: int) -> None:
    """A batch that is gone from the middle is told, wherever the reading begins before its end."""
    _fill(tmp_path)
    _change(tmp_path, "DELETE FROM batches WHERE last = 5")
    with pytest.raises(LogUnavailable, match=r"t\.journal 0 lacks the records from [34] to 5"):
        _with_log(tmp_path, lambda log: _values(log, offset))


def test_what_is_past_its_time_is_no_hole(tmp_path: Path) -> None:
    """Retention drops the oldest batches, and reading begins behind them."""
    _fill(tmp_path)
    _change(tmp_path, "DELETE FROM batches WHERE last < 8")

    assert len(_with_log(tmp_path, _values)) == 6


def test_a_lost_end_is_noticed(tmp_path: Path) -> None:
    """What was acknowledged last has to be there at the start.

    Whoever knows better removes the note.
    """
    _fill(tmp_path)
    _change(tmp_path, "DELETE FROM batches WHERE last = 11")
    with pytest.raises(LogUnavailable) as refused:
        _with_log(tmp_path, _values)
    (tmp_path / "journal.end").unlink()

    assert (
        f"the journal in {tmp_path} has lost its end: t.journal 0 ends at 9, and up to 12"
        in str(refused.value)
    )
    assert len(_with_log(tmp_path, _values)) == 9


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\xff",
        b"t.journal 0",
        "t.journal \u00b2 \u00b2".encode(),
        b"t.journal -1 7",
        b"x" * 9000,
    ],
)
def test_a_note_that_is_none_ends_nothing(tmp_path: Path, note: bytes) -> None:
    """Who has damaged the note has damaged no record."""
    _fill(tmp_path)
    (tmp_path / "journal.end").write_bytes(note)

    assert len(_with_log(tmp_path, _values)) == 12


def test_damage_is_not_compacted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compaction would give a damaged record a good checksum: it stops the journal instead."""
    monkeypatch.setattr("app.transport.compaction.LEAST_BYTES", 1)
    _fill(tmp_path)
    _change(
        tmp_path,
        "UPDATE batches SET records = ? WHERE last = 5",
        pack_records([NewRecord(b"k", b"another")] * 3),
    )

    with pytest.raises(
        LogUnavailable, match=r"t\.journal 0: the records from 3 on are not what was written"
    ):
        _with_log(tmp_path, _compact)


def test_is_read_where_nothing_may_be_written(tmp_path: Path) -> None:
    """SQLite wants to make a file beside it for those who read.

    On a backup nobody can. Here a folder is in the way.
    """
    _fill(tmp_path)
    (tmp_path / "journal.db-wal").mkdir()

    assert len(_with_log(tmp_path, _values, read_only=True)) == 12


PACKED_OLD = b"\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00\x00kold"
# The table of formats 1 and 2, and a row of each with the record old. Format 1 had no checksums.
OLDER = {
    1: ("", (TOPIC, 0, 0, 1, 1000, PACKED_OLD)),
    2: ("crc INTEGER, ", (TOPIC, 0, 0, 1, 1000, PACKED_OLD, 4_011_040_749)),
}


def _older(folder: Path, version: int) -> None:
    """A journal of an older format with one record."""
    column, row = OLDER[version]
    connection = sqlite3.connect(folder / "journal.db")
    connection.execute(
        f"CREATE TABLE batches (topic TEXT, partition INTEGER, last INTEGER, count INTEGER, at_ms INTEGER, "
        f"records BLOB, {column}"
        "PRIMARY KEY (topic, partition, last)) WITHOUT ROWID"
    )
    connection.execute(f"INSERT INTO batches VALUES ({', '.join('?' * len(row))})", row)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("version", [1, 2])
def test_a_journal_of_an_older_format_is_read_and_written(tmp_path: Path, version: int) -> None:
    """Its batches are taken as they are, also by whoever only reads.

    A service brings the file to the newest format.
    """
    _older(tmp_path, version)
    only_read = _with_log(tmp_path, _values, read_only=True)
    _fill(tmp_path, 1)
    (now,) = sqlite3.connect(tmp_path / "journal.db").execute("PRAGMA user_version").fetchone()

    assert (only_read, _with_log(tmp_path, _values)) == ([b"old"], [b"old", b"0-0", b"0-1", b"0-2"])
    assert now == FORMAT


def test_the_checksums_of_format_2_still_count(tmp_path: Path) -> None:
    """What was damaged before is told after."""
    _older(tmp_path, 2)
    _change(tmp_path, "UPDATE batches SET records = ?", pack_records([NewRecord(b"k", b"odd")]))
    _fill(tmp_path, 1)

    with pytest.raises(LogUnavailable, match="the records from 0 on are not what was written"):
        _with_log(tmp_path, _values)


# Keys, values and headers as all formats pack them: lengths first, -1 for none.
PACKED = (
    b"\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00\x0b" + b'kold[["a","b"]]'[:4] + b'[["a","b"]]'
    b"\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"
)


def test_records_are_packed_as_they_were() -> None:
    """The very bytes that a batch had in all formats so far."""
    records = [NewRecord(b"k", b"old", (("a", b"b"),)), NewRecord(None, None)]

    assert pack_records(records) == PACKED
    assert [(one.key, one.value, one.headers) for one in unpack_records(PACKED, 0, 0, 2)] == [
        tuple(one) for one in records
    ]


@pytest.mark.parametrize("read_only", [True, False])
def test_a_newer_format_is_refused(tmp_path: Path, *, read_only: bool) -> None:
    """A journal of a version to come is left alone, and the message says what to run."""
    _fill(tmp_path)
    _change(tmp_path, f"PRAGMA user_version = {FORMAT + 1}")

    with pytest.raises(
        LogUnavailable,
        match=rf"has format {FORMAT + 1}, this Tocsin reads {FORMAT}: run the newer version",
    ):
        _with_log(tmp_path, _values, read_only=read_only)


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\x00",
        PACKED[:-1],
        PACKED + b"\x00",
        PACKED[:12],
        b"\x00\x00\x00\x00" * 2 + b"\xff\xff\xff\xf4",
        "text",
        None,
        7,
    ],
)
def test_damage_without_a_checksum_is_noticed(tmp_path: Path, blob: object) -> None:
    """A batch of format 1 that is none ends a reader with a message, and not for ever in a loop."""
    _fill(tmp_path)
    _change(tmp_path, "UPDATE batches SET records = ?, crc = NULL WHERE last = 5", blob)

    with pytest.raises(
        LogUnavailable,
        match=r"is damaged: t\.journal 0: the records from 3 on are no batch: .*restore",
    ):
        _with_log(tmp_path, _values)


@pytest.mark.parametrize(("clock", "number"), [("driven", 0), ("system", 5)])
def test_played_time_expires_nothing(tmp_path: Path, clock: str, number: int) -> None:
    """On a driven clock topics keep everything; otherwise five of them have a retention."""

    async def kept() -> int:
        log = make_log(Settings(broker=f"embedded:{tmp_path}", clock=clock))
        assert isinstance(log, SqliteLog)
        await log.start()
        try:
            await log.ensure_topics(Topics().specs(1))
            return len(log._kept_ms)
        finally:
            await log.stop()

    assert asyncio.run(kept()) == number
