"""Copies of an embedded journal: made while it is written, and put back where there is none.

SQLite makes the copy in one read transaction. So it is the journal as of one commit, which is what
a crash at that moment would have left, and the writer does not wait. A copy has another name until
it is whole, checked and on the disk. Nothing that is there is overwritten.

A restored journal goes back in time: its next records have positions that others had before. So
`restore` raises the epoch, which its effects carry from then on (docs/EVENTS.md).
"""

import errno
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.files.file_access import make_private_folder, open_private
from app.transport.log import LogUnavailable
from app.transport.sqlite import FORMAT, MAGIC
from app.transport.sqlite_batches import BatchRow, Damaged

SPARE_BYTES = 16 * 1024**2  # that have to be free beside the copy
_MARK = "CREATE TABLE backup (at_ms INTEGER, epoch INTEGER, batches INTEGER)"
_ROWS = "SELECT topic, partition, last, count, at_ms, records, crc, first FROM batches"
_ROWS_IN_ORDER = f"{_ROWS} ORDER BY topic, partition, last"


@dataclass(frozen=True, slots=True)
class Copy:
    """What was copied."""

    path: Path
    bytes: int
    batches: int
    at_ms: int  # when the backup was made
    epoch: int


def back_up(
    folder: Path, target: Path, now_ms: int, free_bytes: Callable[[Path], int] | None = None
) -> Copy:
    """Copy the journal in a folder into one new file. Raises LogUnavailable; then there is no file."""
    source = folder / "journal.db"
    if not source.is_file():
        raise LogUnavailable(f"{folder} has no journal.db: it has to be an embedded journal's")
    if target.exists():
        raise LogUnavailable(f"{target} is there already, and stays as it is: name another file")
    with _copied(source, target, free_bytes) as copy:
        _check_format(copy, source)
        batches = _checked_batches(copy, source)
        epoch = _epoch(copy)
        with copy:
            copy.execute("DROP TABLE IF EXISTS backup")
            copy.execute(_MARK)
            copy.execute("INSERT INTO backup VALUES (?, ?, ?)", (now_ms, epoch, batches))
    return Copy(target, target.stat().st_size, batches, now_ms, epoch)


def restore(
    source: Path, folder: Path, now_ms: int, free_bytes: Callable[[Path], int] | None = None
) -> Copy:
    """Put a backup into a folder that has no journal, and raise its epoch. Raises LogUnavailable."""
    if not source.is_file():
        raise LogUnavailable(f"{source} is no file, must be one that tocsin backup made")
    make_private_folder(folder)
    target = folder / "journal.db"
    with _locked(folder):
        strange = [path for path in (target, folder / "journal.end") if path.exists()]
        if strange:
            raise LogUnavailable(
                f"{strange[0]} is there already, and stays as it is: name another folder, or move it away"
            )
        with _copied(source, target, free_bytes) as copy:
            _check_format(copy, source)
            at_ms, epoch, expected = _mark_of(copy, source)
            batches = _checked_batches(copy, source)
            if batches != expected:
                raise LogUnavailable(
                    f"{source} has {batches} batches, and had {expected}: it is not whole; use another backup"
                )
            # Seconds of the clock, so that two restores of one backup differ.
            epoch = max(epoch + 1, now_ms // 1000)
            with copy:
                copy.execute("DROP TABLE backup")
                copy.execute("CREATE TABLE IF NOT EXISTS epoch (number INTEGER)")
                copy.execute("DELETE FROM epoch")
                copy.execute("INSERT INTO epoch VALUES (?)", (epoch,))
    return Copy(target, target.stat().st_size, batches, at_ms, epoch)


@contextmanager
def _copied(
    source: Path, target: Path, free_bytes: Callable[[Path], int] | None
) -> Iterator[sqlite3.Connection]:
    """A copy that gets its name when nothing was raised. Raises LogUnavailable."""
    part = target.with_name(f"{target.name}.part")
    try:
        part.unlink(missing_ok=True)  # what an attempt before left
        _check_space(source, target.parent, free_bytes or _free_bytes)
        os.close(open_private(part, os.O_RDWR | os.O_CREAT | os.O_EXCL))
        with closing(_open(source)) as original, closing(sqlite3.connect(part)) as copy:
            original.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # all of it in one file
            yield copy
        _flush(part)
        _name(part, target)
        _flush(target.parent)
    except FileExistsError:
        raise LogUnavailable(
            f"{target} is there already, and stays as it is: name another"
        ) from None
    except sqlite3.Error as error:
        raise LogUnavailable(f"{source} cannot be copied to {target}: {error}") from None
    except OSError as error:
        text = f"{target} cannot be written: {error.strerror}"
        raise LogUnavailable(text) from None
    finally:
        part.unlink(missing_ok=True)
        part.with_name(f"{part.name}-journal").unlink(missing_ok=True)


def _name(part: Path, target: Path) -> None:
    """Give a whole copy its name. Raises FileExistsError rather than replace something."""
    try:
        os.link(part, target)
    except PermissionError:  # a file system without hard links
        if target.exists():
            raise FileExistsError(errno.EEXIST, "it is there", str(target)) from None
        part.rename(target)


def _open(source: Path) -> sqlite3.Connection:
    """The original, to be read beside whoever writes it."""
    return sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=10)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with open(folder / "lock", "w", opener=open_private) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            text = f"a Tocsin runs on the journal in {folder}: stop it, or name another folder"
            raise LogUnavailable(text) from None
        yield


def _check_space(source: Path, folder: Path, free_bytes: Callable[[Path], int]) -> None:
    wal = source.with_name(f"{source.name}-wal")
    needed = sum(path.stat().st_size for path in (source, wal) if path.exists()) + SPARE_BYTES
    free = free_bytes(folder)
    if free < needed:
        raise LogUnavailable(
            f"{folder} has {free:,} bytes free, must have {needed:,} for a copy of {source}"
        )


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _check_format(copy: sqlite3.Connection, source: Path) -> None:
    (magic,) = copy.execute("PRAGMA application_id").fetchone()
    (version,) = copy.execute("PRAGMA user_version").fetchone()
    if magic != MAGIC:
        raise LogUnavailable(
            f"{source} has SQLite's application_id {magic}, must be {MAGIC}: it is no journal of Tocsin's"
        )
    if version > FORMAT:
        raise LogUnavailable(
            f"{source} has format {version}, this Tocsin reads {FORMAT}: run the newer version"
        )


def _mark_of(copy: sqlite3.Connection, source: Path) -> tuple[int, int, int]:
    """When a backup was made, its epoch and its number of batches."""
    known = copy.execute("SELECT name FROM sqlite_master WHERE name = 'backup'").fetchone()
    row = copy.execute("SELECT at_ms, epoch, batches FROM backup").fetchone() if known else None
    if row is None:
        raise LogUnavailable(
            f"{source} has no mark of a whole backup, must be a file that tocsin backup made"
        )
    at_ms, epoch, batches = row
    return int(at_ms), int(epoch), int(batches)


def _epoch(copy: sqlite3.Connection) -> int:
    known = copy.execute("SELECT name FROM sqlite_master WHERE name = 'epoch'").fetchone()
    row = copy.execute("SELECT max(number) FROM epoch").fetchone() if known else None
    return int(row[0] or 0) if row else 0


def _checked_batches(copy: sqlite3.Connection, source: Path) -> int:
    """How many batches there are, each as it was written and without a hole between two of one partition."""
    number, place, expected = 0, ("", -1), 0
    for values in copy.execute(_ROWS_IN_ORDER):
        row = BatchRow._make(values)
        where = f"{row.topic} {row.partition}"
        try:
            row.unpack()
        except Damaged as error:
            raise LogUnavailable(f"{source} is damaged: {where}: {error}") from None
        if (row.topic, row.partition) == place and row.begins > expected:
            text = f"{where} lacks the records from {expected} to {row.begins - 1}"
            raise LogUnavailable(f"{source} is damaged: {text}")
        number, place, expected = number + 1, (row.topic, row.partition), row.last + 1
    return number


def _flush(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
