"""`make kafka`: a real Kafka that keeps its port and its data."""

import asyncio
import subprocess
import sys
from pathlib import Path

from app.transport.kafka import KafkaLog
from app.transport.log import NewRecord
from models.topics import TopicSpec
from tests.support.engines import ROOT

COMMAND = """
import sys
from pathlib import Path
from deploy.kafka.broker import DeveloperKafka, main
folder = Path(sys.argv[1])
sys.exit(main(sys.argv[2:], DeveloperKafka(folder / "data", folder / "running.json")))
"""


def test_a_restart_keeps_port_and_data(tmp_path: Path) -> None:
    """What was written before a stop is read after the next start, at the same address; `clean` deletes it."""
    try:
        first, again = (_address(_run(tmp_path, "start")) for _ in range(2))
        asyncio.run(_write(first))
        stopped = _run(tmp_path, "stop")
        second = _address(_run(tmp_path, "start"))
        values = asyncio.run(_read(second))
    finally:
        cleaned, idle = _run(tmp_path, "clean"), _run(tmp_path, "stop")

    assert (again, second, values) == (first, first, [b"kept"])
    assert (stopped, cleaned, idle) == (
        "Kafka has stopped\n",
        "Kafka's data is deleted\n",
        "Kafka does not run\n",
    )
    assert list(tmp_path.iterdir()) == []


def _run(folder: Path, command: str) -> str:
    """What a command prints, as a process of its own."""
    arguments = [sys.executable, "-c", COMMAND, str(folder), command]
    return subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def _address(printed: str) -> str:
    return printed.splitlines()[0].partition("kafka://")[2]


async def _write(server: str) -> None:
    log = KafkaLog([server])
    await log.start()
    try:
        await log.ensure_topics([TopicSpec("t", 1, {})])
        await log.append("t", 0, [NewRecord(b"k", b"kept")])
    finally:
        await log.stop()


async def _read(server: str) -> list[bytes | None]:
    log = KafkaLog([server])
    await log.start()
    try:
        return [record.value for record in await log.read("t", 0, 0)]
    finally:
        await log.stop()
