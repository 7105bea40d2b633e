"""Worker and bridge on a real Kafka."""

import asyncio
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.core.state.changelog import META
from app.demo import recorded
from app.history.checkpoints import load_state
from app.settings import Settings
from app.transport.log import Log, NewRecord, TopicMismatch
from models.topics import Topics
from tests.integration.servers import with_log
from tests.integration.worker_proof import PARTITIONS, proven, settings_on, wait_for_checkpoint
from tests.support.engines import Tocsin, assert_exactly_once, wait_until
from tests.support.large_alerts import largest


def test_a_killed_worker_loses_no_alert_and_repeats_no_effect(broker: str, shared: Path) -> None:
    """kill -9 of the worker in the middle of the AIT-ADS storm, twice.

    All is as if nothing had happened.
    """
    problems: list[str] = []
    steps = list(
        recorded.read_steps(shared / "ait-ads" / "sample_russellmitchell_storm.csv", problems)
    )
    settings = settings_on(broker, "storm")
    bridge = Tocsin("bridge", **settings)
    worker = Tocsin("worker", **settings)
    sent = 0
    for number, (_, alerts) in enumerate(steps):
        if number in (len(steps) // 3, len(steps) * 2 // 3):
            worker.kill()
            worker = Tocsin("worker", **settings)
        status, _ = bridge.post("/api/v2/alerts", alerts)
        assert status == 200
        sent += len(alerts)
    wait_for_checkpoint(broker, "storm")
    worker.stop()
    bridge.stop()

    counts = proven(broker, "storm")

    assert problems == []
    assert (sent, counts["alerts"], counts["fired"] + counts["repeats"]) == (11257, 11257, 11257)
    assert counts["incidents"] == 10


def test_raw_alerts_become_journal_records_once(broker: str, shared: Path) -> None:
    """What a producer writes to the raw topic arrives, malformed records as dead letters, across a kill -9."""
    settings = settings_on(broker, "raw")
    problems: list[str] = []
    steps = recorded.read_steps(
        shared / "ait-ads" / "sample_russellmitchell_first2000.csv", problems
    )
    values = [orjson.dumps(alert) for _, alerts in steps for alert in alerts]
    values[700:700] = [b"\xff\xfe", b"[]", b'{"labels": {}}', b"null"]
    worker = Tocsin("worker", **settings)

    async def produce(log: Log) -> None:
        for start in range(0, len(values), 100):
            await log.append(
                Topics("raw").raw,
                start // 100 % PARTITIONS,
                [NewRecord(None, one) for one in values[start : start + 100]],
            )

    with_log(broker, produce)
    worker.kill()
    worker = Tocsin("worker", **settings)

    def arrived() -> bool:
        async def count(log: Log) -> int:
            states = [
                await load_state(log, Topics("raw").state, partition)
                for partition in range(PARTITIONS)
            ]
            counts = [orjson.loads(state[META])["counts"] for state in states if META in state]
            return sum(one.get("alerts", 0) + one.get("deadletters", 0) for one in counts)

        return with_log(broker, count) >= 2003

    wait_until(arrived, "2,000 alerts and 3 dead letters")
    wait_for_checkpoint(broker, "raw")
    worker.stop()
    counts = proven(broker, "raw")

    assert (counts["alerts"], counts["deadletters"]) == (2000, 3)


def test_two_workers_share_the_partitions(broker: str) -> None:
    """A second worker takes over partitions, and gives them back, without a loss or a repeat."""
    settings = settings_on(broker, "shared")
    bridge = Tocsin("bridge", **settings)
    first = Tocsin("worker", **settings)
    second = None
    for number in range(120):
        alerts = [
            {"labels": {"alertname": f"A{number % 7}", "component": f"c{one}"}} for one in range(20)
        ]
        assert bridge.post("/api/v2/alerts", alerts)[0] == 200
        if number == 40:
            second = Tocsin("worker", **settings)
    assert second is not None
    first.stop()
    for number in range(60):
        alerts = [
            {"labels": {"alertname": f"A{number % 9}", "component": f"c{one}"}} for one in range(20)
        ]
        assert bridge.post("/api/v2/alerts", alerts)[0] == 200
    wait_for_checkpoint(broker, "shared")
    second.stop()
    bridge.stop()

    counts = proven(broker, "shared")

    assert (counts["alerts"], counts["incidents"]) == (3600, 20)


def test_a_plain_consumer_reads_the_incidents(broker: str) -> None:
    """Anybody's Kafka client can follow `tocsin.incidents`."""
    settings = settings_on(broker, "plain")
    bridge, worker = Tocsin("bridge", **settings), Tocsin("worker", **settings)
    bridge.post(
        "/api/v2/alerts",
        [
            {
                "labels": {
                    "alertname": "OllamaServiceDown",
                    "severity": "critical",
                    "component": "ollama",
                }
            }
        ],
    )

    async def consume() -> dict[str, str]:
        servers = broker.removeprefix("kafka://")
        consumer = AIOKafkaConsumer(
            "plain.incidents", bootstrap_servers=servers, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            record = await asyncio.wait_for(consumer.getone(), 30)
            document: dict[str, str] = orjson.loads(record.value)
            return document
        finally:
            await consumer.stop()

    incident = asyncio.run(consume())
    worker.stop()
    bridge.stop()

    assert (incident["severity"], incident["component"], incident["state"]) == (
        "P0",
        "ollama",
        "open",
    )


def test_topics_with_wrong_settings_are_refused(broker: str) -> None:
    """A journal without LogAppendTime would let a producer's clock decide, so the start says what to change."""

    async def make(_: Log) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.removeprefix("kafka://"))
        await admin.start()
        await admin.create_topics([NewTopic("wrong.journal", 3, 1)])
        await admin.close()

    with_log(broker, make)

    async def ensure(log: Log) -> None:
        await log.ensure_topics(Topics("wrong").specs(PARTITIONS))

    with pytest.raises(TopicMismatch) as refused:
        with_log(broker, ensure)

    told = str(refused.value)
    assert "topic wrong.journal has 3 partitions, TOCSIN_PARTITIONS asks for 4" in told
    assert (
        "topic wrong.journal has message.timestamp.type=CreateTime, must be LogAppendTime" in told
    )


def test_what_changes_at_once_may_be_larger_than_a_batch(broker: str) -> None:
    """Thousands of new incidents, and labels and annotations as large as they may be, arrive together on a stock broker."""
    settings = settings_on(broker, "large") | {"TOCSIN_PARTITIONS": "1"}
    bridge = Tocsin("bridge", **settings)
    small = [{"labels": {"alertname": "Down", "component": f"s{number}"}} for number in range(3000)]
    assert bridge.post("/api/v2/alerts", small)[0] == 200
    for number in range(0, 24, 4):  # as many as a body has room for
        assert (
            bridge.post("/api/v2/alerts", [largest(number + more) for more in range(4)])[0] == 200
        )
    bridge.stop()
    worker = Tocsin("worker", **settings)

    def checkpointed() -> bool:
        done = with_log(broker, lambda log: load_state(log, Topics("large").state, 0))
        return META in done and orjson.loads(done[META])["offset"] >= 3024

    wait_until(checkpointed, "a checkpoint of 3,024 alerts")
    worker.stop()
    config = Settings(broker=broker, prefix="large", partitions=1)

    counts = with_log(broker, lambda log: assert_exactly_once(log, config))
    assert (counts["fired"], counts["incidents"]) == (3024, 3024)
