"""The embedded journal: its process killed, its disk full, its files damaged."""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from app.settings import Settings
from app.transport.log import Log, LogUnavailable
from app.transport.sqlite import SqliteLog
from app.worker.worker import CRASHED
from deploy.kafka.secured import free_ports
from models.topics import Topics
from tests.faults.load import Load, http_status
from tests.faults.processes import Supervised
from tests.faults.proof import Proof, prove, quick_policy, unsettled
from tests.faults.table import Row, counted, spread
from tests.support.engines import ROOT, read_all, wait_until
from tests.support.settings_of import using

PARTITIONS = 4
START_SECONDS = 60
T = TypeVar("T")


class Embedded:
    """`tocsin up` on a folder, under a supervisor, and a load on it."""

    def __init__(self, folder: Path, journal: Path, seed: int, rate: int = 400) -> None:
        policy = quick_policy(folder)
        (port,) = free_ports(1)
        self.config = Settings(
            broker=f"embedded:{journal}", partitions=PARTITIONS, policy_file=str(policy)
        )
        self.settings = {
            "TOCSIN_BROKER": self.config.broker,
            "TOCSIN_PARTITIONS": str(PARTITIONS),
            "TOCSIN_POLICY": str(policy),
            "TOCSIN_PORT": str(port),
        }
        self.process = Supervised(folder, "up", ["-m", "app", "up"], self.settings)
        self.process.wait_ready()
        self.load = Load(lambda: f"http://127.0.0.1:{port}", seed, rate)

    def status(self, path: str) -> int:
        """Of an answer to GET; 0 is no answer."""
        return http_status(f"http://127.0.0.1:{self.settings['TOCSIN_PORT']}{path}")

    def wait_load(self, alerts: int) -> None:
        """Return when so many alerts more are acknowledged."""
        wanted = len(self.load.alerts) + alerts
        wait_until(lambda: len(self.load.alerts) >= wanted, f"{wanted} alerts; {self.load.trouble}")

    def finish(self) -> Proof:
        """Stop the load, wait until everything is applied, stop the process, and prove."""
        self.load.stop()
        self.process.wait_ready()
        wait_until(
            lambda: self._with_log(lambda log: unsettled(log, self.config)) == 0,
            "everything is applied",
        )
        self.process.end()
        self.process.stop()
        return self._with_log(lambda log: prove(log, self.config, self.load))

    def _with_log(self, use: Callable[[Log], Awaitable[T]]) -> T:
        return using(SqliteLog(self.config.journal_dir, read_only=True), use)


def _start(settings: dict[str, str]) -> tuple[int, str]:
    """Exit status and complaints of a `tocsin up` that cannot start."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "up"],
        env=os.environ | settings,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    return done.returncode, done.stderr


def _as_root(*command: str) -> None:
    prefix = [] if os.getuid() == 0 else ["sudo", "-n"]
    subprocess.run([*prefix, *command], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    _as_root("mount", "-t", "tmpfs", "-o", "size=24m,mode=777", "tmpfs", str(place))
    yield place
    _as_root("umount", "-l", str(place))


@pytest.fixture
def left(folder: Path, seed: int) -> Embedded:
    """A journal with some 3,000 alerts, of a service that was killed."""
    embedded = Embedded(folder, folder / "journal", seed)
    embedded.load.start()
    embedded.wait_load(3000)
    embedded.load.stop()
    embedded.process.kill(again=False)
    embedded.process.wait_death(1)
    return embedded


def test_the_service_is_killed_at_random(
    folder: Path, told: Row, seed: int, *, short: bool
) -> None:
    """kill -9 of `tocsin up` under load: started again it goes on as if nothing had happened."""
    times = 3 if short else 30
    dice = random.Random(seed)
    embedded = Embedded(folder, folder / "journal", seed)
    seconds = []
    try:
        embedded.load.start()
        for number in range(times):
            embedded.wait_load(dice.randrange(50, 900))
            killed = embedded.process.kill()
            embedded.process.wait_ready(number + 2)
            seconds.append(embedded.process.runs[-1].ready - killed)
        embedded.wait_load(500)
        proof = embedded.finish()
    finally:
        embedded.process.stop()

    assert embedded.process.deaths.count(-9) == times
    told.fill(
        f"kill -9 of `tocsin up` at a random moment (seed {seed})",
        times,
        proof,
        f"ready again after {spread(seconds)}",
    )


def _fill(disk: Path, filler: Path) -> None:
    """Take all but half a MiB of what is left; the service, which writes too, may be faster."""
    for _ in range(100):
        with filler.open("wb") as file, contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, os.statvfs(disk).f_bavail * 4096 - 512 * 1024)
            return
    pytest.fail("the disk could not be filled")


def test_the_disk_is_full(
    small_disk: Path, folder: Path, told: Row, seed: int, *, short: bool
) -> None:
    """Nothing is acknowledged while the disk is full, the log says why, and with space everything goes on by itself."""
    embedded = Embedded(folder, small_disk / "journal", seed, 2000)
    filler = small_disk / "filler"
    try:
        embedded.load.start()
        embedded.wait_load(1000)
        _fill(small_disk, filler)
        wait_until(
            lambda: "database or disk is full: make space" in embedded.process.told(),
            "the log says why",
        )
        wait_until(lambda: embedded.status("/readyz") == 503, "it is not ready")
        if not short:
            wait_until(lambda: embedded.load.trouble["503"] > 0, "senders are told 503", 90)
        acknowledged = len(embedded.load.alerts)
        if not short:
            os.kill(
                embedded.process.pid, signal.SIGTERM
            )  # it cannot finish what it has, and must not wait for ever
            embedded.process.wait_death(1)
        filler.unlink()
        embedded.wait_load(1000)
        proof = embedded.finish()
    finally:
        embedded.process.stop()

    assert embedded.process.deaths == ([0] if short else [CRASHED, 0])
    told.fill(
        "the disk (24 MB) is filled by somebody else, and has space again once senders were told 503 and SIGTERM was tried",
        1,
        proof,
        f"answers meanwhile: {counted(embedded.load.trouble)}; {acknowledged:,} alerts were acknowledged before",
        "the log says what to do; it goes on by itself; SIGTERM meanwhile ends it with status 70 after 25 s",
    )


def test_the_disk_cannot_be_written(small_disk: Path, folder: Path, told: Row, seed: int) -> None:
    """A read-only folder is refused at the start, with what to do, and nothing of it is lost."""
    embedded = Embedded(folder, small_disk / "journal", seed)
    try:
        embedded.load.start()
        embedded.wait_load(500)
        embedded.load.stop()
        embedded.process.end()
        _as_root("mount", "-o", "remount,ro", str(small_disk))
        status, complaint = _start(embedded.settings)
        _as_root("mount", "-o", "remount,rw", str(small_disk))
        embedded.process.start()
        embedded.process.wait_ready(2)
        proof = embedded.finish()
    finally:
        embedded.process.stop()

    assert status == 1
    assert "it has to be a folder that Tocsin may write to; TOCSIN_BROKER names it" in complaint
    told.fill(
        "a start on a read-only file system, and one when it can be written again",
        1,
        proof,
        _quoted(complaint),
    )


@pytest.mark.parametrize(("name", "share"), [("journal.db", 0.5), ("journal.db-wal", 0)])
def test_a_file_is_cut(left: Embedded, name: str, share: float, told: Row) -> None:
    """What a file lost is noticed at the next start, which is refused.

    Nobody goes on without it unknowingly.
    """
    while name.endswith("-wal") and not _missed(left.config.journal_dir):
        left.process.start()  # all of it was in journal.db too
        left.process.wait_ready(len(left.process.runs) + 1)
        left.process.kill(again=False)
        left.process.wait_death(len(left.process.runs))
    file = left.config.journal_dir / name
    os.truncate(file, int(file.stat().st_size * share) // 4096 * 4096)
    status, complaint = _start(left.settings)
    left.process.stop()

    assert status == 1, complaint
    assert "restore the folder from a copy, or name a new one in TOCSIN_BROKER" in complaint
    told.fill(f"{name} of a killed service is cut to {share:.0%}", 1, None, _quoted(complaint))


def _missed(journal: Path) -> bool:
    """Whether the newest append is not in journal.db itself, but only in the file beside it."""
    topic, partition, end = (journal / "journal.end").read_text().split()
    alone = sqlite3.connect(f"file:{journal / 'journal.db'}?mode=ro&immutable=1", uri=True)
    with contextlib.closing(alone):
        row = alone.execute(
            "SELECT max(last) FROM batches WHERE topic = ? AND partition = ?", (topic, partition)
        ).fetchone()
    return row[0] is None or row[0] + 1 < int(end)


def test_pages_are_overwritten(left: Embedded, told: Row, seed: int, *, short: bool) -> None:
    """Wherever a page is overwritten, what it held is either not missed, or its loss is told.

    Nothing wrong is ever read.
    """
    times = 10 if short else 100
    left.process.start()
    left.process.wait_ready(2)
    left.process.end()  # so that all is in one file
    left.process.stop()
    file = left.config.journal_dir / "journal.db"
    whole = file.read_bytes()
    before = asyncio.run(_everything(left.config))
    dice = random.Random(seed)
    outcomes = {"told": 0, "not missed": 0}
    for _ in range(times):
        page = dice.randrange(len(whole) // 4096)
        file.write_bytes(whole[: page * 4096] + dice.randbytes(4096) + whole[(page + 1) * 4096 :])
        found = asyncio.run(_everything(left.config))
        if isinstance(found, str):
            outcomes["told"] += 1
            assert "restore the folder from a copy" in found, found
        else:
            outcomes["not missed"] += 1
            assert found == before
    file.write_bytes(whole)

    assert not isinstance(before, str)
    told.fill(
        "one page of journal.db, anywhere, is overwritten with noise, and all records are read",
        times,
        None,
        f"{outcomes['told']} times told as damaged, {outcomes['not missed']} times nothing was there; never a wrong record",
    )


async def _everything(config: Settings) -> dict[str, list[object]] | str:
    """Every record of every topic, or what is said instead."""
    log = SqliteLog(config.journal_dir, read_only=True)
    try:
        await log.start()
        return {
            f"{spec.name} {partition}": list(await read_all(log, spec.name, partition))
            for spec in Topics(config.prefix).specs(PARTITIONS)
            for partition in range(PARTITIONS)
        }
    except LogUnavailable as error:
        return str(error)
    finally:
        await log.stop()


def _quoted(complaint: str) -> str:
    """The line that tells, without this run's folders."""
    lines = [line for line in complaint.splitlines() if "the journal in" in line]
    words = lines[-1].split("tocsin: ")[-1].split()
    return f"says `{' '.join(_folder(word) for word in words)}`"


def _folder(word: str) -> str:
    bare = word.strip("'\":;,")
    return word.replace(bare, "DIR") if bare.startswith("/") else word
