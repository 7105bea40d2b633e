"""`tocsin record --from-alertmanager-events` from a topic of a real Kafka."""

import asyncio
import json
from pathlib import Path

import pytest

from app.cli.main import main
from app.transport.kafka import KafkaLog
from app.transport.log import NewRecord
from models.topics import TopicSpec
from tests.unit.replay.test_alertmanager_events import created, resolved

TOPIC = "alertmanager-events"
OTHER = {"alertname": "SlowDisk", "component": "db", "severity": "warning"}


def written(broker: str, values: list[list[bytes]]) -> None:
    """Make the topic, with the values of each partition, as a producer without keys does."""

    async def write() -> None:
        log = KafkaLog([broker.removeprefix("kafka://")])
        await log.start()
        try:
            await log.ensure_topics([TopicSpec(TOPIC, len(values), {})])
            for partition, lines in enumerate(values):
                await log.append(TOPIC, partition, [NewRecord(None, line) for line in lines])
        finally:
            await log.stop()

    asyncio.run(write())


def test_events_of_a_topic_are_recorded(
    broker: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All partitions, in the order of time; what is no event is counted."""
    written(broker, [[created(1), b"\x08\x01"], [resolved(40, 39), created(5, OTHER)]])
    recording = tmp_path / "last-month.tocsin"
    asked = ["record", str(recording), "--json", "--from-alertmanager-events"]

    status = main([*asked, f"{broker}/{TOPIC}"])

    run = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (status, run["alerts"], run["still_firing"], run["refused"]) == (0, 2, 1, 1)
    assert main(["replay", "--journal", str(recording), "--json"]) == 0


@pytest.mark.parametrize("topic", ["no-such-topic", ""])
def test_a_topic_that_is_not_there(
    broker: str, topic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says so, and nothing is written."""
    recording = tmp_path / "x.tocsin"

    status = main(["record", str(recording), "--from-alertmanager-events", f"{broker}/{topic}"])

    assert (status, recording.exists()) == (1, False)
    assert len(capsys.readouterr().err.splitlines()) == 1
