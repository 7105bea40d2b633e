"""Kafka's own cleaner goes over the changelog while Tocsin has it.

Nothing that is asked afterwards has another answer.
"""

import asyncio
import json
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from app.cli.main import main
from app.core.state.changelog import META
from app.history import nearest_state
from app.history.checkpoints import last_offset
from app.settings import Settings
from app.transport.log import Log
from models.topics import MAX_BATCH_BYTES, Topics
from tests.integration.servers import with_log
from tests.support.engines import Tocsin, assert_exactly_once, read_all, wait_until

PREFIX = "cleaned"
TOPICS = Topics(PREFIX)
STEPS, ALERTS, REPEATS = 8, 10, 30
LATER_MS = 600_000


def _configure(broker: str, kind: ConfigResourceType, name: str, **configs: float | str) -> None:
    async def alter() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.removeprefix("kafka://"))
        await admin.start()
        try:
            texts = {key.replace("_", "."): str(value) for key, value in configs.items()}
            await admin.alter_configs([ConfigResource(kind, name, configs=texts)])
        finally:
            await admin.close()

    asyncio.run(alter())


def _clean(broker: str, *, after_ms: int) -> None:
    """Let the cleaner take every segment of the changelog that is so old, or the next minutes none."""
    _configure(
        broker,
        ConfigResourceType.TOPIC,
        TOPICS.state,
        cleanup_policy="compact",
        max_message_bytes=MAX_BATCH_BYTES,
        segment_ms=500,
        min_cleanable_dirty_ratio=0.01,
        min_compaction_lag_ms=after_ms,
    )


async def _checkpoints(log: Log) -> int:
    return sum(record.key == META for record in await read_all(log, TOPICS.state, 0))


async def _applied(log: Log) -> bool:
    return await last_offset(log, TOPICS.state, 0) == await log.end_offset(TOPICS.journal, 0) - 1


def _storm(bridge: Tocsin, step: int) -> None:
    """Many repeats, and one more alert.

    A checkpoint has new keys and newer values of known ones.
    """
    alerts = [
        {"labels": {"alertname": f"A{number}", "component": f"c{number % 7}", "severity": "high"}}
        for number in range(ALERTS + step)
    ]
    assert bridge.post("/api/v2/alerts", alerts * REPEATS)[0] == 200


def _said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    return capsys.readouterr().out


def test_the_cleaner_changes_no_answer(
    broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Explain and replay say what they said before, and a worker goes on with the right state."""
    settings = {
        "TOCSIN_BROKER": broker,
        "TOCSIN_PREFIX": PREFIX,
        "TOCSIN_PARTITIONS": "1",
        "TOCSIN_CHECKPOINT_MS": "0",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        nearest_state, "NEAR_RECORDS", 0
    )  # so that the changelog is read, near as the beginning is
    _configure(broker, ConfigResourceType.BROKER, "1", log_cleaner_backoff_ms=100)
    bridge, worker = Tocsin("bridge", **settings), Tocsin("worker", **settings)
    _clean(broker, after_ms=LATER_MS)
    for step in range(STEPS):
        _storm(bridge, step)
        wait_until(lambda: with_log(broker, _applied), "a checkpoint of all that was sent")
    for one in (worker, bridge):
        one.stop()
    end = with_log(broker, lambda log: log.end_offset(TOPICS.journal, 0))
    places = [end * part // 10 for part in (2, 5, 8, 9)]

    def ask(when: str) -> list[str]:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / when))
        words = ("explain", "--journal", broker, "--record")
        return [_said(capsys, *words, f"0:{place}") for place in places]

    before, expected = with_log(broker, _checkpoints), ask("before")
    _clean(broker, after_ms=0)
    wait_until(
        lambda: with_log(broker, _checkpoints) < before / 2,
        "the cleaner has been over the changelog",
    )
    _clean(broker, after_ms=LATER_MS)
    found = ask("after")
    bridge, worker = Tocsin("bridge", **settings), Tocsin("worker", **settings)
    _storm(bridge, STEPS)
    wait_until(lambda: with_log(broker, _applied), "a checkpoint of what came after")
    for one in (worker, bridge):
        one.stop()
    verified = [
        json.loads(_said(capsys, "replay", "--verify", "--from", str(place)).splitlines()[-1])
        for place in (*places, end + REPEATS)
    ]
    config = Settings(broker=broker, prefix=PREFIX, partitions=1)
    counts = with_log(broker, lambda log: assert_exactly_once(log, config))

    assert before >= STEPS
    assert found == expected
    assert [one["identical"] for one in verified] == [True] * (len(places) + 1)
    started = verified[-1]["partitions"]["0"]["started"]
    assert started.startswith("checkpoint at offset ")
    assert int(started.split()[-1]) >= end - 1
    assert counts["alerts"] == sum((ALERTS + step) * REPEATS for step in range(STEPS + 1))
