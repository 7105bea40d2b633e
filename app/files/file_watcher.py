"""What is made of files, and made again when they change.

A broken file leaves what was made of the good one in force.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from app import metrics
from app.files.file_access import open_plain
from app.settings import BadSettings

FILE_BYTES_MAX = 1024 * 1024  # a thousand times what these files have
SECONDS = 2.0  # between two looks at the files

logger = logging.getLogger("tocsin.bridge")

Made = TypeVar("Made")


class WatchedFiles(Generic[Made]):
    """Keeps `value` as the files say.

    What they contain is compared, since times and sizes of files can stay as they were.
    """

    def __init__(self, subject: str, files: Sequence[str], make: Callable[[], Made]) -> None:
        """Read the files. Raises BadSettings, as `make` does."""
        self._what, self._files, self._make = subject, [file for file in files if file], make
        self._seen = self._read_contents()
        self.value = make()
        self._good = metrics.FILES_GOOD.labels(subject)
        self._good.set(1)

    def refresh(self) -> None:
        """Read the files again if they have changed. One caller at a time."""
        contents = self._read_contents()
        if contents == self._seen:
            return
        self._seen = contents
        try:
            self.value = self._make()
        except BadSettings as error:
            self._good.set(0)
            logger.error(  # noqa: TRY400  its text says it all
                "the %s are NOT renewed, those of before stay in force: %s", self._what, error
            )
            return
        self._good.set(1)
        logger.info("the %s are renewed", self._what)

    def _read_contents(self) -> list[bytes | str]:
        return [content_of(file) for file in self._files]


def content_of(file: str) -> bytes | str:
    """What a file contains, or why it cannot be read."""
    try:
        with open_plain(file) as opened:
            return opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        return str(error)


def read_text(name: str, file: str) -> str:
    """The text of a file that a setting names. Raises BadSettings."""
    content = content_of(file)
    where = f"{name} is {file!r}, "
    if isinstance(content, str):
        raise BadSettings(
            f"{where}which cannot be read: {content.partition('] ')[2].partition(':')[0] or content}"
        )
    if len(content) > FILE_BYTES_MAX:
        raise BadSettings(f"{where}which is larger than {FILE_BYTES_MAX} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise BadSettings(f"{where}must be UTF-8") from None


def warn_of_readers(name: str, file: str) -> None:
    """Log a warning when others than its owner and group can read or write a file of secrets."""
    mode = Path(file).stat().st_mode
    if mode & 0o007:
        logger.warning(
            "%s is %r, which every user of this machine can read or write (mode %o): chmod o= it",
            name,
            file,
            mode & 0o777,
        )
