"""Merges while what actors say to each other is under way: in another order, and all at once."""

from random import Random
from typing import Any

import orjson
import pytest

from app.core.engine import Engine
from app.policy.simulator import signal_record
from app.transport.log import StoredRecord
from models.effect import Stream
from models.journal import TICK, encode_command
from tests.support.scenario import START_MS, alert_record
from tests.support.shipped_policy import shipped

MESSAGES_MAX = 1500  # of one run; a good one has some hundreds
COMPONENTS = ("postgres", "backend", "api", "checkout", "shop", "mail", "redis")
NAMES = ("PostgresDown", "HighErrorRate", "QueueLong", "DiskSlow", "BackendDown")
COMMANDS = (*["merge"] * 6, "split", "split", "acknowledge", "resolve")


class _Journal:
    """An engine, and what its actors have said that has not arrived."""

    def __init__(self) -> None:
        self.policy, self.now_ms = shipped(), START_MS
        self.engine = Engine(0, self.policy)
        self.length = 0
        self.under_way: list[StoredRecord] = []
        self.incidents: dict[str, str] = {}  # id -> component, the newest last
        self.timeline: list[str] = []

    def put(self, record: StoredRecord) -> None:
        record.offset, self.length = self.length, self.length + 1
        record.timestamp = max(record.timestamp, self.now_ms)
        for effect in self.engine.apply([record]):
            body: dict[str, Any] = orjson.loads(effect.value or b"{}")
            match effect.stream:
                case Stream.JOURNAL:
                    self.under_way.append(signal_record(effect, self.now_ms))
                case Stream.INCIDENTS:
                    self.incidents.setdefault(body["incident"], body["component"])
                case Stream.TIMELINE:
                    self.timeline.append(body["text"])
                case _:
                    pass

    def fire(self, labels: dict[str, str], *, firing: bool = True) -> None:
        key = self.policy.place(labels, "f").key
        ttl_ms = 86_400_000
        self.put(alert_record(self.now_ms, labels, key, firing=firing, ttl_ms=ttl_ms))

    def say(self, command: str, incident: str, into: str) -> None:
        value = encode_command(command, incident, "ann", into=into)
        self.put(StoredRecord(-1, self.now_ms, b"", value))

    def deliver(self) -> None:
        """All that is under way arrives, and what comes of it."""
        for _ in range(MESSAGES_MAX):
            if not self.under_way:
                return
            self.put(self.under_way.pop(0))
        raise AssertionError("actors answer each other for ever")

    def wait(self, milliseconds: int) -> None:
        self.now_ms += milliseconds
        self.put(StoredRecord(-1, self.now_ms, None, TICK))
        self.deliver()


def test_two_that_are_merged_into_each_other_are_both_on_their_own() -> None:
    """Neither keeps the other quiet: each is told that the other is a part itself."""
    journal = _Journal()
    for component in ("postgres", "checkout"):
        journal.fire({"alertname": "Slow", "severity": "high", "component": component})
    journal.deliver()
    first, second = journal.incidents
    journal.say("merge", first, into=second)
    journal.say("merge", second, into=first)
    journal.deliver()

    assert journal.timeline[-2:] == [
        f"Not merged: {second} is a part of another incident itself",
        f"Not merged: {first} is a part of another incident itself",
    ]
    assert not any(one.suppressed for one in journal.engine.state.incidents.values())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_however_messages_cross_an_end_comes_and_what_is_urgent_is_named(seed: int) -> None:
    """Merges, splits, dependencies and nearness at random, messages late: no loop, and no silence."""
    for number in range(50):
        _play(Random(seed * 1000 + number))


def _play(dice: Random) -> None:
    journal = _Journal()
    fired: list[dict[str, str]] = []
    for _ in range(60):
        draw, newest = dice.random(), list(journal.incidents)[-6:]
        if journal.under_way and draw < 0.35:
            journal.put(journal.under_way.pop(0))
            continue
        journal.now_ms += dice.choice((0, 0, 1000, 5000, 60_000))
        if draw < 0.6 or not newest:
            labels = {
                "alertname": dice.choice(NAMES),
                "severity": dice.choice(("critical", "high", "warning")),
                "component": dice.choice(COMPONENTS),
                "instance": dice.choice(("h1", "h2")),
            }
            fired.append(labels)
            journal.fire(labels)
        elif draw < 0.65:
            journal.fire(dice.choice(fired), firing=False)
        else:
            journal.say(dice.choice(COMMANDS), dice.choice(newest), dice.choice(newest))
    journal.deliver()
    for _ in range(12):
        journal.wait(900_000)

    for alert in journal.engine.state.alerts.values():
        if alert.firing and alert.incident and alert.severity.is_urgent and not alert.named:
            rules = [key for key in alert.suppressions or () if not key.startswith("merged:")]
            assert rules, f"{alert.name} on {alert.component} was named to nobody"
