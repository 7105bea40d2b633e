"""A live run on a real Kafka, with kills in it, is verified, recorded, replayed elsewhere, and written to scratch topics."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import main
from app.demo import recorded
from app.history.checkpoints import last_offset
from app.transport.kafka import KafkaLog
from models.effect import Stream
from tests.integration.servers import with_log
from tests.support.engines import Tocsin, read_all, wait_until

PARTITIONS = 4


@pytest.fixture(scope="module")
def live(broker: str, shared: Path) -> dict[str, str]:
    """The settings of a Tocsin that the AIT-ADS storm has gone through, its worker killed twice."""
    settings = {
        "TOCSIN_BROKER": broker,
        "TOCSIN_PREFIX": "night",
        "TOCSIN_PARTITIONS": str(PARTITIONS),
    }
    steps = list(recorded.read_steps(shared / "ait-ads" / "sample_russellmitchell_storm.csv", []))
    bridge, worker = Tocsin("bridge", **settings), Tocsin("worker", **settings)
    for number, (_, alerts) in enumerate(steps):
        if number in (len(steps) // 3, len(steps) * 2 // 3):
            worker.kill()
            worker = Tocsin("worker", **settings)
        assert bridge.post("/api/v2/alerts", alerts)[0] == 200
    ends = with_log(broker, _ends)
    wait_until(
        lambda: with_log(broker, lambda log: _unsettled(log, ends)) == 0,
        f"checkpoints up to {ends}",
    )
    worker.stop()
    bridge.stop()
    return settings


async def _ends(log: KafkaLog) -> list[int]:
    return [await log.end_offset("night.journal", partition) for partition in range(PARTITIONS)]


async def _unsettled(log: KafkaLog, ends: list[int]) -> int:
    """How many records are behind the last checkpoints."""
    applied = [await last_offset(log, "night.state", partition) for partition in range(PARTITIONS)]
    return sum(max(end - 1 - offset, 0) for end, offset in zip(ends, applied, strict=True))


@pytest.fixture(autouse=True)
def _environment(live: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in live.items():
        monkeypatch.setenv(name, value)


def _run(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*map(str, words), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_the_live_run_is_identical(capsys: pytest.CaptureFixture[str]) -> None:
    """Every effect and message on Kafka, with one process and with three."""
    one = _run(capsys, "replay", "--verify")
    three = _run(capsys, "replay", "--verify", "--workers", 3, "--batch", 7)

    assert (one["identical"], three["identical"]) == (True, True)
    assert one["records"] > 10_000  # 11,257 alerts; some of one request are one record
    assert one["compared"] == three["compared"]
    assert one["compared"]["identical"] == one["effects"] + one["messages"] > 50


def test_a_recording_of_it_says_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that needs no broker, whole or from the middle on."""
    path, part = tmp_path / "night.tocsin", tmp_path / "part.tocsin"
    _run(capsys, "record", path)
    live = _run(capsys, "replay", "--output", tmp_path / "live.jsonl")
    alone = _run(
        capsys,
        "replay",
        "--journal",
        path,
        "--verify",
        "--output",
        tmp_path / "alone.jsonl",
        "--batch",
        1,
    )
    busy = max(live["partitions"], key=lambda one: live["partitions"][one]["to"])
    middle = live["partitions"][busy]["to"] // 2
    _run(capsys, "record", part, "--partition", busy, "--from", middle)
    half = _run(capsys, "replay", "--journal", part, "--verify")

    assert (alone["identical"], half["identical"]) == (True, True)
    assert (tmp_path / "live.jsonl").read_bytes() == (tmp_path / "alone.jsonl").read_bytes()
    assert half["partitions"][busy]["from"] == middle
    assert half["partitions"][busy]["started"] == f"checkpoint at offset {middle - 1}"


def test_scratch_topics_begin_empty_and_hold_the_same(
    broker: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The live prefix, and topics that have something, are refused."""
    _run(capsys, "replay", "--to-prefix", "scratch")
    refusals = []
    for prefix in ("night", "scratch"):
        assert main(["replay", "--to-prefix", prefix]) == 1
        refusals.append(capsys.readouterr().err)

    async def values(log: KafkaLog, prefix: str) -> list[tuple[bytes | None, bytes | None, object]]:
        streams = [stream for stream in Stream if stream is not Stream.JOURNAL]
        topics = [(f"{prefix}.{stream}", one) for stream in streams for one in range(PARTITIONS)]
        found = [await read_all(log, topic, partition) for topic, partition in topics]
        return [
            (record.key, record.value, tuple(record.headers))
            for records in found
            for record in records
        ]

    scratch, night = (
        with_log(broker, lambda log, one=one: values(log, one))  # type: ignore[misc]
        for one in ("scratch", "night")
    )
    assert scratch == night
    assert refusals[0].startswith(
        "tocsin: --to-prefix is 'night', the prefix of the live topics: name another one"
    )
    assert "a replay writes to empty topics only; name another prefix" in refusals[1]


def test_a_prefix_that_is_not_there_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With those that are, and nothing is made."""
    monkeypatch.setenv("TOCSIN_PREFIX", "day")

    assert main(["replay", "--verify"]) == 1
    told = capsys.readouterr().err
    assert "has no topics of 'day'; the prefixes that it has: " in told
    assert "night" in told
    assert main(["replay", "--verify"]) == 1
