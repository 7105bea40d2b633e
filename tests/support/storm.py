"""A journal that a killed service left behind, and ways to damage copies of it."""

import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from app.demo import recorded
from app.demo.storm import storm_steps
from app.transport.log import NewRecord, StoredRecord
from app.transport.sqlite import SqliteLog
from app.transport.sqlite_batches import INSERT, batch_rows, unpack_records
from tests.support.engines import Tocsin
from tests.support.settings_of import using

AIT_ADS = (
    Path(__file__).parents[3] / "shared" / "data" / "ait-ads" / "sample_russellmitchell_storm.csv"
)
T = TypeVar("T")
Change = Callable[[list[StoredRecord]], list[StoredRecord]]


def leave_journal(folder: Path) -> None:
    """Feed the AIT-ADS storm, or where it is missing one of ours, to a service that is killed twice and then ended.

    Half of it: what readers of journals meet is all in it.
    """
    problems: list[str] = []
    steps = (
        list(recorded.read_steps(AIT_ADS, problems))
        if AIT_ADS.exists()
        else list(storm_steps(6000, seed=3))
    )
    steps = steps[: len(steps) // 2]
    broker = f"embedded:{folder}"
    service = Tocsin("up", TOCSIN_BROKER=broker, TOCSIN_CHECKPOINT_MS="100")
    for number, (_, alerts) in enumerate(steps):
        if number in (len(steps) // 3, len(steps) * 2 // 3):
            service.kill()
            service = Tocsin("up", TOCSIN_BROKER=broker, TOCSIN_CHECKPOINT_MS="100")
        assert service.post("/api/v2/alerts", alerts)[0] == 200
    service.wait_applied()
    service.stop()


def copy(folder: Path, to: Path) -> Path:
    """A copy of a journal."""
    shutil.copytree(folder, to)
    return to


def change(folder: Path, topic: str, partition: int, alter: Change) -> None:
    """Alter the records of a partition, as somebody would who knows how to write a checksum."""
    connection = sqlite3.connect(folder / "journal.db")
    place = (topic, partition)
    records: list[StoredRecord] = []
    found = connection.execute(
        "SELECT last, count, at_ms, records FROM batches WHERE topic = ? AND partition = ? ORDER BY last",
        place,
    ).fetchall()
    for last, count, at_ms, blob in found:
        records += unpack_records(blob, last - count + 1, at_ms, count)
    with connection:
        connection.execute("DELETE FROM batches WHERE topic = ? AND partition = ?", place)
        for number, record in enumerate(alter(records)):
            new = [NewRecord(record.key, record.value, record.headers)]
            connection.executemany(
                INSERT, batch_rows(topic, partition, number, record.timestamp, new, 1)
            )
    connection.close()


def with_log(
    folder: Path, use: Callable[[SqliteLog], Awaitable[T]], *, read_only: bool = True
) -> T:
    """What comes of using a journal."""
    return using(SqliteLog(folder, read_only=read_only), use)
