"""A record of several alerts: decided together, repeats recognised without being parsed."""

import orjson

from app.core.engine import Engine
from app.transport.log import StoredRecord
from models.effect import Effect, Stream
from models.journal import Source, encode_alerts
from tests.support.scenario import START_MS, alert_record, tell
from tests.support.shipped_policy import shipped

MINUTE_MS = 60_000


def value_of(name: str, *, firing: bool = True) -> bytes:
    """The value of an alert of one component."""
    labels = {"alertname": name, "component": "api", "severity": "critical"}
    return alert_record(START_MS, labels, "api", firing=firing).value or b""


def record(offset: int, *values: bytes, at_ms: int = 0) -> StoredRecord:
    """The record of some alerts."""
    return StoredRecord(offset, START_MS + at_ms, b"api", encode_alerts(values))


def documents(effects: list[Effect], stream: Stream) -> list[dict[str, object]]:
    """What the effects of a stream say."""
    return [orjson.loads(effect.value) for effect in effects if effect.stream is stream]


def test_three_alerts_of_a_request_are_one_message_to_each_receiver() -> None:
    """It names all three, and no message says later that there are more."""
    engine = Engine(0, shipped())
    effects = engine.apply([record(0, *map(value_of, ("Down", "Slow", "Full")))])
    effects += engine.apply([StoredRecord(1, START_MS + 6 * MINUTE_MS, None, b'{"tick":true}')])

    messages = documents(effects, Stream.NOTIFICATIONS)
    opened = [one["text"] for one in messages if one["kind"] == "opened"]
    assert all(name in str(text) for text in opened for name in ("Down", "Slow", "Full"))
    assert len(opened) == len(
        {(one["receiver"], one["channel"]) for one in messages if one["kind"] == "opened"}
    )
    assert "updated" not in {one["kind"] for one in messages}


def test_a_repeat_among_several_is_not_parsed() -> None:
    """Of an alert that fires already, what follows its start and times is not read."""
    engine = Engine(0, shipped())
    down, slow = value_of("Down"), value_of("Slow")
    engine.apply([record(0, down, slow)])
    cut = down[: down.index(b'"labels"')] + b"no JSON"

    effects = engine.apply([record(1, cut, value_of("Full"), slow, at_ms=MINUTE_MS)])

    alerts = {one.name: (one.count, one.last_ms) for one in engine.state.alerts.values()}
    again = (2, START_MS + MINUTE_MS)
    assert alerts == {"Down": again, "Slow": again, "Full": (1, START_MS + MINUTE_MS)}
    assert engine.counts["repeats"] == 2
    assert documents(effects, Stream.DEADLETTER) == []


def test_repeats_alone_have_no_effect() -> None:
    """A record that says of each alert what is known changes their counters only."""
    engine = Engine(0, shipped())
    values = [value_of("Down"), value_of("Slow")]
    engine.apply([record(0, *values)])

    assert engine.apply([record(1, *values, at_ms=1000)]) == []


def test_an_alert_that_is_refused_does_not_spoil_the_others() -> None:
    """It is a dead letter with its own bytes."""
    engine, bad = Engine(0, shipped()), b'{"alert":"nonsense"}'

    effects = engine.apply([record(0, value_of("Down"), bad, b"{}", value_of("Slow"))])

    letters = documents(effects, Stream.DEADLETTER)
    assert [one["value"] for one in letters] == [bad.decode(), "{}"]
    assert [one.name for one in engine.state.alerts.values()] == ["Down", "Slow"]


def test_a_record_without_tabs_is_a_dead_letter() -> None:
    """Whoever writes it in another way is told so."""
    value = b'{"alerts":[' + value_of("Down") + b"]}"

    effects = Engine(0, shipped()).apply([StoredRecord(0, START_MS, b"api", value)])

    expected = "malformed: a record of several alerts has to have a tab between two alerts"
    assert tell(effects).split(maxsplit=2)[2] == f"{expected}\n"


def test_a_second_copy_of_the_record_changes_nothing() -> None:
    """The position that it follows from counts for all of its alerts."""
    engine, header = Engine(0, shipped()), Source("raw", 0, 7).header()
    first = record(0, value_of("Down"), value_of("Slow"))
    second = record(1, value_of("Full"), value_of("Slow"))
    first.headers = second.headers = (header,)
    engine.apply([first])

    assert engine.apply([second]) == []
    assert engine.counts["duplicates"] == 1
