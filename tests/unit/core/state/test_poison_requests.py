"""An alert of a request that makes the engine raise is a dead letter; the request's others count."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from app.core import incident_timers
from app.core.alerts import dedup
from app.core.state.state import Incident
from app.core.state.turn import Turn
from app.transport.log import StoredRecord
from models.effect import Effect, Stream
from models.journal import TICK, alerts_in, encode_alerts
from tests.support.scenario import START_MS, alert_record
from tests.support.shipped_policy import shipped
from tests.support.surviving import survive

POLICY = shipped()
MINUTE = 60_000


def _request(*names: str) -> StoredRecord:
    """The alerts of one request for one component."""
    records = [
        alert_record(START_MS, {"alertname": name, "severity": "critical"}, "shop")
        for name in names
    ]
    value = encode_alerts([record.value or b"" for record in records])
    return StoredRecord(-1, START_MS, records[0].key, value)


def _journal(*requests: StoredRecord) -> list[StoredRecord]:
    ticks = (StoredRecord(-1, START_MS + number * MINUTE, None, TICK) for number in range(1, 9))
    records = [*requests, *ticks]
    for offset, record in enumerate(records):
        record.offset = offset
    return records


def _bodies(effects: Sequence[Effect], stream: Stream) -> list[dict[str, Any]]:
    return [orjson.loads(effect.value) for effect in effects if effect.stream is stream]


@pytest.fixture
def poisonous(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours: an alert whose name begins with Poison raises, with half of its work done."""
    on_alert = dedup.on_alert

    def raising(turn: Turn, document: dict[str, Any], key: str) -> None:
        on_alert(turn, document, key)
        assert not document["labels"]["alertname"].startswith("Poison")

    monkeypatch.setattr(dedup, "on_alert", raising)


@pytest.fixture
def poisonous_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours: what is due for an incident raises when it has an alert named Poison."""
    run_due_of = incident_timers._run_due_of

    def raising(turn: Turn, incident: Incident) -> None:
        run_due_of(turn, incident)
        assert all(alert.name != "Poison" for alert in incident.alerts.values())

    monkeypatch.setattr(incident_timers, "_run_due_of", raising)


@pytest.mark.usefixtures("poisonous")
def test_the_others_are_decided_as_if_the_request_had_not_had_it() -> None:
    """Two P0 beside two that raise give what a request of the two P0 gives, and two letters."""
    request = _request("ServiceDown", "Poison", "PoisonToo", "DataLoss")
    effects, _ = survive(POLICY, _journal(request), 100)
    expected, _ = survive(POLICY, _journal(_request("ServiceDown", "DataLoss")), 100)

    messages = _bodies(effects, Stream.NOTIFICATIONS)
    assert messages
    assert [message["text"] for message in messages] == [
        message["text"] for message in _bodies(expected, Stream.NOTIFICATIONS)
    ]
    letters = _bodies(effects, Stream.DEADLETTER)
    assert [(letter["reason"], letter["value"]) for letter in letters] == [
        ("poison", alert.decode()) for alert in alerts_in(request.value or b"")[1:3]
    ]


@pytest.mark.usefixtures("poisonous_together")
def test_one_that_makes_what_is_due_raise_is_a_letter_alone() -> None:
    """The fault comes after the last alert, and still only one of the three is passed over."""
    request = _request("ServiceDown", "Poison", "DataLoss")
    effects, _ = survive(POLICY, _journal(request), 100)

    (letter,) = _bodies(effects, Stream.DEADLETTER)
    assert letter["value"].encode() == alerts_in(request.value or b"")[1]
    texts = " ".join(message["text"] for message in _bodies(effects, Stream.NOTIFICATIONS))
    assert "ServiceDown" in texts
    assert "DataLoss" in texts


@pytest.mark.parametrize("fault", ["poisonous", "poisonous_together"])
@pytest.mark.parametrize("cut", [1, 2, 7])
def test_wherever_the_journal_is_cut_the_bytes_are_the_same(
    fault: str, cut: int, request: pytest.FixtureRequest
) -> None:
    """Passing over a part does not depend on batches and restarts, and each effect is there once."""
    request.getfixturevalue(fault)
    journal = _journal(_request("Poison", "ServiceDown"), _request("DataLoss", "Poison"))
    effects, items = survive(POLICY, journal, cut)

    assert (effects, items) == survive(POLICY, journal, 100)
    positions = [(effect.stream, effect.position) for effect in effects]
    assert len(set(positions)) == len(positions)
