"""Commands, run in this process in front of a bridge on a log in memory."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.bridge.resources import Bridge
from app.cli.main import main
from app.settings import Settings
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import PARTITIONS
from tests.support.shipped_policy import shipped


@contextmanager
def commanded_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLog]:
    """The log of a bridge that the commands find, until the end of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def wait_for(what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, loop).result(20)

    async def make() -> tuple[FakeLog, Bridge]:
        log = FakeLog()
        return log, Bridge(Settings(port=0, partitions=PARTITIONS), shipped(), log)

    log, bridge = wait_for(make())
    wait_for(bridge.start())
    monkeypatch.setenv("TOCSIN_PORT", bridge.url.rpartition(":")[2])
    try:
        yield log
    finally:
        wait_for(bridge.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def run(*arguments: str) -> int:
    """The exit status of a command, of wrong arguments too."""
    try:
        return main(arguments)
    except SystemExit as end:
        return int(end.code or 0)
