"""Many partitions.

What people are told does not depend on how the keys are shared among workers.
"""

from collections import Counter

import orjson
import pytest

from app.core.engine import Engine
from app.history.policies import policy_in
from app.transport.log import StoredRecord
from models.effect import Stream
from models.journal import TICK, Source, encode_policy
from models.topics import partition_of
from tests.support.scenario import START_MS, alert_record
from tests.support.shipped_policy import shipped

MINUTE_MS = 60_000
Told = Counter[tuple[str, ...]]

# When in minutes, and what begins or ends to fire.
DAY = [
    (0, True, "AgentDown", "planner", "warning"),
    (1, True, "OllamaDown", "ollama", "critical"),
    *((2, True, "AgentDown", f"agent-{number}", "warning") for number in range(20)),
    (3, True, "PostgreSQLDown", "postgres", "critical"),
    (3, True, "HighErrorRate", "api", "high"),
    (5, True, "BruteForce", "vpn", "warning"),
    (6, True, "BackupDataLoss", "backup", "critical"),
    (7, True, "Watchdog", "prometheus", "none"),
    (20, False, "OllamaDown", "ollama", "critical"),
    *((22, False, "AgentDown", f"agent-{number}", "warning") for number in range(20)),
    (25, False, "PostgreSQLDown", "postgres", "critical"),
]


def _told(partitions: int) -> Told:
    """What people are told of the day when it is shared among so many partitions, each of which ticks once a minute."""
    policy = shipped()
    engines = [Engine(number, policy) for number in range(partitions)]
    offsets, told = [0] * partitions, Told()

    def apply(waiting: list[tuple[int, StoredRecord]]) -> None:
        while waiting:
            partition, record = waiting.pop(0)
            record.offset, offsets[partition] = offsets[partition], offsets[partition] + 1
            for effect in engines[partition].apply([record]):
                if effect.stream is Stream.JOURNAL:
                    source = Source(
                        "journal", partition, effect.position.offset, effect.position.number
                    )
                    target = partition_of(effect.key or b"", partitions)
                    message = StoredRecord(
                        -1, record.timestamp, effect.key, effect.value, (source.header(),)
                    )
                    waiting.append((target, message))
                elif effect.stream is Stream.NOTIFICATIONS:
                    body = orjson.loads(effect.value)
                    told[
                        body["kind"],
                        body["channel"],
                        body["receiver"],
                        body["title"],
                        body["at"][:16],
                    ] += 1

    for minute in range(60):
        now_ms = START_MS + minute * MINUTE_MS
        apply([(one, StoredRecord(-1, now_ms, None, TICK)) for one in range(partitions)])
        for at, firing, name, component, severity in DAY:
            if at == minute:
                labels = {"alertname": name, "component": component, "severity": severity}
                record = alert_record(now_ms, labels, component, firing=firing)
                apply([(partition_of(component.encode(), partitions), record)])
    return told


@pytest.mark.parametrize("partitions", [2, 8, 13])
def test_partitions_change_nothing(partitions: int) -> None:
    """With one partition and with many, the same messages go to the same people in the same minute."""
    assert _told(partitions) == _told(1)


def test_dependants_page_nobody_while_their_root_is_down() -> None:
    """Of what depends on Ollama nobody is told until it has been up for group_interval, the grace of P0 and P1."""
    told = _told(8)

    first = min(key[4] for key in told if "AgentDown" in key[3] or "agents down" in key[3])
    assert (
        first == "2025-06-15T15:32"
    )  # Ollama was up again at 15:26:40, and one agent is still down


def test_partitions_of_one_policy_share_its_rulebook() -> None:
    """Read from each partition's journal, it is compiled once, and what it says of an alert is found once for all of them."""
    policy = shipped()
    record = StoredRecord(0, START_MS, None, encode_policy(policy.fingerprint, policy.document))

    found = [policy_in([record]) for _ in range(4)]

    assert found[0] is not None
    assert found[0].fingerprint == policy.fingerprint
    assert all(one is found[0] for one in found)


def test_a_policy_that_is_nested_too_deep_is_a_dead_letter() -> None:
    """JSON that can be read and not be written again.

    The record is refused for what it is, and is no poison.
    """
    deep = b'{"policy":"0123456789ab","document":' + b'{"a":' * 600 + b"1" + b"}" * 600 + b"}"
    engine = Engine(0, shipped())

    (effect,) = engine.apply([StoredRecord(0, START_MS, None, deep)])

    letter = orjson.loads(effect.value)
    assert (effect.stream, letter["reason"]) == (Stream.DEADLETTER, "malformed")
    assert letter["message"] == "the policy is not valid: Recursion limit reached"
