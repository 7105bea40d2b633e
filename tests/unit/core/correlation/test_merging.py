"""People merge an incident into another one, and split it off again."""

from typing import Any

import orjson
import pytest

from app.policy.simulator import Stage
from app.transport.log import StoredRecord
from models.effect import Stream
from models.journal import TICK, encode_command
from models.topics import partition_of
from tests.support.scenario import START_MS, alert_record
from tests.support.shipped_policy import shipped

LOCKS = {"alertname": "PostgresLocks", "severity": "high", "component": "postgres"}
ERRORS = {"alertname": "CheckoutErrors", "severity": "high", "component": "checkout"}
WORSE = {"alertname": "CheckoutDown", "severity": "critical", "component": "checkout"}
LATER = {"alertname": "CheckoutSlow", "severity": "high", "component": "checkout"}
MINOR = {"alertname": "CheckoutQueue", "severity": "warning", "component": "checkout"}
MINUTE_MS = 60_000


class _Pair:
    """Two incidents under the shipped policy: `postgres`, and `checkout`, merged into it at minute 1."""

    def __init__(self) -> None:
        self.policy, self.minute = shipped(), 0
        self.stage = Stage(self.policy)
        self.fire(LOCKS).fire(ERRORS).until(1).say("merge", "checkout", into="postgres")

    def until(self, minute: int) -> "_Pair":
        self.minute = minute
        self._append(TICK)
        return self

    def fire(self, labels: dict[str, str], *, firing: bool = True) -> "_Pair":
        key = self.policy.place(labels, "f").key
        ttl_ms = 24 * 60 * MINUTE_MS
        record = alert_record(self._now_ms, labels, key, firing=firing, ttl_ms=ttl_ms)
        self.stage.append(record)
        return self

    def say(self, command: str, component: str, **details: Any) -> "_Pair":
        if "into" in details:
            details["into"] = self.incident(details["into"])["incident"]
        name = self.incident(component)["incident"]
        self._append(encode_command(command, name, "ann", **details))
        return self

    def _append(self, value: bytes) -> None:
        self.stage.append(StoredRecord(-1, self._now_ms, b"", value))

    @property
    def _now_ms(self) -> int:
        return START_MS + self.minute * MINUTE_MS

    def incident(self, component: str) -> dict[str, Any]:
        """Its newest snapshot."""
        bodies = self.bodies(Stream.INCIDENTS)
        return [body for body in bodies if body["component"] == component][-1]

    def bodies(self, stream: Stream) -> list[dict[str, Any]]:
        effects = [effect for effect in self.stage.effects if effect.stream is stream]
        return [orjson.loads(effect.value) for effect in effects]

    def told(self, component: str, kind: str) -> list[str]:
        """The channels of messages of a kind about it."""
        name = self.incident(component)["incident"]
        notifications = self.bodies(Stream.NOTIFICATIONS)
        return [
            body["channel"]
            for body in notifications
            if (body["incident"], body["kind"]) == (name, kind)
        ]

    def refusals(self) -> list[str]:
        entries = self.bodies(Stream.TIMELINE)
        return [entry["message"] for entry in entries if entry["kind"] == "CommandRefused"]


def test_a_merged_incident_keeps_quiet_and_no_longer_escalates() -> None:
    """It is a part of the other one, and nobody else is called about it."""
    pair = _Pair().until(120)

    checkout = pair.incident("checkout")
    assert checkout["parents"] == [pair.incident("postgres")["incident"]]
    assert checkout["suppressed_by"]
    assert pair.told("checkout", "escalated") == []
    assert pair.told("postgres", "escalated") != []


@pytest.mark.parametrize("labels", [WORSE, LATER])
def test_what_is_urgent_and_fires_later_is_named(labels: dict[str, str]) -> None:
    """It is no part of what a person merged: nobody has heard of it."""
    pair = _Pair().until(2).fire(labels).until(12)

    assert pair.incident("checkout")["suppressed_by"] == []
    named = {
        alert["labels"]["alertname"]
        for body in pair.bodies(Stream.NOTIFICATIONS)
        for alert in body["alerts"]
    }
    assert labels["alertname"] in named


def test_what_is_minor_and_fires_later_keeps_quiet() -> None:
    """It belongs to the same trouble."""
    pair = _Pair().until(2).fire(MINOR).until(12)

    assert pair.incident("checkout")["suppressed_by"]


def test_the_other_is_not_over_before_its_parts() -> None:
    """Its own alert has ended; it goes on, and escalates, for what was merged into it."""
    pair = _Pair().until(5).fire(LOCKS, firing=False).until(120)

    assert pair.incident("postgres")["state"] == "open"
    assert pair.told("postgres", "escalated") != []


def test_an_end_is_told_to_the_other() -> None:
    """The root counts it no more among what fires."""
    pair = _Pair().until(5).fire(ERRORS, firing=False).until(6)

    assert [member["firing"] for member in pair.incident("postgres")["members"]] == [False]


def test_a_split_takes_it_back() -> None:
    """It is a part of nothing, and climbs from then on."""
    pair = _Pair().until(30).say("split", "checkout").until(90)

    assert pair.incident("checkout")["parents"] == []
    assert [member["firing"] for member in pair.incident("postgres")["members"]] == [False]
    assert pair.told("checkout", "escalated") != []


def test_what_is_a_part_already_is_refused() -> None:
    """Nothing changes a second time, and a root with parts is a part of nothing."""
    pair = _Pair().say("merge", "checkout", into="postgres")
    pair.say("merge", "postgres", into="checkout").say("merge", "postgres", into="postgres")
    pair.say("split", "postgres")

    assert pair.refusals() == [
        f"it is a part of {pair.incident('postgres')['incident']} already",
        "it has members of its own: merge the other one into it",
        "an incident cannot be a part of itself",
        "it is a part of no other incident by a merge or by nearness",
    ]


def test_a_message_to_an_incident_goes_to_its_partition() -> None:
    """The id says which; what is no id, or of a partition that is not there, is spread."""
    assert partition_of(b"incident/INC-20260412T031502Z-03K3F", 8) == 3
    assert 0 <= partition_of(b"incident/INC-20260412T031502Z-0ZK3F", 8) < 8
    assert 0 <= partition_of(b"incident/", 8) < 8
