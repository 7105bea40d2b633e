"""A receiver that stays down is an alert, which ends when it answers."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from app.intake.normalise import entries_from
from app.intake.records import Intake
from app.notifier.channel import ChannelKind
from app.notifier.ledger.circuit import FAILURES_MAX, Circuit
from app.notifier.outcome import TryAgain
from app.notifier.runtime.receiver_alerts import DOWN_AFTER_MS, LIVES_MS, REPEAT_MS, ReceiverAlerts
from app.transport.log import NewRecord
from models.text.instant import milliseconds
from tests.support.delivering import (
    PARTITIONS,
    TOPICS,
    Delivering,
    WatchedChannel,
    journal,
    notify,
    page,
)
from tests.support.shipped_policy import shipped

NOW_MS = 1_776_000_000_000


def down(since_ms: int) -> Circuit:
    """The circuit of a receiver that does not answer since then."""
    circuit = Circuit()
    for _ in range(FAILURES_MAX):
        circuit.failed(since_ms, 0.0)
    return circuit


def ends(records: Sequence[NewRecord]) -> list[int]:
    """When the alerts of records end."""
    alerts = [alert for record in records for alert in orjson.loads(record.value or b"")]
    return [milliseconds(alert["endsAt"]) for alert in alerts]


def test_a_receiver_that_stays_down_is_said_again_until_it_answers() -> None:
    """Not at once, then every minute, and once that it is over."""
    alerts, circuit = ReceiverAlerts({"pd": ChannelKind.PAGERDUTY}, "h"), down(NOW_MS)
    told_ms = NOW_MS + DOWN_AFTER_MS
    early = alerts.due({"pd": circuit}, told_ms - 1)
    first = alerts.due({"pd": circuit}, told_ms)
    between = alerts.due({"pd": circuit}, told_ms + REPEAT_MS - 1)
    again = alerts.due({"pd": circuit}, told_ms + REPEAT_MS)
    circuit.answered()
    over = alerts.due({"pd": circuit}, told_ms + 2 * REPEAT_MS)
    after = alerts.due({"pd": circuit}, told_ms + 3 * REPEAT_MS)

    assert (early, between, after) == ([], [], [])
    assert ends(first) == [told_ms + LIVES_MS]
    assert ends(again) == [told_ms + REPEAT_MS + LIVES_MS]
    assert ends(over) == [told_ms + 2 * REPEAT_MS]


def test_one_that_answers_in_time_is_not_said() -> None:
    """A short outage is what tries and fallback are for."""
    alerts, circuit = ReceiverAlerts({"pd": ChannelKind.PAGERDUTY}, "h"), down(NOW_MS)
    alerts.due({"pd": circuit}, NOW_MS + 1000)
    circuit.answered()

    assert alerts.due({"pd": circuit}, NOW_MS + DOWN_AFTER_MS) == []


def test_the_alert_is_a_p1_of_tocsin_by_the_shipped_policy() -> None:
    """It pages and is told as what it is."""
    alerts = ReceiverAlerts({"pd": ChannelKind.PAGERDUTY}, "h", down_after_ms=0)
    (record,) = alerts.due({"pd": down(NOW_MS)}, NOW_MS)
    policy = shipped()

    (taken,), refused = Intake().records(entries_from(record.value or b""), NOW_MS, policy)

    assert refused == []
    assert taken.key == b"tocsin"
    assert policy.evaluate(orjson.loads(taken.value or b"")["labels"]).severity == "P1"


def test_the_notifier_writes_it_to_the_raw_topic(tmp_path: Path) -> None:
    """As any producer would; the worker takes it from there."""

    async def run() -> list[Any]:
        async with journal(tmp_path) as log:
            delivering = Delivering(log, {"hook": WatchedChannel()})
            delivering.channels["hook"].answer = TryAgain("is away")
            incidents = [f"INC-20260412T031502Z-00K3{letter}" for letter in "ABCDEFGH"]
            pages = [page(number, incident=one) for number, one in enumerate(incidents)]
            await notify(log, 0, pages)
            found: list[Any] = []
            async with asyncio.timeout(60):
                while not found:
                    await asyncio.sleep(0.05)
                    for partition in range(PARTITIONS):
                        found += await log.read(TOPICS.raw, partition, 0)
            await delivering.kill()
            return found

    (record,) = asyncio.run(run())[:1]

    labels = orjson.loads(record.value)[0]["labels"]
    assert labels == {
        "alertname": "TocsinReceiverDown",
        "component": "tocsin",
        "severity": "P1",
        "instance": "hook",
        "receiver": "hook",
        "notifier": "host",
    }
