"""The example of a consumer reads an embedded journal (`tests/integration` has Kafka)."""

import asyncio
from pathlib import Path

from app.transport.sqlite import SqliteLog
from tests.support.consumer import EXAMPLE, FIRST, consumed, write_messages


def test_the_example_prints_each_message_once(tmp_path: Path) -> None:
    """Who is told, of what and where, why, and the links; what was written twice is printed once."""
    messages = asyncio.run(_write(tmp_path))

    printed = consumed(str(tmp_path))

    assert FIRST in printed
    assert printed.count("[P0] PodRestarts") == messages
    assert printed.count("RING") == 1


def test_the_example_is_short() -> None:
    """Forty lines are enough for a consumer."""
    assert len(EXAMPLE.read_text().splitlines()) <= 40


async def _write(folder: Path) -> int:
    log = SqliteLog(folder)
    await log.start()
    try:
        return await write_messages(log)
    finally:
        await log.stop()
