"""A log in one SQLite file: durable, ordered, for one machine.

An append is a row, its records packed into one blob, or a few rows where it is large. A writer thread takes everything that
waits and commits it in one transaction (group commit), flushed to the disk before anybody is answered: an append is
written whole or not at all, and a crash of the process or of the machine loses nothing that was acknowledged. While the
disk is full, appends wait.

Disks and people damage files, and SQLite does not see all of it: a batch has a checksum, batches of a partition have to
follow each other, and a file beside the journal knows the newest append, so that a lost end is told from no end.
"""

import asyncio
import fcntl
import logging
import os
import queue
import sqlite3
import struct
import threading
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from app.clock import Clock
from app.transport.log import LogUnavailable, NewRecord, StoredRecord, TopicMismatch, in_batches
from models.topics import TopicSpec

FORMAT = 2  # 1 had no checksums
COMPACT_AFTER = 2000  # batches of a compacted partition before the older values of its keys are dropped
ROW_BYTES = 8 * 1024 * 1024  # of a row; SQLite takes a hundred times as much
READ_BYTES = 16 * 1024 * 1024  # that a read gives at the most, or one row
# The same where nothing else waits: to find where to begin, SQLite reads some rows whole, which takes 5 ms with large ones.
READ_ONLY_BYTES = 64 * 1024 * 1024
NOTE_BYTES = 512
FULL_SECONDS = 1.0  # between two looks whether a full disk has space again
DAMAGED = "restore the folder from a copy, or name a new one in TOCSIN_BROKER"
_LENGTHS = struct.Struct(">iii")  # of key, value and headers; -1 is None

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    topic TEXT, partition INTEGER, last INTEGER, count INTEGER, at_ms INTEGER, records BLOB, crc INTEGER,
    PRIMARY KEY (topic, partition, last)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS topics (name TEXT PRIMARY KEY, partitions INTEGER, config TEXT);
CREATE TABLE IF NOT EXISTS commits (topic TEXT, partition INTEGER, offset INTEGER, PRIMARY KEY (topic, partition));
"""

logger = logging.getLogger("tocsin.journal")


@dataclass(slots=True)
class _Append:
    topic: str
    partition: int
    records: Sequence[NewRecord]
    done: "Future[int]"


class SqliteLog:
    """`app.transport.log.Log` over DIRECTORY/journal.db."""

    def __init__(self, directory: Path, clock: Clock | None = None, *, read_only: bool = False) -> None:
        self.directory = directory
        self.clock = clock or Clock()
        self.appended = asyncio.Event()  # set after each commit: a reader clears it, reads, and waits for it
        self._read_only = read_only
        self._queue: queue.SimpleQueue[_Append | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._reader: sqlite3.Connection | None = None
        self._lock: IO[str] | None = None
        self._ends: dict[tuple[str, int], tuple[int, int]] = {}  # topic and partition -> end offset and newest time
        self._compacted: set[str] = set()
        self._failed: Exception | None = None
        self._newest: IO[bytes] | None = None  # where the newest append is noted
        self._checked = True  # whether batches have checksums

    async def start(self) -> None:
        """Open the file, and take the folder for ourselves unless it is only to be read."""
        try:
            if self._read_only:
                self._reader = self._connect_to_read()
                self._checked = self._version(self._reader) > 1
                return
            self.directory.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self._reader = self._connect(f"file:{self._file}?mode=rwc")
            self._prepare(self._reader)
        except (OSError, sqlite3.Error) as error:
            raise self._unavailable("opened", error) from None
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
        """Note the topics that are new, drop what is past its time, and return the new ones' names."""
        connection = self._open()
        kept = {name: (partitions, config) for name, partitions, config in connection.execute("SELECT * FROM topics")}
        for spec in specs:
            partitions, _ = kept.get(spec.name, (spec.partitions, ""))
            if partitions != spec.partitions:
                raise TopicMismatch(
                    f"{self._file}: topic {spec.name} has {partitions} partitions, TOCSIN_PARTITIONS asks for "
                    f"{spec.partitions}: keep the number, or start in a new folder"
                )
        created = {spec.name for spec in specs} - set(kept)
        with connection:
            rows = [(spec.name, spec.partitions, orjson.dumps(spec.config).decode()) for spec in specs]
            connection.executemany("INSERT OR REPLACE INTO topics VALUES (?, ?, ?)", rows)
            for spec in specs:
                self._expire(connection, spec)
        self._compacted = {spec.name for spec in specs if spec.config.get("cleanup.policy") == "compact"}
        return created

    async def list_topics(self) -> dict[str, int]:
        """The topics that were ever ensured."""
        return dict(self._open().execute("SELECT name, partitions FROM topics").fetchall())

    async def append(self, topic: str, partition: int, records: Sequence[NewRecord]) -> int:
        """Append as one batch; the first record's offset once it is on the disk."""
        if self._failed is not None or self._thread is None:
            raise self._unavailable("written", self._failed or "it is closed")
        waiting = _Append(topic, partition, records, Future())
        self._queue.put(waiting)
        return await asyncio.wrap_future(waiting.done)

    async def claim(self, topic: str, partition: int) -> None:
        """Nothing: the folder's lock keeps everybody else away."""

    async def read(self, topic: str, partition: int, offset: int, max_records: int = 5000) -> list[StoredRecord]:
        """Records at `offset` and after. Raises LogUnavailable when they are damaged."""
        try:
            return self._read(topic, partition, offset, max_records)
        except sqlite3.Error as error:
            raise self._unavailable("read", error) from None
        except Damaged as error:
            raise self._damaged(f"{topic} {partition}: {error}") from None

    def _read(self, topic: str, partition: int, offset: int, max_records: int) -> list[StoredRecord]:
        rows = self._open().execute(
            f"SELECT last, count, at_ms, records, {'crc' if self._checked else 'NULL'} FROM batches "  # noqa: S608
            "WHERE topic = ? AND partition = ? AND last >= ? ORDER BY last",
            (topic, partition, offset),
        )
        found: list[StoredRecord] = []
        expected, size = offset, 0
        for last, count, at_ms, blob, crc in rows:
            if crc is not None and crc != _checksum(topic, partition, last, count, at_ms, blob):
                raise self._damaged(f"{topic} {partition}: the records from {expected} on are not what was written")
            first = last - count + 1
            if first > expected and (found or self._has_before(topic, partition, offset)):
                raise self._damaged(f"{topic} {partition} lacks the records from {expected} to {first - 1}")
            size += len(blob) if isinstance(blob, bytes) else 0
            if found and size > (READ_ONLY_BYTES if self._read_only else READ_BYTES):
                break
            unpacked = _unpack(blob, first, at_ms, count)
            found += unpacked[max(offset - first, 0) :]
            expected = last + 1
            if len(found) >= max_records:
                break
        return found[:max_records]

    def _has_before(self, topic: str, partition: int, offset: int) -> bool:
        """Whether older batches are kept, so that what is missing at the offset is no matter of age."""
        row = self._open().execute(
            "SELECT 1 FROM batches WHERE topic = ? AND partition = ? AND last < ? LIMIT 1", (topic, partition, offset)
        )
        return row.fetchone() is not None

    async def start_offset(self, topic: str, partition: int) -> int:
        """The oldest offset that is kept."""
        row = self._open().execute(
            "SELECT last - count + 1 FROM batches WHERE topic = ? AND partition = ? ORDER BY last LIMIT 1",
            (topic, partition),
        )
        return int((row.fetchone() or (0,))[0])

    async def end_offset(self, topic: str, partition: int) -> int:
        """The offset that the next record will get."""
        row = self._open().execute(
            "SELECT last + 1 FROM batches WHERE topic = ? AND partition = ? ORDER BY last DESC LIMIT 1",
            (topic, partition),
        )
        return int((row.fetchone() or (0,))[0])

    def committed(self, topic: str, partition: int) -> int | None:
        """The offset that the consumer group goes on from."""
        row = self._open().execute("SELECT offset FROM commits WHERE topic = ? AND partition = ?", (topic, partition))
        found = row.fetchone()
        return int(found[0]) if found else None

    def commit(self, topic: str, partition: int, offset: int) -> None:
        """Keep the offset that the consumer group goes on from, if the disk lets us: what is read again is dropped."""
        try:
            with self._open() as connection:
                connection.execute("INSERT OR REPLACE INTO commits VALUES (?, ?, ?)", (topic, partition, offset))
        except sqlite3.OperationalError as error:
            logger.warning("%s", self._unavailable("written", error))

    @property
    def _file(self) -> Path:
        return self.directory / "journal.db"

    def _unavailable(self, what: str, error: object) -> LogUnavailable:
        """What cannot be done, why, and what to do."""
        remedy = ""
        if _is_full(error):
            remedy = ": make space on its disk"
        elif isinstance(error, OSError) or "readonly" in str(error):
            remedy = ": it has to be a folder that Tocsin may write to; TOCSIN_BROKER names it"
        elif isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            remedy = f": {DAMAGED}"
        return LogUnavailable(f"the journal in {self.directory} cannot be {what}: {error}{remedy}")

    def _damaged(self, what: str) -> LogUnavailable:
        return LogUnavailable(f"the journal in {self.directory} is damaged: {what}: {DAMAGED}")

    def _version(self, connection: sqlite3.Connection) -> int:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise LogUnavailable(
                f"{self._file} has format {version}, this Tocsin reads {FORMAT}: run the newer version"
            )
        return int(version)

    def _open(self) -> sqlite3.Connection:
        if self._reader is None:
            raise LogUnavailable(f"the journal in {self.directory} is closed")
        return self._reader

    def _connect_to_read(self) -> sqlite3.Connection:
        """Connect beside whoever writes. Where nobody does, and we may write nothing, as on a backup, to the file alone."""
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
        lock = (self.directory / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise LogUnavailable(
                f"another Tocsin runs on the journal in {self.directory}: stop it, or name another folder in TOCSIN_BROKER"
            ) from None
        self._lock = lock

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = self._version(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_SCHEMA)
        if version == 1:
            connection.execute("ALTER TABLE batches ADD COLUMN crc INTEGER")  # none for what is there
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        for topic, partition, last, at_ms in connection.execute(
            "SELECT topic, partition, max(last), at_ms FROM batches GROUP BY topic, partition"
        ):
            self._ends[topic, partition] = (last + 1, at_ms)
        self._check_end()

    def _check_end(self) -> None:
        """The newest append that was ever acknowledged has to be there."""
        noted = self.directory / "journal.end"
        fd = os.open(noted, os.O_RDWR | os.O_CREAT, 0o644)
        self._newest = os.fdopen(fd, "r+b", buffering=0)
        words = self._newest.read(NOTE_BYTES).decode(errors="replace").split()
        if len(words) == 3 and words[1].isdecimal() and words[2].isdecimal():
            topic, partition, end = words[0], int(words[1]), int(words[2])
            found, _ = self._ends.get((topic, partition), (0, 0))
            if found < end:
                raise LogUnavailable(
                    f"the journal in {self.directory} has lost its end: {topic} {partition} ends at {found}, and up to {end} "
                    f"was acknowledged: {DAMAGED}; to go on without what is lost, remove {noted}"
                )

    def _note_end(self, appends: Sequence[_Append]) -> None:
        """Note the newest append. Not flushed to the disk: a note that is too old after a power cut does no harm."""
        assert self._newest is not None
        topic, partition = appends[-1].topic, appends[-1].partition
        note = f"{topic} {partition} {self._ends[topic, partition][0]}\n"
        os.pwrite(self._newest.fileno(), note.encode().ljust(NOTE_BYTES), 0)

    def _expire(self, connection: sqlite3.Connection, spec: TopicSpec) -> None:
        retention_ms = spec.config.get("retention.ms")
        if retention_ms:
            # The newest batch stays: it tells where the partition ends.
            connection.execute(
                "DELETE FROM batches AS b WHERE topic = ? AND at_ms < ? AND last < "
                "(SELECT max(last) FROM batches WHERE topic = b.topic AND partition = b.partition)",
                (spec.name, self.clock.now_ms() - int(retention_ms)),
            )

    # The writer thread.

    def _write_all(self) -> None:
        connection = self._connect(f"file:{self._file}?mode=rw")
        since: dict[tuple[str, int], int] = {}
        running = True
        while running:
            waiting = [self._queue.get()]
            while not self._queue.empty():
                waiting.append(self._queue.get())
            running = None not in waiting
            appends = [one for one in waiting if one is not None]
            self._write(connection, appends)
            for one in appends:
                place = (one.topic, one.partition)
                since[place] = since.get(place, 0) + 1
                if one.topic in self._compacted and since[place] >= COMPACT_AFTER and self._failed is None:
                    since[place] = 0
                    try:
                        self._compact(connection, one.topic, one.partition)
                    except Exception as error:  # noqa: BLE001  whatever it is, nobody else hears of it
                        self._failed = error
        connection.close()

    def _write(self, connection: sqlite3.Connection, appends: list[_Append]) -> None:
        if self._failed is not None:
            for one in appends:
                one.done.set_exception(self._unavailable("written", self._failed))
            return
        ends, rows, first_offsets = dict(self._ends), [], []
        for one in appends:
            end, newest_ms = ends.get((one.topic, one.partition), (0, 0))
            at_ms = max(self.clock.now_ms(), newest_ms)
            rows += _rows(one.topic, one.partition, end, at_ms, one.records)
            ends[one.topic, one.partition] = (end + len(one.records), at_ms)
            first_offsets.append(end)
        try:
            self._insert(connection, rows)
            self._ends = ends
            if appends:
                self._note_end(appends)
        except (OSError, sqlite3.Error) as error:
            self._failed = error  # the disk is gone: whether it was written is not known, so no more is
            for one in appends:
                one.done.set_exception(self._unavailable("written", error))
            return
        for one, offset in zip(appends, first_offsets, strict=True):
            one.done.set_result(offset)
        self._loop.call_soon_threadsafe(self.appended.set)

    def _insert(self, connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
        """Write the rows, all or none; while the disk is full, wait for space: nothing is written then, for certain."""
        told = False
        while True:
            try:
                with connection:
                    connection.executemany("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            except sqlite3.OperationalError as error:
                if not _is_full(error):
                    raise
                if not told:
                    logger.error("%s; nothing is acknowledged until then", self._unavailable("written", error))  # noqa: TRY400
                    told = True
                time.sleep(FULL_SECONDS)
            else:
                if told:
                    logger.warning("the journal in %s is written again", self.directory)
                return

    def _compact(self, connection: sqlite3.Connection, topic: str, partition: int) -> None:
        """Put the newest value of each key of a partition into rows that end where the partition ends."""
        newest: dict[bytes | None, NewRecord] = {}
        rows = connection.execute(
            "SELECT last, count, at_ms, records, crc FROM batches WHERE topic = ? AND partition = ? ORDER BY last",
            (topic, partition),
        )
        last = at_ms = 0
        for one_last, count, one_ms, blob, crc in rows:
            last, at_ms = one_last, one_ms
            if crc is not None and crc != _checksum(topic, partition, last, count, at_ms, blob):
                raise self._damaged(f"the records of {topic} {partition} up to {last} are not what was written")
            for record in _unpack(blob, last - count + 1, 0, count):
                newest.pop(record.key, None)  # so that the order is that of the newest values
                if record.value is not None:
                    newest[record.key] = NewRecord(record.key, record.value, record.headers)
        if not newest:
            return
        kept = _rows(topic, partition, last + 1 - len(newest), at_ms, list(newest.values()))
        try:
            with connection:
                connection.execute("DELETE FROM batches WHERE topic = ? AND partition = ?", (topic, partition))
                connection.executemany("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?)", kept)
        except sqlite3.OperationalError as error:
            if not _is_full(error):
                raise
            logger.warning("%s; %s %d is not compacted now", self._unavailable("written", error), topic, partition)


def _is_full(error: object) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _rows(topic: str, partition: int, first: int, at_ms: int, records: Sequence[NewRecord]) -> list[tuple[Any, ...]]:
    """Records from an offset on as rows of the table `batches`."""
    rows = []
    for batch in in_batches(records, ROW_BYTES):
        blob, count, last = _pack(batch), len(batch), first + len(batch) - 1
        rows.append((topic, partition, last, count, at_ms, blob, _checksum(topic, partition, last, count, at_ms, blob)))
        first += count
    return rows


def _checksum(topic: str, partition: int, last: int, count: int, at_ms: int, blob: object) -> int:
    """Of everything in a row; what stands in a damaged one may be of any kind."""
    return zlib.crc32(
        blob if isinstance(blob, bytes) else b"", zlib.crc32(f"{topic} {partition} {last} {count} {at_ms}".encode())
    )


def _pack(records: Sequence[NewRecord]) -> bytes:
    parts: list[bytes] = []
    for key, value, headers in records:
        packed = orjson.dumps([[name, text.decode()] for name, text in headers]) if headers else b""
        parts += (
            _LENGTHS.pack(-1 if key is None else len(key), -1 if value is None else len(value), len(packed)),
            key or b"",
            value or b"",
            packed,
        )
    return b"".join(parts)


class Damaged(ValueError):
    """Bytes that are no batch."""


def _unpack(blob: bytes, first: int, at_ms: int, count: int) -> list[StoredRecord]:
    """The records in a batch. Raises Damaged; a checksum has mostly said so before, but format 1 had none."""
    try:
        records = _records_in(blob, first, at_ms)
    except (struct.error, TypeError, ValueError, AttributeError) as error:
        raise Damaged(f"the records from {first} on are no batch: {error}") from None
    if len(records) != count:
        raise Damaged(f"the records from {first} on are no batch: there are {len(records)}, must be {count}")
    return records


def _records_in(blob: bytes, first: int, at_ms: int) -> list[StoredRecord]:
    """The records of a row. Half of what it takes to read a journal is spent here, so it is written to be fast."""
    records: list[StoredRecord] = []
    place, offset, end = 0, first, len(blob)
    unpack, size, append = _LENGTHS.unpack_from, _LENGTHS.size, records.append
    while place < end:
        key_size, value_size, headers_size = unpack(blob, place)
        place += size
        key = None if key_size < 0 else blob[place : (place := place + key_size)]
        value = None if value_size < 0 else blob[place : (place := place + value_size)]
        if headers_size:
            if headers_size < 0:
                raise ValueError(f"headers of {headers_size} bytes")
            pairs = orjson.loads(blob[place : (place := place + headers_size)])
            append(StoredRecord(offset, at_ms, key, value, tuple([(name, text.encode()) for name, text in pairs])))
        else:
            append(StoredRecord(offset, at_ms, key, value))
        offset += 1
    if place != end:
        raise ValueError(f"it has {end} bytes, must have {place}")
    return records
