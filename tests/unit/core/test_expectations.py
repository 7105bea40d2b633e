"""Heartbeats that the policy expects: who says so to whom, and in which order."""

import orjson
import pytest

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.transport.log import StoredRecord
from models.alert import fingerprint
from models.effect import Effect, Stream
from models.journal import TICK, encode_expected, encode_policy
from tests.support.scenario import START_MS, alert_record, keep
from tests.support.shipped_policy import shipped

LABELS = {"alertname": "Watchdog", "cluster": "eu"}
MINUTE_MS = 60_000


def policy(*expected: dict[str, str]) -> CompiledPolicy:
    """The shipped policy with a heartbeat of which some are expected."""
    heartbeat = {"name": "silent", "match": ['alertname="Watchdog"'], "missing": "10m"}
    heartbeats = [heartbeat | {"severity": "P1", "owner": "infrastructure", "expected": expected}]
    return CompiledPolicy(shipped().document | {"heartbeats": heartbeats})


def record(offset: int, value: bytes, minute: int = 0) -> StoredRecord:
    """A record of the journal."""
    return StoredRecord(offset, START_MS + minute * MINUTE_MS, None, value)


def announced(offset: int, rules: CompiledPolicy, minute: int = 0) -> StoredRecord:
    """The record of a policy."""
    return record(offset, encode_policy(rules.fingerprint, rules.document), minute)


def message(*, received: bool) -> bytes:
    """What is said of the heartbeat of a cluster."""
    return encode_expected("silent", LABELS, received=received)


def sent(effects: list[Effect]) -> list[tuple[bytes | None, bytes]]:
    """The messages to other actors."""
    return [(one.key, one.value) for one in effects if one.stream is Stream.JOURNAL]


def opened(effects: list[Effect]) -> list[str]:
    """The incidents that were opened."""
    entries = [orjson.loads(one.value) for one in effects if one.stream is Stream.TIMELINE]
    return [one["text"] for one in entries if one["kind"] == "Opened"]


@pytest.mark.parametrize("partition", [0, 1])
def test_partition_0_says_what_is_expected(partition: int) -> None:
    """It says so when the journal names the policy, also if it is in force already; no other partition does."""
    rules = policy(LABELS)

    effects = Engine(partition, rules).apply([announced(0, rules)])

    identity = fingerprint({**LABELS, "alertname": "silent"})
    key = rules.place(LABELS, identity).key.encode()
    assert sent(effects) == ([(key, message(received=False))] if partition == 0 else [])


def test_a_heartbeat_says_that_it_is_received_where_it_is_expected() -> None:
    """It may have more labels. A repeat says nothing."""
    labels = {**LABELS, "component": "prometheus"}
    heartbeat = alert_record(START_MS, labels, "prometheus").value or b""
    engine = Engine(3, policy(LABELS, {"alertname": "Watchdog", "cluster": "us"}))

    first, second = (engine.apply([record(offset, heartbeat)]) for offset in range(2))

    assert [value for _, value in sent(first)] == [message(received=True)]
    assert second == []


@pytest.mark.parametrize("before", [False, True])
def test_a_heartbeat_that_was_received_is_not_missing(before: bool) -> None:
    """Whichever of the two messages comes first."""
    values = [message(received=before), message(received=not before)]
    engine = Engine(0, policy(LABELS))

    effects = engine.apply([*map(record, range(2), values), record(2, TICK, 60)])

    assert opened(effects) == []


def test_it_is_missing_once_across_restarts() -> None:
    """Neither a restart nor the policy's next record raises it again, not even after its incident was closed."""
    rules, items, effects = policy(LABELS), dict[bytes, bytes](), list[Effect]()
    records = [record(0, message(received=False))]
    records += [record(number, TICK, 9 + number) for number in range(1, 4)]
    records += [
        announced(4, rules, 14),
        record(5, message(received=False), 14),
        record(6, TICK, 90),
    ]
    for one in records:
        engine = Engine.restore(0, rules, items)
        effects += engine.apply([one])
        keep(items, engine)

    (text,) = opened(effects)
    assert "The expected heartbeat alertname=Watchdog, cluster=eu was never received" in text


def test_what_is_not_expected_any_more_is_not_missing() -> None:
    """Its incident ends with the policy, and nothing of it is kept."""
    engine = Engine(0, policy(LABELS))
    engine.apply([record(0, message(received=False)), record(1, TICK, 11)])
    firing = [alert.firing for alert in engine.state.alerts.values()]

    engine.apply([announced(2, policy(), 12)])

    assert firing == [True]
    assert [alert.firing for alert in engine.state.alerts.values()] == [False]
    assert engine.state.expected == {}
