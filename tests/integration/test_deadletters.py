"""Dead letters on a real Kafka.

Listed, shown whole, and sent again through a bridge beside the worker.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from app.cli.main import main
from app.core.state.changelog import META
from app.history.checkpoints import load_state
from app.settings import Settings
from app.transport.kafka import KafkaLog
from app.transport.log import NewRecord
from models.topics import Topics
from tests.support.engines import Tocsin, assert_exactly_once, wait_until
from tests.support.refused_alerts import alert, bounded

PREFIX = "letters"
LONG = (
    b'[{"labels": {"alertname": "Long"}}, ' + b"x" * 700_000 + b"]"
)  # about as much as a broker takes


class Letters:
    """The commands on a Kafka."""

    def __init__(
        self, broker: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[bytes]
    ) -> None:
        self.config = Settings(broker=broker, prefix=PREFIX, partitions=1)
        self.settings = {"TOCSIN_BROKER": broker, "TOCSIN_PREFIX": PREFIX, "TOCSIN_PARTITIONS": "1"}
        self.capsys, self.monkeypatch = capsys, monkeypatch
        for name, value in self.settings.items():
            monkeypatch.setenv(name, value)

    def start(self, policy: str) -> tuple[Tocsin, Tocsin]:
        """A bridge, which the commands find, and a worker."""
        bridge, worker = (
            Tocsin(one, TOCSIN_POLICY=policy, **self.settings) for one in ("bridge", "worker")
        )
        self.monkeypatch.setenv("TOCSIN_PORT", bridge.url.rpartition(":")[2])
        return bridge, worker

    def run(self, *arguments: str) -> tuple[int, bytes]:
        """Status and output."""
        self.capsys.readouterr()
        return main(["deadletters", *arguments]), self.capsys.readouterr().out

    def all(self) -> list[dict[str, Any]]:
        """What is left."""
        return [json.loads(line) for line in self.run("list", "--json")[1].splitlines()]

    async def with_log(self, raw: bytes = b"", *, count: bool = False) -> dict[str, int]:
        """Write a raw record, or give the last checkpoint's counts, or prove that all is there once and give the counts."""
        log = KafkaLog([self.config.broker.removeprefix("kafka://")])
        await log.start()
        try:
            if raw:
                await log.append(Topics(PREFIX).raw, 0, [NewRecord(None, raw)])
                return {}
            if count:
                state = await load_state(log, Topics(PREFIX).state, 0)
                return dict(orjson.loads(state[META])["counts"]) if META in state else {}
            return await assert_exactly_once(log, self.config)
        finally:
            await log.stop()


def test_letters_on_kafka(
    broker: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    """What was refused for a bound is taken when it is lifted.

    Then the state is lost, and made anew without a repeat.
    """
    letters = Letters(broker, monkeypatch, capsysbinary)
    bridge, worker = letters.start(bounded(tmp_path, 1))
    bridge.post("/api/v2/alerts", [alert("A"), alert("B")])
    asyncio.run(letters.with_log(raw=LONG))
    wait_until(lambda: len(letters.all()) == 2, "two letters")
    known = {one["reason"]: one["id"] for one in letters.all()}
    written = letters.run("show", known["malformed"], "--raw")
    for one in (bridge, worker):
        one.stop()
    bridge, worker = letters.start(bounded(tmp_path, 10))
    taken = letters.run("resubmit", known["bound_reached"])[0]
    refused = letters.run("resubmit", known["malformed"])[0]
    left = [one["reason"] for one in letters.all()]
    worker.stop()
    asyncio.run(_empty(broker, TopicPartition(Topics(PREFIX).state, 0)))
    worker = Tocsin("worker", TOCSIN_POLICY=bounded(tmp_path, 10), **letters.settings)
    bridge.post("/api/v2/alerts", [alert("C")])
    wait_until(
        lambda: asyncio.run(letters.with_log(count=True)).get("alerts") == 3,
        "the third alert is applied",
    )
    for one in (bridge, worker):
        one.stop()
    counts = asyncio.run(letters.with_log())

    assert (written, taken, refused, left) == ((0, LONG), 0, 1, ["malformed"])
    # The fourth incident is Tocsin's own: a bound was reached.
    assert (counts["incidents"], counts["deadletters"], counts["resubmitted"]) == (4, 2, 1)


async def _empty(broker: str, place: TopicPartition) -> None:
    """Empty a partition of a compacted topic, as docs/UPGRADES.md says."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.removeprefix("kafka://"))
    await admin.start()
    try:
        for policy in ("compact,delete", "compact"):
            config = {"cleanup.policy": policy, "max.message.bytes": str(16 * 1024 * 1024)}
            await admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, place.topic, configs=config)]
            )
            if policy == "compact,delete":
                await admin.delete_records({place: RecordsToDelete(before_offset=-1)})
    finally:
        await admin.close()
