"""The embedded journal notices what disks and people do to its files."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from app.transport.log import LogUnavailable, NewRecord
from app.transport.sqlite import SqliteLog, _pack
from models.topics import TopicSpec

TOPIC = "t.journal"
T = TypeVar("T")


def _with_log(folder: Path, use: Callable[[SqliteLog], Awaitable[T]], *, read_only: bool = False) -> T:
    async def run() -> T:
        log = SqliteLog(folder, read_only=read_only)
        try:
            await log.start()
            return await use(log)
        finally:
            await log.stop()

    return asyncio.run(run())


def _fill(folder: Path, batches: int = 4) -> None:
    """Batches of three records each."""

    async def append(log: SqliteLog) -> None:
        for number in range(batches):
            await log.append(TOPIC, 0, [NewRecord(b"k", b"%d-%d" % (number, one)) for one in range(3)])

    _with_log(folder, append)


async def _values(log: SqliteLog, offset: int = 0) -> list[bytes | None]:
    return [record.value for record in await log.read(TOPIC, 0, offset)]


def _change(folder: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(folder / "journal.db")
    with connection:
        connection.execute(statement, values)
    connection.close()


def test_a_record_that_changed_is_not_read(tmp_path: Path) -> None:
    """SQLite would hand it out; the checksum tells."""
    _fill(tmp_path)
    _change(tmp_path, "UPDATE batches SET records = ? WHERE last = 5", _pack([NewRecord(b"k", b"another")] * 3))
    before = _with_log(tmp_path, lambda log: log.read(TOPIC, 0, 6))
    with pytest.raises(LogUnavailable) as refused:
        _with_log(tmp_path, _values)

    assert [record.offset for record in before] == [6, 7, 8, 9, 10, 11]
    assert str(refused.value) == (
        f"the journal in {tmp_path} is damaged: t.journal 0: the records from 3 on are not what was written: "
        "restore the folder from a copy, or name a new one in TOCSIN_BROKER"
    )


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
    """What was acknowledged last has to be there at the start; whoever knows better removes the note."""
    _fill(tmp_path)
    _change(tmp_path, "DELETE FROM batches WHERE last = 11")
    with pytest.raises(LogUnavailable) as refused:
        _with_log(tmp_path, _values)
    (tmp_path / "journal.end").unlink()

    assert f"the journal in {tmp_path} has lost its end: t.journal 0 ends at 9, and up to 12" in str(refused.value)
    assert len(_with_log(tmp_path, _values)) == 9


def test_damage_is_not_compacted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compaction would give a damaged record a good checksum: it stops the journal instead."""
    monkeypatch.setattr("app.transport.sqlite.COMPACT_AFTER", 2)
    _fill(tmp_path)
    _change(tmp_path, "UPDATE batches SET records = ? WHERE last = 5", _pack([NewRecord(b"k", b"another")] * 3))

    async def append(log: SqliteLog) -> None:
        await log.ensure_topics([TopicSpec(TOPIC, 1, {"cleanup.policy": "compact"})])
        for _ in range(4):
            await log.append(TOPIC, 0, [NewRecord(b"k", b"v")])

    with pytest.raises(LogUnavailable, match=r"the records of t\.journal 0 up to 5 are not what was written"):
        _with_log(tmp_path, append)


def test_is_read_where_nothing_may_be_written(tmp_path: Path) -> None:
    """SQLite wants to make a file beside it for those who read; on a backup nobody can. Here a folder is in the way."""
    _fill(tmp_path)
    (tmp_path / "journal.db-wal").mkdir()

    assert len(_with_log(tmp_path, _values, read_only=True)) == 12


def test_a_journal_of_the_older_format_is_read_and_written(tmp_path: Path) -> None:
    """Format 1 had no checksums: its batches are taken as they are, and new ones have one."""
    connection = sqlite3.connect(tmp_path / "journal.db")
    connection.execute(
        "CREATE TABLE batches (topic TEXT, partition INTEGER, last INTEGER, count INTEGER, at_ms INTEGER, records BLOB, "
        "PRIMARY KEY (topic, partition, last)) WITHOUT ROWID"
    )
    old = (TOPIC, 0, 0, 1, 1000, _pack([NewRecord(b"k", b"old")]))
    connection.execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)", old)
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    only_read = _with_log(tmp_path, _values, read_only=True)
    _fill(tmp_path, 1)

    assert (only_read, _with_log(tmp_path, _values)) == ([b"old"], [b"old", b"0-0", b"0-1", b"0-2"])
