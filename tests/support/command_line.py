"""Commands, run in this process in front of a bridge on a log in memory."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.bridge.commands.answers import ANSWER_SECONDS
from app.bridge.resources import Bridge
from app.cli.main import main
from app.settings import Settings
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import PARTITIONS
from tests.support.shipped_policy import shipped


@contextmanager
def commanded_log(
    monkeypatch: pytest.MonkeyPatch, make_log: Callable[[], FakeLog] = FakeLog
) -> Iterator[FakeLog]:
    """The log of a bridge that the commands find, until the end of the block.

    Without a worker behind the log no command is waited for.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def wait_for(what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, loop).result(20)

    async def make() -> tuple[FakeLog, Bridge]:
        log, settings = make_log(), Settings(port=0, partitions=PARTITIONS)
        seconds = 0.0 if type(log) is FakeLog else ANSWER_SECONDS
        return log, Bridge(settings, shipped(), log, answer_seconds=seconds)

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
