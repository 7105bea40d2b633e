"""Servers of other people's, for tests.

Started, waited for, and ended; and a look into the log on one.
"""

import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from app.transport.kafka import KafkaLog
from tests.support.engines import wait_until
from tests.support.settings_of import using

T = TypeVar("T")


@contextmanager
def server(folder: Path, command: list[str], ready: str) -> Iterator[None]:
    """A server process, from when it is ready until the end of the block."""
    binary = shutil.which(command[0])
    assert binary, (
        f"{command[0]} is missing: install Debian's packages prometheus and prometheus-alertmanager"
    )
    with (folder / f"{command[0]}.log").open("wb") as log:
        process = subprocess.Popen([binary, *command[1:]], stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(ready), f"{command[0]} is ready")
        yield
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def with_log(broker: str, use: Callable[[KafkaLog], Awaitable[T]]) -> T:
    """What comes of using a log on the broker, `kafka://...`."""
    return using(KafkaLog([broker.removeprefix("kafka://")]), use)
