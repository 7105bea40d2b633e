"""A log in one SQLite file: durable, ordered, for one machine.

An append is one row, its records packed into one blob: a batch is written whole or not at all. A writer thread takes
everything that waits and commits it in one transaction (group commit), flushed to the disk before anybody is answered,
so a crash of the process or of the machine loses nothing that was acknowledged.
"""

import asyncio
import fcntl
import queue
import sqlite3
import struct
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from app.clock import Clock
from app.transport.log import Headers, LogUnavailable, NewRecord, StoredRecord, TopicMismatch
from models.topics import TopicSpec

FORMAT = 1
COMPACT_AFTER = 2000  # batches of a compacted partition before the older values of its keys are dropped
_LENGTHS = struct.Struct(">iii")  # of key, value and headers; -1 is None

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    topic TEXT, partition INTEGER, last INTEGER, count INTEGER, at_ms INTEGER, records BLOB,
    PRIMARY KEY (topic, partition, last)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS topics (name TEXT PRIMARY KEY, partitions INTEGER, config TEXT);
CREATE TABLE IF NOT EXISTS commits (topic TEXT, partition INTEGER, offset INTEGER, PRIMARY KEY (topic, partition));
"""


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

    async def start(self) -> None:
        """Open the file, and take the folder for ourselves unless it is only to be read."""
        try:
            if self._read_only:
                self._reader = self._connect(f"file:{self._file}?mode=ro")
                return
            self.directory.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self._reader = self._connect(f"file:{self._file}?mode=rwc")
            self._prepare(self._reader)
        except (OSError, sqlite3.Error) as error:
            raise LogUnavailable(f"the journal in {self.directory} cannot be opened: {error}") from None
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

    async def append(self, topic: str, partition: int, records: Sequence[NewRecord]) -> int:
        """Append as one batch; the first record's offset once it is on the disk."""
        if self._failed is not None or self._thread is None:
            raise LogUnavailable(f"the journal in {self.directory} cannot be written: {self._failed or 'it is closed'}")
        waiting = _Append(topic, partition, records, Future())
        self._queue.put(waiting)
        return await asyncio.wrap_future(waiting.done)

    async def claim(self, topic: str, partition: int) -> None:
        """Nothing: the folder's lock keeps everybody else away."""

    async def read(self, topic: str, partition: int, offset: int, max_records: int = 5000) -> list[StoredRecord]:
        """Records at `offset` and after."""
        rows = self._open().execute(
            "SELECT last, count, at_ms, records FROM batches WHERE topic = ? AND partition = ? AND last >= ? ORDER BY last",
            (topic, partition, offset),
        )
        found: list[StoredRecord] = []
        for last, count, at_ms, blob in rows:
            first = last - count + 1
            unpacked = _unpack(blob, first, at_ms)
            found += unpacked[max(offset - first, 0) :]
            if len(found) >= max_records:
                break
        return found[:max_records]

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
        """Keep the offset that the consumer group goes on from."""
        with self._open() as connection:
            connection.execute("INSERT OR REPLACE INTO commits VALUES (?, ?, ?)", (topic, partition, offset))

    @property
    def _file(self) -> Path:
        return self.directory / "journal.db"

    def _open(self) -> sqlite3.Connection:
        if self._reader is None:
            raise LogUnavailable(f"the journal in {self.directory} is closed")
        return self._reader

    def _connect(self, uri: str) -> sqlite3.Connection:
        connection = sqlite3.connect(uri, uri=True, timeout=10)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA mmap_size = 268435456")
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
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise LogUnavailable(
                f"{self._file} has format {version}, this Tocsin reads {FORMAT}: run the newer version"
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_SCHEMA)
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        for topic, partition, last, at_ms in connection.execute(
            "SELECT topic, partition, max(last), at_ms FROM batches GROUP BY topic, partition"
        ):
            self._ends[topic, partition] = (last + 1, at_ms)

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
                    self._compact(connection, one.topic, one.partition)
                    since[place] = 0
        connection.close()

    def _write(self, connection: sqlite3.Connection, appends: list[_Append]) -> None:
        ends, rows, first_offsets = dict(self._ends), [], []
        for one in appends:
            end, newest_ms = ends.get((one.topic, one.partition), (0, 0))
            at_ms = max(self.clock.now_ms(), newest_ms)
            last = end + len(one.records) - 1
            rows.append((one.topic, one.partition, last, len(one.records), at_ms, _pack(one.records)))
            ends[one.topic, one.partition] = (last + 1, at_ms)
            first_offsets.append(end)
        try:
            with connection:
                connection.executemany("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            self._failed = error  # the disk is full, or gone: whether it was written is not known, so no more is
            for one in appends:
                one.done.set_exception(LogUnavailable(f"the journal in {self.directory} cannot be written: {error}"))
            return
        self._ends = ends
        for one, offset in zip(appends, first_offsets, strict=True):
            one.done.set_result(offset)
        self._loop.call_soon_threadsafe(self.appended.set)

    def _compact(self, connection: sqlite3.Connection, topic: str, partition: int) -> None:
        """Put the newest value of each key of a partition into one batch that ends where the partition ends."""
        newest: dict[bytes | None, NewRecord] = {}
        rows = connection.execute(
            "SELECT last, at_ms, records FROM batches WHERE topic = ? AND partition = ? ORDER BY last",
            (topic, partition),
        )
        last = at_ms = 0
        for one_last, one_ms, blob in rows:
            last, at_ms = one_last, one_ms
            for record in _unpack(blob, 0, 0):
                newest.pop(record.key, None)  # so that the order is that of the newest values
                if record.value is not None:
                    newest[record.key] = NewRecord(record.key, record.value, record.headers)
        if not newest:
            return
        kept = (topic, partition, last, len(newest), at_ms, _pack(list(newest.values())))
        with connection:
            connection.execute("DELETE FROM batches WHERE topic = ? AND partition = ?", (topic, partition))
            connection.execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)", kept)


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


def _unpack(blob: bytes, first: int, at_ms: int) -> list[StoredRecord]:
    records, place, offset = [], 0, first
    unpack, size = _LENGTHS.unpack_from, _LENGTHS.size
    while place < len(blob):
        key_size, value_size, headers_size = unpack(blob, place)
        place += size
        key: Any = None if key_size < 0 else blob[place : place + key_size]
        place += max(key_size, 0)
        value: Any = None if value_size < 0 else blob[place : place + value_size]
        place += max(value_size, 0)
        headers: Headers = ()
        if headers_size:
            pairs = orjson.loads(blob[place : place + headers_size])
            headers = tuple((name, text.encode()) for name, text in pairs)
            place += headers_size
        records.append(StoredRecord(offset, at_ms, key, value, headers))
        offset += 1
    return records
