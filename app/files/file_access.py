"""How files are opened: settings without waiting for anybody, and what only we may read as such.

To open a FIFO waits until somebody writes into it, so that a start would hang without a word.
"""

import errno
import os
import stat
from pathlib import Path
from typing import IO

FILE_MODE, FOLDER_MODE = 0o600, 0o700
# What the process was given open: a pipe there, such as a shell's <(...), has its writer already.
_INHERITED = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
_KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}  # that wait for another process


def open_plain(path: str | Path) -> IO[bytes]:
    """A file to read. Raises OSError, also for a FIFO; nobody is waited for."""
    if str(path).startswith(_INHERITED):
        return Path(path).open("rb")
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_kind(os.fstat(fd).st_mode, path)
        return os.fdopen(fd, "rb")
    except OSError:
        os.close(fd)
        raise


def check_plain(path: str | Path) -> None:
    """Raise OSError for a FIFO, and for what is not there."""
    _check_kind(Path(path).stat().st_mode, path)


def open_private(path: str | Path, flags: int) -> int:
    """The opener of a file that only its owner may read, if it is made by this."""
    return os.open(path, flags, FILE_MODE)


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner may look into. One that is there stays as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=FOLDER_MODE, exist_ok=True)


def _check_kind(mode: int, path: str | Path) -> None:
    kind = _KINDS.get(stat.S_IFMT(mode))
    if kind is not None:
        raise OSError(errno.EINVAL, f"it is {kind}, must be a plain file", str(path))
