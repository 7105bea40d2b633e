"""A record, or a deadline, that makes the engine raise becomes a dead letter.

Everything else is as if it were not there.
"""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from app.core.alerts import dedup
from app.core.engine import _ON_TIMER, Engine
from app.core.state.live_alert import Suppression
from app.core.state.poison import QUARANTINED_MAX, DueTimer, Poison
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from app.core.suppression import silences
from app.transport.log import StoredRecord
from models.effect import Effect, Stream
from models.journal import TICK, encode_silence
from models.matcher import parse_matcher
from models.silence import Silence
from tests.support.scenario import START_MS, alert_record
from tests.support.shipped_policy import shipped
from tests.support.surviving import survive

POLICY = shipped()
MINUTE = 60_000


def _journal() -> list[StoredRecord]:
    """Two components' alerts, one of which is named Poison, and an hour of ticks."""
    records = [
        alert_record(
            START_MS + number * MINUTE, {"alertname": name, "severity": "critical"}, component
        )
        for number, (name, component) in enumerate(
            [("ServiceDown", "a"), ("Poison", "b"), ("HighErrorRate", "c")]
        )
    ]
    records += [StoredRecord(-1, START_MS + number * MINUTE, None, TICK) for number in range(3, 60)]
    for offset, record in enumerate(records):
        record.offset = offset
    return records


def _letters(effects: Sequence[Effect]) -> list[dict[str, Any]]:
    return [orjson.loads(effect.value) for effect in effects if effect.stream is Stream.DEADLETTER]


@pytest.fixture
def poisonous(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours: an alert named Poison raises, with half of its work done."""
    on_alert = dedup.on_alert

    def raising(turn: Turn, document: dict[str, Any], key: str) -> None:
        on_alert(turn, document, key)
        assert document["labels"]["alertname"] != "Poison"

    monkeypatch.setattr(dedup, "on_alert", raising)


@pytest.mark.usefixtures("poisonous")
def test_a_record_that_raises_becomes_a_dead_letter_and_changes_nothing_else() -> None:
    """All other effects are those of a journal with rubbish in its place, and its letter has its bytes and the fault."""
    journal = _journal()
    effects, _ = survive(POLICY, journal, len(journal))
    rubbish = _journal()
    rubbish[1].value = b"[]"
    expected, _ = survive(POLICY, rubbish, len(journal))

    assert [one for one in effects if one.stream is not Stream.DEADLETTER] == [
        one for one in expected if one.stream is not Stream.DEADLETTER
    ]
    (letter,) = _letters(effects)
    assert (letter["reason"], letter["offset"], letter["value"]) == (
        "poison",
        1,
        (journal[1].value or b"").decode(),
    )
    assert "AssertionError in tests.unit.core.state.test_poison, line" in letter["message"]


@pytest.mark.usefixtures("poisonous")
@pytest.mark.parametrize("cut", [1, 2, 7, 1000])
def test_wherever_the_journal_is_cut_the_bytes_are_the_same(cut: int) -> None:
    """Passing over does not depend on batches and restarts."""
    assert survive(POLICY, _journal(), cut) == survive(POLICY, _journal(), 3)


@pytest.mark.usefixtures("poisonous")
def test_an_engine_that_raised_is_of_no_more_use() -> None:
    """It would apply and checkpoint half-done work."""
    engine = Engine(0, POLICY)
    with pytest.raises(Poison, match="record at offset 1 made the engine raise"):
        engine.apply(_journal())

    with pytest.raises(AssertionError):
        engine.apply([])
    with pytest.raises(AssertionError):
        engine.checkpoint()


def test_a_silence_that_raises_keeps_none_after_it_from_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Silences of one millisecond begin at once.

    When the first of their timers fires that is not passed over.
    """
    hold = silences._suppression_by

    def raising(silence: Silence) -> Suppression:
        assert silence.id != "s1"
        return hold(silence)

    monkeypatch.setattr(silences, "_suppression_by", raising)
    at_ms = START_MS + 5 * MINUTE
    said = [
        Silence(
            f"s{number}",
            (parse_matcher(f"alertname={one}"),),
            at_ms,
            at_ms + 5 * MINUTE,
            "ann",
            "Investigating",
        )
        for number, one in ((1, "ServiceDown"), (2, "Poison"), (3, "HighErrorRate"))
    ]
    records = [StoredRecord(-1, START_MS, None, encode_silence(one)) for one in said]
    journal = [*records, *_journal()]
    for offset, record in enumerate(journal):
        record.offset = offset

    effects, _ = survive(POLICY, journal, len(journal))
    told = [orjson.loads(effect.value) for effect in effects if effect.stream is Stream.TIMELINE]
    assert [one["component"] for one in told if one["kind"] == "Acknowledged"] == ["b", "c"]
    assert [orjson.loads(one["value"])["of"] for one in _letters(effects)] == ["s1"]
    assert survive(POLICY, journal, 1) == survive(POLICY, journal, 7)


def _raising(turn: Turn, at_ms: int, whose: str) -> None:
    raise KeyError(turn, at_ms, whose)


@pytest.mark.parametrize("cut", [1, 2, 7, 1000])
def test_a_deadline_that_raises_is_passed_over_and_tried_again(
    cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One dead letter an hour for each, wherever the engine was restored.

    After the fix it is handled.
    """
    journal = _journal()
    hours = [
        StoredRecord(len(journal) + hour, START_MS + hour * 60 * MINUTE, None, TICK)
        for hour in range(1, 30)
    ]
    mended = _ON_TIMER[TimerKind.EXPIRY]
    monkeypatch.setitem(_ON_TIMER, TimerKind.EXPIRY, _raising)
    effects, items = survive(POLICY, [*journal, *hours], cut)
    monkeypatch.setitem(_ON_TIMER, TimerKind.EXPIRY, mended)
    engine = Engine.restore(0, POLICY, items)
    soon, late = (
        StoredRecord(100 + hour, START_MS + hour * 60 * MINUTE, None, TICK) for hour in (29, 31)
    )

    letters = _letters(effects)
    assert [letter["reason"] for letter in letters] == ["poison"] * (
        6 + 5 + 5
    )  # of each, until the 29th hour
    assert {letter["topic"] for letter in letters} == {"deadline"}
    assert "KeyError in tests.unit.core.state.test_poison" in letters[0]["message"]
    assert "retried at 2025-06-16T" in letters[0]["message"]
    assert not [one for one in engine.apply([soon]) if b'"kind":"AlertExpired"' in one.value]
    assert len([one for one in engine.apply([late]) if b'"kind":"AlertExpired"' in one.value]) == 3
    assert engine.state.quarantined == {}


def test_too_many_deadlines_that_raise_stop_the_worker() -> None:
    """A thousand are no isolated fault."""
    poisons = [
        Poison(5, number, DueTimer(number, TimerKind.EXPIRY, "x"), KeyError("x"))
        for number in range(QUARANTINED_MAX + 1)
    ]
    engine = Engine(0, POLICY)
    engine.skip(poisons[:-1])

    with pytest.raises(Poison):
        engine.skip(poisons[-1:])
