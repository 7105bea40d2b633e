"""A gap is as if time had stood still: the oracle is the same journal without the gap.

What an undisturbed worker notifies of, and when, is what one that was stopped notifies of, later by
as long as nobody listened. Nothing is restated here, and nothing is shared with the engine's way of
doing it.
"""

from collections.abc import Sequence
from random import Random

import orjson
import pytest

from app.core.engine import Engine
from app.transport.log import StoredRecord
from models.effect import Stream
from models.journal import encode_command, encode_tick
from tests.support.example_counts import examples
from tests.support.scenario import START_MS, alert_record
from tests.support.shipped_policy import shipped

SECOND, MINUTE, DAY = 1000, 60_000, 86_400_000
TICK_MS = 5 * SECOND
NAMES = ("ServiceDown", "HighErrorRate", "HighLatency", "AgentDown", "DataLoss")
SEVERITIES = ("critical", "high", "warning")
COMMANDS = ("acknowledge", "note", "update", "escalate", "mitigated", "root_cause")
Step = tuple[int, str, str, str]  # when, what, and of what
Told = list[tuple[str, str, str, int]]  # kind, channel, receiver, and when


def steps(of: Random, gap_at_ms: int, until_ms: int) -> list[Step]:
    """Alerts before the gap, commands at any time."""
    fired = [
        (of.randrange(0, gap_at_ms), of.choice(NAMES), f"c{number}", of.choice(SEVERITIES))
        for number in range(of.randint(1, 4))
    ]
    said = [
        (of.randrange(0, until_ms), "command", of.choice(COMMANDS), str(of.randrange(4)))
        for _ in range(of.randint(0, 5))
    ]
    return sorted([*fired, *said])


def notified(journal: Sequence[Step], until_ms: int, gap_at_ms: int, gap_ms: int) -> Told:
    """What was notified, of a worker that is away for so long at that time; times are those without the gap."""
    engine, found, waiting = Engine(0, shipped()), Told(), list(journal)
    offset = 0

    def apply(at_ms: int, key: bytes | None, value: bytes | None) -> None:
        nonlocal offset
        away_ms = gap_ms if at_ms >= gap_at_ms else 0
        record = StoredRecord(offset, START_MS + at_ms + away_ms, key, value)
        offset += 1
        for effect in engine.apply([record]):
            if effect.stream is Stream.NOTIFICATIONS:
                body = orjson.loads(effect.value)
                found.append((body["kind"], body["channel"], body["receiver"], at_ms))

    for at_ms in range(0, until_ms, TICK_MS):
        is_back = at_ms >= gap_at_ms and gap_ms > 0
        begun_ms = gap_at_ms if is_back else 0
        apply(at_ms, None, encode_tick("second" if is_back else "first", at_ms - begun_ms))
        while waiting and waiting[0][0] < at_ms + TICK_MS:
            _, name, about, severity = waiting.pop(0)
            if name != "command":
                labels = {"alertname": name, "component": about, "severity": severity}
                record = alert_record(0, labels, about, ttl_ms=30 * DAY)
                apply(at_ms, record.key, record.value)
                continue
            known = sorted(engine.state.incidents)
            if known:
                incident = known[int(severity) % len(known)]
                apply(at_ms, b"", encode_command(about, incident, "ann", text="hm"))
    return found


def assert_late(stopped: Told, undisturbed: Told, until_ms: int, where: object) -> None:
    """Each message comes at its time or one tick later: nobody listened since the tick before the gap."""
    expected, found = times(undisturbed), times(stopped)
    for message, when in expected.items():
        due = [at_ms for at_ms in when if at_ms < until_ms - 2 * TICK_MS]
        late = [after - before for before, after in zip(due, found.get(message, []), strict=False)]
        assert len(late) == len(due), (where, message, due, found.get(message))
        assert all(0 <= one <= TICK_MS for one in late), (where, message, due, found[message])
    assert found.keys() <= expected.keys(), where


def times(told: Told) -> dict[tuple[str, str, str], list[int]]:
    """When each message was sent."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for *message, at_ms in told:
        kind, channel, receiver = message
        found.setdefault((kind, channel, receiver), []).append(at_ms)
    return found


@pytest.mark.sampled
def test_a_gap_is_as_if_time_had_stood_still() -> None:
    """Every message comes as without the gap, later by its length; none is lost, and none is new."""
    messages = 0
    for number in range(examples(20)):
        of = Random(f"gap {number}")
        until_ms = of.choice((20, 60, 120)) * MINUTE
        gap_at_ms = of.randrange(2, until_ms // TICK_MS) * TICK_MS
        gap_ms = of.choice((11 * SECOND, 90 * SECOND, 6 * MINUTE, 6 * 60 * MINUTE))
        journal = steps(of, gap_at_ms, until_ms)

        stopped = notified(journal, until_ms, gap_at_ms, gap_ms)
        undisturbed = notified(journal, until_ms, until_ms, 0)

        assert_late(stopped, undisturbed, until_ms, (number, gap_at_ms, gap_ms))
        messages += len(stopped)
    assert messages
