"""What a worker tells Prometheus."""

import asyncio
from types import SimpleNamespace
from typing import Any

import orjson
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from app import metrics
from app.core.engine import Engine
from app.intake.normalise import in_list, parse_alerts
from app.intake.records import Intake
from app.settings import Settings
from app.transport.log import NewRecord
from app.worker.incident_metrics import OWNERS_MAX, IncidentMetrics
from app.worker.worker import Worker
from models.journal import encode_command
from models.topics import Topics
from tests.support.fake_log import FakeLog
from tests.support.shipped_policy import shipped


class Message:
    """A batch as Faust hands it over."""

    def __init__(self, value: Any) -> None:
        self.value, self.generation_id, self.partition = value, 1, 0

    def ack(self, _: Any) -> bool:
        """It is acknowledged."""
        return True


def sample(name: str, **labels: str) -> float:
    """The value of a series, 0 of none."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def worked(log: FakeLog, records: list[NewRecord], then: Any = None) -> Worker:
    """A worker that has applied records of partition 0, and `then` a command that it makes of the incident."""

    async def run() -> Worker:
        worker = Worker(Settings(partitions=1, checkpoint_ms=0), shipped(), log, Topics())
        await worker.take_over(0, 1)
        await apply(worker, records)
        if then is not None:
            log.at_ms += 90_000
            await apply(worker, [NewRecord(None, then(worker.pipes[0].engine))])
        await worker.settle()
        return worker

    async def apply(worker: Worker, new: list[NewRecord]) -> None:
        offset = log.put(worker.topics.journal, 0, new)
        batch = await log.read(worker.topics.journal, 0, offset)
        message = Message(batch)
        await worker.accept(SimpleNamespace(message=message))

    return asyncio.run(run())


def alerts(log: FakeLog, *given: dict[str, Any]) -> list[NewRecord]:
    """The journal records of alerts."""
    entries = in_list(parse_alerts(orjson.dumps(list(given))))
    return Intake().records(entries, log.now_ms(), shipped())[0]


P1 = {"labels": {"alertname": "A", "component": "c", "severity": "P1", "team": "platform"}}


def test_outcomes_messages_and_checkpoints_are_counted() -> None:
    """An alert that fires is an outcome, its messages are counted by channel, and its checkpoint has bytes."""
    before = {
        "fired": sample("tocsin_alert_outcomes_total", outcome="fired"),
        "bytes": sample("tocsin_checkpoint_bytes_total", partition="0"),
        "latency": sample("tocsin_effect_latency_seconds_count"),
    }
    log = FakeLog()
    worker = worked(log, alerts(log, P1))

    after = sample("tocsin_alert_outcomes_total", outcome="fired")
    messages = sum(
        value.value
        for family in metrics.NOTIFICATIONS.collect()
        for value in family.samples
        if value.name.endswith("_total")
    )
    assert after == before["fired"] + 1
    assert sample("tocsin_checkpoint_bytes_total", partition="0") > before["bytes"]
    assert sample("tocsin_effect_latency_seconds_count") > before["latency"]
    assert sample("tocsin_checkpoint_timestamp_seconds", partition="0") > 0
    assert messages > 0
    ratio = sample("tocsin_bound_ratio", bound="incidents", partition="0")
    assert ratio == 1 / shipped().policy.bounds.incidents
    worker.release()
    assert (
        REGISTRY.get_sample_value("tocsin_bound_ratio", {"bound": "incidents", "partition": "0"})
        is None
    )


def test_how_long_people_take() -> None:
    """An acknowledgement a minute and a half after the opening is one of up to two minutes."""
    before = sample("tocsin_acknowledge_seconds_bucket", le="120.0")
    short = sample("tocsin_acknowledge_seconds_bucket", le="60.0")
    log = FakeLog()

    def acknowledge(engine: Engine) -> bytes:
        (incident,) = engine.state.incidents
        return encode_command("acknowledge", incident, "ann", text="")

    worked(log, alerts(log, P1), acknowledge).release()

    assert sample("tocsin_acknowledge_seconds_bucket", le="120.0") == before + 1
    assert sample("tocsin_acknowledge_seconds_bucket", le="60.0") == short


def test_incidents_by_severity_state_and_owner() -> None:
    """They are counted when somebody scrapes, and owners beyond the bound together."""
    log = FakeLog()
    worker = worked(log, alerts(log, P1))
    registry = CollectorRegistry()
    registry.register(IncidentMetrics(lambda: [worker.pipes[0].engine]))

    text = generate_latest(registry).decode()
    engine = worker.pipes[0].engine
    (incident,) = engine.state.incidents.values()
    owners = [
        SimpleNamespace(owner=str(number), severity="P1", state="open")
        for number in range(OWNERS_MAX + 5)
    ]
    many = SimpleNamespace(state=SimpleNamespace(incidents=dict(enumerate(owners))))
    registry = CollectorRegistry()
    registry.register(IncidentMetrics(lambda: [many]))  # type: ignore[list-item]
    bounded = generate_latest(registry).decode()

    row = f'tocsin_incidents_by_owner{{owner="{incident.owner}",severity="P1",state="open"}} 1.0'
    assert row in text
    assert 'tocsin_incidents_by_owner{owner="other",severity="P1",state="open"} 5.0' in bounded
    worker.release()


def test_lag_is_told_in_records() -> None:
    """What stands before the newest tick and is not applied yet."""
    log = FakeLog()
    worker = worked(log, alerts(log, P1))

    async def tick() -> None:
        log.put(worker.topics.journal, 0, alerts(log, P1) * 4)
        await worker.tick(worker.health.next_tick())
        worker.health.observe(worker.pipes)

    asyncio.run(tick())

    assert sample("tocsin_journal_lag_records", partition="0") == 5
    assert sample("tocsin_tick_timestamp_seconds", partition="0") > 0
    worker.release()


def test_no_series_tells_when_a_counter_was_made() -> None:
    """They would double what a scrape costs."""
    text = generate_latest().decode()

    assert "_created" not in text
    assert "tocsin_build_info{" in text
