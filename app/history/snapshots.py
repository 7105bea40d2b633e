"""Snapshots of a partition's state, kept on this machine so that a second question need not replay the journal again.

They are made by the way, when a replay passes by, in the user's cache folder: nothing is written
beside the journal. One is used only with the code that made it, and only if the journal has the
very record at whose offset it was made.
"""

import hashlib
import os
import zlib
from pathlib import Path

import orjson

from app.files.file_access import make_private_folder, open_private
from app.transport.log import StoredRecord

Items = dict[bytes, bytes]
FILES_MAX = 400  # of a journal
BYTES_MAX = 512 * 1024 * 1024  # of all journals
_ROOT = Path(__file__).parents[2]
_DECIDING = ("app/core", "models")


class SnapshotIndex:
    """The snapshots of one journal.

    `whose` tells one journal from another: the place where it lives.
    """

    def __init__(self, owner: str, folder: Path | None = None) -> None:
        self._all = folder or _cache_folder()
        self._folder = (
            self._all / hashlib.sha256(f"{owner} {_code_fingerprint()}".encode()).hexdigest()[:24]
        )

    def offsets(self, partition: int, before: int) -> list[int]:
        """At which offsets below one there are snapshots, the nearest first."""
        try:
            names = [path.name for path in self._folder.glob(f"{partition}-*.snapshot")]
        except OSError:
            return []
        offsets = [int(name.removesuffix(".snapshot").split("-")[1]) for name in names]
        return sorted((offset for offset in offsets if offset < before), reverse=True)

    def load(self, partition: int, record: StoredRecord) -> Items | None:
        """The changelog's items after this record, if the snapshot was made of this very journal."""
        try:
            kept = orjson.loads(zlib.decompress(self._file(partition, record.offset).read_bytes()))
            if kept["record"] == _record_identity(record):
                return {key.encode(): value.encode() for key, value in kept["items"]}
        except (OSError, ValueError, KeyError, zlib.error):
            pass  # as if there were none: it is replayed
        return None

    def save(self, partition: int, record: StoredRecord, items: Items) -> None:
        """Keep a snapshot, if the disk lets us."""
        kept = {
            "record": _record_identity(record),
            "items": [(key.decode(), value.decode()) for key, value in items.items()],
        }
        file = self._file(partition, record.offset)
        unfinished = file.with_name(f"{file.name}.{os.getpid()}")
        try:
            make_private_folder(self._folder)
            with open(unfinished, "wb", opener=open_private) as opened:
                opened.write(zlib.compress(orjson.dumps(kept), 1))
            unfinished.replace(file)
            self._prune_oldest()
        except OSError:
            unfinished.unlink(missing_ok=True)

    def _file(self, partition: int, offset: int) -> Path:
        return self._folder / f"{partition}-{offset}.snapshot"

    def _prune_oldest(self) -> None:
        """Forget the oldest where there are too many."""
        files = sorted(
            self._all.glob("*/*.snapshot"), key=lambda path: path.stat().st_mtime, reverse=True
        )
        size = number = 0
        for path in files:
            size, number = size + path.stat().st_size, number + (path.parent == self._folder)
            if size > BYTES_MAX or (number > FILES_MAX and path.parent == self._folder):
                path.unlink(missing_ok=True)


def _record_identity(record: StoredRecord) -> list[object]:
    return [record.timestamp, hashlib.sha256(record.value or b"").hexdigest()]


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tocsin" / "explain"


def code_files() -> list[Path]:
    """The modules that decide: another version of one may have another state at the same place."""
    return sorted(path for folder in _DECIDING for path in (_ROOT / folder).rglob("*.py"))


def _code_fingerprint() -> str:
    """Tells one version of the modules that decide from another."""
    digest = hashlib.sha256()
    for path in code_files():
        digest.update(path.read_bytes())
    return digest.hexdigest()
