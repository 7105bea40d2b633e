"""A log in one SQLite file: durable, ordered, for one machine.

An append is a row, its records packed into one blob, or a few rows where it is large. A writer
thread takes everything that waits and commits it in one transaction (group commit), flushed to the
disk before anybody is answered: an append is written whole or not at all, and a crash of the
process or of the machine loses nothing that was acknowledged. While the disk is full, appends wait.

Disks and people damage files, and SQLite does not see all of it: a batch has a checksum, batches of
a partition have to follow each other, and a file beside the journal knows the newest append, so
that a lost end is told from no end.
"""

import asyncio
import fcntl
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson

from app.clock import Clock
from app.files.file_access import make_private_folder, open_private
from app.transport.compaction import Compaction
from app.transport.log import LogUnavailable, NewRecord, Place, StoredRecord, TopicMismatch
from app.transport.retention import Expiry
from app.transport.sqlite_batches import INSERT, SCHEMA, SELECT_FROM, BatchRow, Damaged, batch_rows
from app.transport.sqlite_follower import SqliteFollower
from models.topics import TopicSpec

FORMAT = 1
MAGIC = int.from_bytes(b"Tocs")  # SQLite's application_id of a journal
ROW_BYTES = 8 * 1024 * 1024  # of a row; SQLite takes a hundred times as much
READ_BYTES = 16 * 1024 * 1024  # that a read gives at the most, or one row
NOTE_BYTES = 512
FULL_SECONDS = 1.0  # between two looks whether a full disk has space again
CROWD_SECONDS = 0.002  # between the beginnings of two commits, while several appends share one
DAMAGED = "restore the folder from a copy, or name a new one in TOCSIN_BROKER"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS topics (name TEXT PRIMARY KEY, partitions INTEGER, config TEXT)",
    """
    CREATE TABLE IF NOT EXISTS commits (
        topic TEXT, partition INTEGER, offset INTEGER, PRIMARY KEY (topic, partition)
    )
    """,
    # How often the journal was restored: one row with the newest epoch, or none.
    "CREATE TABLE IF NOT EXISTS epoch (number INTEGER)",
    SCHEMA,
)

logger = logging.getLogger("tocsin.journal")


@dataclass(slots=True)
class _Append:
    topic: str
    partition: int
    records: Sequence[NewRecord]
    done: "asyncio.Future[int]"


class SqliteLog:
    """`app.transport.log.Log` over DIRECTORY/journal.db."""

    def __init__(
        self,
        directory: Path,
        clock: Clock | None = None,
        *,
        read_only: bool = False,
        expires: bool = True,
    ) -> None:
        """Make it; without `expires` topics keep everything, whatever their retention."""
        self.directory = directory
        self.clock = clock or Clock()
        self.epoch = 0  # raised by each restore of a backup; known once it is open to be written
        self.appended = (
            asyncio.Event()
        )  # set after each commit: a reader clears it, reads, and waits for it
        self._followers: list[asyncio.Event] = []  # the same for others who follow
        self._read_only, self._expires = read_only, expires
        self._queue: queue.SimpleQueue[_Append | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._reader: sqlite3.Connection | None = None
        self._lock: IO[str] | None = None
        self._ends: dict[
            tuple[str, int], tuple[int, int]
        ] = {}  # topic and partition -> end offset and newest time
        self._compacted: set[str] = set()
        self._failed: Exception | None = None
        self._newest: IO[bytes] | None = None  # where the newest append is noted
        self._kept_ms: dict[str, int] = {}  # the retention of the topics that have one

    async def start(self) -> None:
        """Open the file, and take the folder for ourselves unless it is only to be read."""
        try:
            if self._read_only:
                self._reader = self._connect_to_read()
                self._check_format(self._reader)
                return
            make_private_folder(self.directory)
            self._take_lock()
            # SQLite gives its other files the mode of the first.
            os.close(open_private(self._file, os.O_RDWR | os.O_CREAT))
            self._reader = self._connect(f"file:{self._file}?mode=rwc")
            self._prepare(self._reader)
        except (OSError, sqlite3.Error) as error:
            raise self._unavailable_error("opened", error) from None
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Write what waits, and close."""
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._newest is not None:
            self._newest.close()
            self._newest = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def now_ms(self) -> int:
        """The clock's time."""
        return self.clock.now_ms()

    async def ensure_topics(self, specs: Sequence[TopicSpec]) -> set[str]:
        """Note the topics that are new, and return their names."""
        connection = self._open_database()
        kept = {
            name: (partitions, config)
            for name, partitions, config in connection.execute("SELECT * FROM topics")
        }
        for spec in specs:
            partitions, _ = kept.get(spec.name, (spec.partitions, ""))
            if partitions != spec.partitions:
                raise TopicMismatch(
                    f"{self._file}: topic {spec.name} has {partitions} partitions, TOCSIN_PARTITIONS asks for "
                    f"{spec.partitions}: keep the number, or start in a new folder"
                )
        created = {spec.name for spec in specs} - set(kept)
        with connection:
            noted = [
                (spec.name, spec.partitions, orjson.dumps(spec.config).decode()) for spec in specs
            ]
            connection.executemany("INSERT OR REPLACE INTO topics VALUES (?, ?, ?)", noted)
        if self._expires:
            self._kept_ms.update(
                {
                    spec.name: int(spec.config["retention.ms"])
                    for spec in specs
                    if "retention.ms" in spec.config
                }
            )
        self._compacted = {
            spec.name for spec in specs if spec.config.get("cleanup.policy") == "compact"
        }
        return created

    async def list_topics(self) -> dict[str, int]:
        """The topics that were ever ensured."""
        return dict(self._open_database().execute("SELECT name, partitions FROM topics").fetchall())

    async def append(self, topic: str, partition: int, records: Sequence[NewRecord]) -> int:
        """Append as one batch; the first record's offset once it is on the disk."""
        if self._failed is not None or self._thread is None:
            raise self._unavailable_error("written", self._failed or "it is closed")
        done: asyncio.Future[int] = self._loop.create_future()
        self._queue.put(_Append(topic, partition, records, done))
        return await done

    async def claim(self, topic: str, partition: int) -> None:
        """Nothing: the folder's lock keeps everybody else away."""

    async def read(
        self, topic: str, partition: int, offset: int, max_records: int = 5000
    ) -> list[StoredRecord]:
        """Records at `offset` and after. Raises LogUnavailable when they are damaged."""
        try:
            return self._read_rows(topic, partition, offset, max_records)
        except sqlite3.Error as error:
            raise self._unavailable_error("read", error) from None
        except Damaged as error:
            raise self._damaged_error(f"{topic} {partition}: {error}") from None

    def _read_rows(
        self, topic: str, partition: int, offset: int, max_records: int
    ) -> list[StoredRecord]:
        read: list[StoredRecord] = []
        expected, size = offset, 0
        for row in self._select_rows(topic, partition, offset):
            size += row.size
            if read and size > READ_BYTES:
                break
            records = row.unpack()
            if row.begins > expected and (read or self._has_before(topic, partition, offset)):
                raise self._damaged_error(
                    f"{topic} {partition} lacks the records from {expected} to {row.begins - 1}"
                )
            read += records[max(offset - row.first_record_offset, 0) :]
            expected = row.last + 1
            if len(read) >= max_records:
                break
        return read[:max_records]

    def _select_rows(self, topic: str, partition: int, offset: int) -> Iterator[BatchRow]:
        return map(
            BatchRow._make,
            self._open_database().execute(
                SELECT_FROM,
                (topic, partition, offset),
            ),
        )

    def _has_before(self, topic: str, partition: int, offset: int) -> bool:
        """Whether older batches are kept, so that what is missing at the offset is no matter of age."""
        row = self._open_database().execute(
            "SELECT 1 FROM batches WHERE topic = ? AND partition = ? AND last < ? LIMIT 1",
            (topic, partition, offset),
        )
        return row.fetchone() is not None

    async def start_offset(self, topic: str, partition: int) -> int:
        """The oldest offset that is kept."""
        row = self._open_database().execute(
            "SELECT last - count + 1 FROM batches WHERE topic = ? AND partition = ? ORDER BY last LIMIT 1",
            (topic, partition),
        )
        return int((row.fetchone() or (0,))[0])

    async def end_offset(self, topic: str, partition: int) -> int:
        """The offset that the next record will get."""
        row = self._open_database().execute(
            "SELECT last + 1 FROM batches WHERE topic = ? AND partition = ? ORDER BY last DESC LIMIT 1",
            (topic, partition),
        )
        return int((row.fetchone() or (0,))[0])

    def follow(self) -> asyncio.Event:
        """An event of the caller's own that is set after each commit."""
        event = asyncio.Event()
        self._followers.append(event)
        return event

    @asynccontextmanager
    async def following(self, places: Sequence[Place]) -> AsyncIterator[SqliteFollower]:
        """Follow some partitions from here on."""
        woken = self.follow()
        try:
            yield SqliteFollower(self, {place: self.written(*place) for place in places}, woken)
        finally:
            self._followers.remove(woken)

    def written(self, topic: str, partition: int) -> int:
        """The same, as this writer knows it without looking."""
        return self._ends.get((topic, partition), (0, 0))[0]

    def committed(self, topic: str, partition: int) -> int | None:
        """The offset that the consumer group goes on from."""
        row = self._open_database().execute(
            "SELECT offset FROM commits WHERE topic = ? AND partition = ?", (topic, partition)
        )
        fetched = row.fetchone()
        return int(fetched[0]) if fetched else None

    def commit(self, topic: str, partition: int, offset: int) -> None:
        """Keep the offset that the consumer group goes on from, if the disk lets us.

        What is read again is dropped.
        """
        try:
            with self._open_database() as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO commits VALUES (?, ?, ?)", (topic, partition, offset)
                )
        except sqlite3.OperationalError as error:
            logger.warning("%s", self._unavailable_error("written", error))

    @property
    def _file(self) -> Path:
        return self.directory / "journal.db"

    def _unavailable_error(self, action: str, error: object) -> LogUnavailable:
        """What cannot be done, why, and what to do."""
        remedy = ""
        if _is_full(error):
            remedy = ": make space on its disk"
        elif isinstance(error, OSError) or "readonly" in str(error):
            remedy = ": it has to be a folder that Tocsin may write to; TOCSIN_BROKER names it"
        elif isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, sqlite3.OperationalError
        ):
            remedy = f": {DAMAGED}"
        return LogUnavailable(
            f"the journal in {self.directory} cannot be {action}: {error}{remedy}"
        )

    def _damaged_error(self, damage: str) -> LogUnavailable:
        return LogUnavailable(f"the journal in {self.directory} is damaged: {damage}: {DAMAGED}")

    def _check_format(self, connection: sqlite3.Connection) -> None:
        """Refuse a file that is no journal, or a newer one. An empty file is a new journal."""
        (magic,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if magic != MAGIC and tables:
            raise LogUnavailable(
                f"{self._file} has SQLite's application_id {magic}, must be {MAGIC}: it is no journal of Tocsin's, or "
                "one from before the first release, which cannot be read: name a new folder in TOCSIN_BROKER"
            )
        if version > FORMAT:
            raise LogUnavailable(
                f"{self._file} has format {version}, this Tocsin reads {FORMAT}: run the newer version"
            )

    def _open_database(self) -> sqlite3.Connection:
        if self._reader is None:
            raise LogUnavailable(f"the journal in {self.directory} is closed")
        return self._reader

    def _connect_to_read(self) -> sqlite3.Connection:
        """Connect beside whoever writes.

        Where nobody does, and we may write nothing, as on a backup, to the file alone.
        """
        uri = f"file:{self._file}?mode=ro"
        try:
            return self._connect(uri)
        except sqlite3.OperationalError:
            if self._file.with_name("journal.db-wal").is_file() or not self._file.exists():
                raise
            return self._connect(f"{uri}&immutable=1")

    def _connect(self, uri: str) -> sqlite3.Connection:
        connection = sqlite3.connect(uri, uri=True, timeout=10)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA mmap_size = 268435456")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _take_lock(self) -> None:
        lock = open(self.directory / "lock", "w", opener=open_private)  # noqa: SIM115  it stays open
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise LogUnavailable(
                f"another Tocsin runs on the journal in {self.directory}: stop it, or name another folder in TOCSIN_BROKER"
            ) from None
        self._lock = lock

    def _prepare(self, connection: sqlite3.Connection) -> None:
        self._check_format(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        with connection:  # all or nothing: a file with tables has the magic too
            connection.execute("BEGIN IMMEDIATE")
            for table in _TABLES:
                connection.execute(table)
            connection.execute(f"PRAGMA application_id = {MAGIC}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        for topic, partition, last, at_ms in connection.execute(
            "SELECT topic, partition, max(last), at_ms FROM batches GROUP BY topic, partition"
        ):
            self._ends[topic, partition] = (last + 1, at_ms)
        self.epoch = int(connection.execute("SELECT max(number) FROM epoch").fetchone()[0] or 0)
        self._check_end()

    def _check_end(self) -> None:
        """The newest append that was ever acknowledged has to be there."""
        noted = self.directory / "journal.end"
        fd = open_private(noted, os.O_RDWR | os.O_CREAT)
        self._newest = os.fdopen(fd, "r+b", buffering=0)
        words = self._newest.read(NOTE_BYTES).decode(errors="replace").split()
        if len(words) == 3 and words[1].isdecimal() and words[2].isdecimal():
            topic, partition, end = words[0], int(words[1]), int(words[2])
            kept_end, _ = self._ends.get((topic, partition), (0, 0))
            if kept_end < end:
                raise LogUnavailable(
                    f"the journal in {self.directory} has lost its end: {topic} {partition} ends at {kept_end}, "
                    f"and up to {end} was acknowledged: {DAMAGED}; to go on without what is lost, remove {noted}"
                )

    def _note_end(self, appends: Sequence[_Append]) -> None:
        """Note the newest append.

        Not flushed to the disk: a note that is too old after a power cut does no harm.
        """
        assert self._newest is not None
        topic, partition = appends[-1].topic, appends[-1].partition
        note = f"{topic} {partition} {self._ends[topic, partition][0]}\n"
        os.pwrite(self._newest.fileno(), note.encode().ljust(NOTE_BYTES), 0)

    # The writer thread.

    def _write_all(self) -> None:
        connection, other = (self._connect(f"file:{self._file}?mode=rw") for _ in range(2))
        other.execute(
            "PRAGMA synchronous = NORMAL"
        )  # what it drops is on the disk with the next append, and in order
        self._compaction = Compaction(other)
        chores = (self._compaction, Expiry(other, self._kept_ms, self.now_ms))
        running, rested = True, 0.0  # since when the next commit may begin
        while running:
            busy = [item for item in chores if item.busy and self._failed is None]
            waiting = self._waiting(wait=not busy)
            if waiting and (rest := rested - time.monotonic()) > 0:
                time.sleep(rest)  # more come meanwhile, and share the commit
                waiting += self._waiting(wait=False)
            running = None not in waiting
            appends = [item for item in waiting if item is not None]
            if appends:
                rested = time.monotonic() + CROWD_SECONDS if len(appends) > 1 else 0.0
                self._write_appends(connection, appends)
            for chore in busy if running else ():
                self._run_chore(chore.step)
        connection.close()
        other.close()

    def _waiting(self, *, wait: bool) -> list[_Append | None]:
        """What is to be written; None is the end."""
        waiting = []
        with suppress(queue.Empty):
            waiting.append(self._queue.get(block=wait))
            while True:
                waiting.append(self._queue.get_nowait())
        return waiting

    def _run_chore(self, chore: Callable[[], None]) -> None:
        """Something that nobody waits for.

        Damage ends all writing, so that it is given no good checksum.
        """
        try:
            chore()
        except Damaged as error:
            self._failed = self._damaged_error(str(error))
        except sqlite3.OperationalError as error:
            if _is_full(error) or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                logger.warning(
                    "%s; what is not needed any more is dropped later",
                    self._unavailable_error("written", error),
                )
            else:
                self._failed = error
        except Exception as error:  # noqa: BLE001  whatever it is, nobody else hears of it
            self._failed = error

    def _write_appends(self, connection: sqlite3.Connection, appends: list[_Append]) -> None:
        if self._failed is not None:
            self._answer_all(
                appends, [self._unavailable_error("written", self._failed) for _ in appends]
            )
            return
        ends, written, first_offsets = dict(self._ends), list[BatchRow](), []
        for item in appends:
            end, _ = ends.get((item.topic, item.partition), (0, 0))
            at_ms = self.clock.now_ms()  # as it is: the engine knows a clock that is wrong
            written += batch_rows(item.topic, item.partition, end, at_ms, item.records, ROW_BYTES)
            ends[item.topic, item.partition] = (end + len(item.records), at_ms)
            first_offsets.append(end)
        try:
            self._insert_rows(connection, written)
            self._ends = ends
            if appends:
                self._note_end(appends)
        except (OSError, sqlite3.Error) as error:
            self._failed = (
                error  # the disk is gone: whether it was written is not known, so no more is
            )
            self._answer_all(appends, [self._unavailable_error("written", error) for _ in appends])
            return
        self._answer_all(appends, first_offsets)
        compacted = [row for row in written if row.topic in self._compacted]
        self._run_chore(lambda: self._compaction.appended(compacted))

    def _answer_all(
        self, appends: Sequence[_Append], offsets: Sequence[int | LogUnavailable]
    ) -> None:
        """Answer all of them in one step of the event loop: it takes a system call to wake it."""
        self._loop.call_soon_threadsafe(self._answer, appends, offsets)

    def _answer(self, appends: Sequence[_Append], offsets: Sequence[int | LogUnavailable]) -> None:
        for item, offset in zip(appends, offsets, strict=True):
            if item.done.done():
                continue  # whoever waited was cancelled
            if isinstance(offset, LogUnavailable):
                item.done.set_exception(offset)
            else:
                item.done.set_result(offset)
        self.appended.set()
        for event in self._followers:
            event.set()

    def _insert_rows(self, connection: sqlite3.Connection, written: list[BatchRow]) -> None:
        """Write the rows, all or none.

        While the disk is full, wait for space: nothing is written then, for certain.
        """
        told = False
        while True:
            try:
                with connection:
                    connection.executemany(INSERT, written)
            except sqlite3.OperationalError as error:
                if not _is_full(error):
                    raise
                if not told:
                    logger.error(  # noqa: TRY400  its text says it all
                        "%s; nothing is acknowledged until then",
                        self._unavailable_error("written", error),
                    )
                    told = True
                time.sleep(FULL_SECONDS)
            else:
                if told:
                    logger.warning("the journal in %s is written again", self.directory)
                return


def _is_full(error: object) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
