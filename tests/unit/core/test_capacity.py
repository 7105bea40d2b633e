"""Room for alerts: what makes room, what is kept for P0 and P1, and who hears of it."""

import orjson
import pytest

from app.core.alerts.capacity import NEAR, OWN_COMPONENT, REACHED
from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.transport.log import StoredRecord
from models.effect import Effect, Stream
from tests.support.scenario import START_MS, alert_record
from tests.support.shipped_policy import shipped

ALERTS = 20
BOUNDS = {"alerts": ALERTS, "alerts_in_incident": 1000, "incidents": 1000}


class Partition:
    """An engine with room for few alerts, one second after the other."""

    def __init__(self, bounds: dict[str, int] = BOUNDS) -> None:
        self.engine = Engine(0, CompiledPolicy(shipped().document | {"bounds": bounds}))
        self.effects: list[Effect] = []
        self.now_ms = START_MS

    def feed(self, number: int, severity: str, *, firing: bool = True, after_ms: int = 0) -> None:
        """An alert begins or ends to fire."""
        self.now_ms += 1000 + after_ms
        labels = {"alertname": f"A{number}", "component": "c", "severity": severity}
        record = alert_record(self.now_ms, labels, "c", firing=firing, ttl_ms=86_400_000)
        self._apply(record)

    def _apply(self, record: StoredRecord) -> None:
        record.offset = self.engine.applied_offset + 1
        self.effects += self.engine.apply([record])

    def refused(self) -> int:
        """How many alerts are dead letters."""
        return sum(effect.stream is Stream.DEADLETTER for effect in self.effects)

    def own(self) -> set[str]:
        """The names of Tocsin's own alerts that fire."""
        alerts = self.engine.state.alerts.values()
        return {one.name for one in alerts if one.component == OWN_COMPONENT and one.firing}

    def opened(self) -> list[str]:
        """The texts of the messages that an incident of Tocsin's own is open."""
        bodies = [
            orjson.loads(effect.value)
            for effect in self.effects
            if effect.stream is Stream.NOTIFICATIONS
        ]
        return [one["text"] for one in bodies if "bounds." in one["text"]]


def test_a_reserve_is_kept_for_p0_and_p1() -> None:
    """A storm of P2 alerts takes nine tenths; P0 and P1 alerts find room in the rest."""
    partition = Partition()
    for number in range(ALERTS):
        partition.feed(number, "warning")
    refused = partition.refused()
    partition.feed(100, "critical")
    partition.feed(101, "high")

    assert (refused, partition.refused()) == (ALERTS // 10, ALERTS // 10)


def test_what_has_ended_makes_room() -> None:
    """Alerts that ended and belong to no open incident are forgotten before a new one is refused."""
    partition = Partition()
    for number in range(ALERTS * 9 // 10):
        partition.feed(number, "warning")
    for number in range(ALERTS * 9 // 10):
        partition.feed(number, "warning", firing=False)
    partition.feed(100, "warning", after_ms=400_000)  # by then the incident is closed
    for number in range(101, 101 + ALERTS // 2):
        partition.feed(number, "warning")

    assert partition.refused() == 0
    assert partition.engine.counts["forgotten_early"] > 0


@pytest.mark.parametrize(("number", "expected"), [(15, set()), (16, {NEAR}), (19, {NEAR, REACHED})])
def test_a_bound_that_is_near_or_reached_is_an_alert(number: int, expected: set[str]) -> None:
    """At four fifths Tocsin raises an alert of its own, and another when it refuses one."""
    partition = Partition()
    for one in range(number):
        partition.feed(one, "warning")

    assert partition.own() == expected
    assert any("New alerts are refused." in text for text in partition.opened()) == (
        REACHED in expected
    )


def test_the_alert_of_a_bound_ends_when_there_is_room_again() -> None:
    """Fifteen minutes after the last alert was refused it ends; that the bound is near lasts while it is."""
    partition = Partition()
    for one in range(19):
        partition.feed(one, "warning")
    partition.feed(0, "warning", after_ms=3_600_000)
    near = partition.own()
    for one in range(18):
        partition.feed(one, "warning", firing=False)
    partition.feed(0, "warning", after_ms=7_200_000)

    assert (near, partition.own()) == ({NEAR}, set())


def test_what_was_refused_is_said_in_its_incident() -> None:
    """Of a storm of alerts in one incident: at the first, the tenth and the hundredth record, not at each."""
    partition = Partition({"alerts": 1000, "alerts_in_incident": 10, "incidents": 10})
    for number in range(10 + 120):
        partition.feed(number, "high")
    partition.feed(0, "high", after_ms=400_000)

    timeline = [
        orjson.loads(effect.value)
        for effect in partition.effects
        if effect.stream is Stream.TIMELINE
    ]
    texts = [one["text"].partition(":")[0] for one in timeline if one["kind"] == "Refused"]
    assert texts == [
        f"{number} of more alerts refused so far"
        for number in ("1 record", "10 records", "100 records")
    ]
    messages = [
        orjson.loads(effect.value)
        for effect in partition.effects
        if effect.stream is Stream.NOTIFICATIONS
    ]
    assert any("More were refused." in one["text"] for one in messages)
