"""A copy of an embedded journal is the journal as of one moment, and nothing is ever overwritten."""

import asyncio
import fcntl
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.cli.main import main
from app.settings import Settings
from app.transport.log import LogUnavailable, NewRecord, StoredRecord
from app.transport.sqlite import FORMAT, SqliteLog
from app.transport.sqlite_backup import back_up, restore
from app.worker.worker import Worker
from models.effect import Effect, Position, Stream, place_from, position_from
from models.topics import Topics
from tests.support.engines import read_all
from tests.support.shipped_policy import shipped

NOW_MS = 1_776_000_000_000
TOPIC = "tocsin.journal"
SPECS = Topics().specs(2)


def filled(folder: Path, records: int = 50) -> Path:
    """A journal with some records in each of two partitions."""

    async def fill() -> None:
        log = SqliteLog(folder)
        await log.start()
        await log.ensure_topics(SPECS)
        for number in range(records):
            await log.append(TOPIC, number % 2, [NewRecord(b"k", str(number).encode())])
        await log.stop()

    asyncio.run(fill())
    return folder


def values(folder: Path) -> list[list[StoredRecord]]:
    """Every record of the journal's topic."""

    async def read() -> list[list[StoredRecord]]:
        log = SqliteLog(folder, read_only=True)
        await log.start()
        found = [await read_all(log, TOPIC, partition) for partition in range(2)]
        await log.stop()
        return found

    return asyncio.run(read())


def test_a_restored_backup_is_the_same_journal(tmp_path: Path) -> None:
    """Every record, with its time."""
    folder = filled(tmp_path / "here")
    copy = back_up(folder, tmp_path / "copy.db", NOW_MS)

    restored = restore(tmp_path / "copy.db", tmp_path / "there", NOW_MS + 1)

    assert values(tmp_path / "there") == values(folder)
    assert (copy.batches, restored.batches, restored.at_ms) == (50, 50, NOW_MS)
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "here", "there"]


def test_a_backup_of_a_stormed_journal_replays_identically(
    journal: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the commands copy and put back is what a replay proves."""
    monkeypatch.setenv("TOCSIN_BROKER", f"embedded:{journal}")
    assert main(["backup", str(tmp_path / "copy.db")]) == 0
    assert main(["restore", str(tmp_path / "copy.db"), "--to", str(tmp_path / "there")]) == 0
    capsys.readouterr()

    status = main(["replay", "--journal", str(tmp_path / "there"), "--verify", "--json"])

    assert status == 0
    assert json.loads(capsys.readouterr().out)["identical"] is True


def test_a_backup_under_load_is_one_moment(tmp_path: Path) -> None:
    """While somebody writes into both partitions in turn, a copy has as many of one as of the other, or one more."""

    async def run() -> None:
        log = SqliteLog(tmp_path / "here")
        await log.start()
        await log.ensure_topics(SPECS)
        copied = asyncio.Event()

        async def write() -> int:
            number = 0
            while not copied.is_set() or number < 100:
                await log.append(TOPIC, number % 2, [NewRecord(b"k", b"v" * 200)])
                number += 1
            return number

        writing = asyncio.create_task(write())
        for number in range(3):
            await asyncio.to_thread(back_up, tmp_path / "here", tmp_path / f"{number}.db", NOW_MS)
        copied.set()
        assert await writing >= 100
        await log.stop()

    asyncio.run(run())

    sizes = []
    for number in range(3):
        restore(tmp_path / f"{number}.db", tmp_path / str(number), NOW_MS)
        first, second = values(tmp_path / str(number))
        assert 0 <= len(first) - len(second) <= 1
        sizes.append(len(first))
    assert sizes == sorted(sizes)


def test_a_restored_journal_has_a_new_epoch_each_time(tmp_path: Path) -> None:
    """Two restores of one backup differ, and a backup of a restored journal goes on from there."""

    def epoch_of(folder: Path) -> int:
        async def ask() -> int:
            log = SqliteLog(folder)
            await log.start()
            await log.stop()
            return log.epoch

        return asyncio.run(ask())

    filled(tmp_path / "here")
    back_up(tmp_path / "here", tmp_path / "a.db", NOW_MS)
    first = restore(tmp_path / "a.db", tmp_path / "1", NOW_MS)
    second = restore(tmp_path / "a.db", tmp_path / "2", NOW_MS + 1000)
    back_up(tmp_path / "2", tmp_path / "b.db", NOW_MS)
    third = restore(tmp_path / "b.db", tmp_path / "3", 0)

    assert (epoch_of(tmp_path / "here"), epoch_of(tmp_path / "2")) == (0, second.epoch)
    assert first.epoch < second.epoch < third.epoch


def test_a_consumer_drops_nothing_of_a_restored_journal(tmp_path: Path) -> None:
    """What was seen before the restore has a higher position, and still the new is newer."""
    filled(tmp_path / "here")
    back_up(tmp_path / "here", tmp_path / "copy.db", NOW_MS)
    restore(tmp_path / "copy.db", tmp_path / "there", NOW_MS)

    async def effect_of(folder: Path, position: Position) -> StoredRecord:
        log = SqliteLog(folder)
        await log.start()
        await log.ensure_topics(SPECS)
        worker = Worker(Settings(partitions=2), shipped(), log, Topics())
        worker.epoch = log.epoch
        await worker.take_over(0, 1)
        effect = Effect(Stream.TIMELINE, b"i", b"{}", position)
        await worker.pipes[0]._send_effects([effect])
        worker.release()
        found = await read_all(log, Topics().timeline, 0)
        await log.stop()
        return found[-1]

    before = asyncio.run(effect_of(tmp_path / "here", Position(900, 3)))
    after = asyncio.run(effect_of(tmp_path / "there", Position(30, 0)))
    seen, new = place_from(before.headers), place_from(after.headers)

    assert seen == (0, Position(900, 3))
    assert before.headers == (Position(900, 3).header(),)
    assert seen is not None
    assert new is not None
    assert new > seen
    assert position_from(after.headers) == Position(30, 0)


def _truncate(copy: Path) -> None:
    with copy.open("r+b") as file:
        file.truncate(copy.stat().st_size // 2)


def _execute(statement: str) -> Callable[[Path], None]:
    def change(copy: Path) -> None:
        with closing(sqlite3.connect(copy)) as connection, connection:
            connection.execute(statement)

    return change


REFUSED = {
    "half of it": (_truncate, "cannot be copied|is damaged"),
    "no mark": (_execute("DROP TABLE backup"), "no mark of a whole backup"),
    "a batch is missing": (
        _execute("DELETE FROM batches WHERE last = (SELECT max(last) FROM batches)"),
        "it is not whole; use another backup",
    ),
    "a hole": (_execute("DELETE FROM batches WHERE last = 3"), "lacks the records from 3 to 3"),
    "a byte is another": (
        _execute("UPDATE batches SET records = x'00' || substr(records, 2) WHERE last = 3"),
        "is damaged",
    ),
    "a newer version's": (
        _execute(f"PRAGMA user_version = {FORMAT + 1}"),
        f"format {FORMAT + 1}, this Tocsin reads {FORMAT}: run the newer version",
    ),
    "somebody else's": (_execute("PRAGMA application_id = 7"), "it is no journal of Tocsin's"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_whole_backup_is_not_restored(tmp_path: Path, case: str) -> None:
    """The folder stays without a journal."""
    damage, text = REFUSED[case]
    filled(tmp_path / "here")
    back_up(tmp_path / "here", tmp_path / "copy.db", NOW_MS)
    damage(tmp_path / "copy.db")

    with pytest.raises(LogUnavailable, match=text):
        restore(tmp_path / "copy.db", tmp_path / "there", NOW_MS)

    assert [path.name for path in (tmp_path / "there").iterdir()] == ["lock"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Neither a file by a backup nor a journal by a restore."""
    filled(tmp_path / "here", 10)
    filled(tmp_path / "there", 20)
    back_up(tmp_path / "here", tmp_path / "copy.db", NOW_MS)
    before = (tmp_path / "copy.db").read_bytes(), values(tmp_path / "there")

    with pytest.raises(LogUnavailable, match=r"copy\.db is there already, and stays as it is"):
        back_up(tmp_path / "there", tmp_path / "copy.db", NOW_MS)
    with pytest.raises(LogUnavailable, match=r"journal\.(db|end) is there already"):
        restore(tmp_path / "copy.db", tmp_path / "there", NOW_MS)

    assert ((tmp_path / "copy.db").read_bytes(), values(tmp_path / "there")) == before


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """Somebody may have begun there who has written nothing yet."""
    filled(tmp_path / "here", 10)
    back_up(tmp_path / "here", tmp_path / "copy.db", NOW_MS)
    (tmp_path / "there").mkdir()

    with (tmp_path / "there" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LogUnavailable, match="a Tocsin runs on the journal in"):
            restore(tmp_path / "copy.db", tmp_path / "there", NOW_MS)


def test_no_space(tmp_path: Path) -> None:
    """It is told before anything is written, with how much is needed."""
    filled(tmp_path / "here", 10)
    back_up(tmp_path / "here", tmp_path / "copy.db", NOW_MS)
    text = r"has 1,000 bytes free, must have [\d,]+ for a copy"

    with pytest.raises(LogUnavailable, match=text):
        back_up(tmp_path / "here", tmp_path / "more.db", NOW_MS, lambda _: 1000)
    with pytest.raises(LogUnavailable, match=text):
        restore(tmp_path / "copy.db", tmp_path / "there", NOW_MS, lambda _: 1000)

    assert not list(tmp_path.glob("**/*.part"))
    assert not (tmp_path / "more.db").exists()


def test_a_damaged_journal_makes_no_backup(tmp_path: Path) -> None:
    """A copy of damage would be found when it is needed."""
    filled(tmp_path / "here")
    _execute("UPDATE batches SET crc = crc + 1 WHERE last = 3")(tmp_path / "here" / "journal.db")

    with pytest.raises(LogUnavailable, match="is damaged"):
        back_up(tmp_path / "here", tmp_path / "copy.db", NOW_MS)

    assert not (tmp_path / "copy.db").exists()


def test_a_copied_file_is_no_backup(tmp_path: Path) -> None:
    """A file that somebody copied while the service ran may lack its end."""
    filled(tmp_path / "here")
    shutil.copy(tmp_path / "here" / "journal.db", tmp_path / "copy.db")

    with pytest.raises(LogUnavailable, match="no mark of a whole backup"):
        restore(tmp_path / "copy.db", tmp_path / "there", NOW_MS)
