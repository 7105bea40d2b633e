"""What is told of a wrong clock and of a backlog."""

from types import SimpleNamespace

from app.core.engine import Engine
from app.transport.log import StoredRecord
from app.worker.health import Health
from tests.support.hand_stopwatch import HandStopwatch
from tests.support.scenario import START_MS
from tests.support.shipped_policy import shipped


def watched() -> tuple[HandStopwatch, Health, Engine]:
    """A worker's health, of one partition that has applied the first tick."""
    hand = HandStopwatch()
    health, engine = Health(hand), Engine(0, shipped())
    apply(engine, health, START_MS)
    return hand, health, engine


def apply(engine: Engine, health: Health, at_ms: int) -> None:
    """The worker's tick, applied at once."""
    offset = engine.applied_offset + 1
    engine.apply([StoredRecord(offset, at_ms, None, health.next_tick())])


def test_all_is_well() -> None:
    """Nothing is told while ticks are applied as they come."""
    hand, health, engine = watched()
    hand.now_ms = 2000
    health.observe({0: SimpleNamespace(engine=engine)})

    assert health.warnings() == []


def test_a_backlog() -> None:
    """What the worker appended 14 s ago and has not applied yet is a backlog; then it is over."""
    hand, health, engine = watched()
    hand.now_ms = 14_000
    health.observe({0: SimpleNamespace(engine=engine)})
    late = health.warnings()
    apply(engine, health, START_MS + 14_000)
    health.observe({0: SimpleNamespace(engine=engine)})

    text = "decisions are 14s late: partition 0 has a backlog of journal records"
    assert (late, health.warnings()) == ([text], [])


def test_a_wrong_clock() -> None:
    """A clock that is an hour behind is told, with what to do."""
    hand, health, engine = watched()
    hand.now_ms = 1000
    apply(engine, health, START_MS - 3_599_000)
    health.observe({0: SimpleNamespace(engine=engine)})

    text = (
        "the clock that stamps the journal is 1h behind;"
        " time goes on by the worker's own clock: set the machine's clock right"
    )
    assert health.warnings() == [text]


def test_a_driven_clock_has_no_backlog() -> None:
    """A worker that never told its run, as on a driven clock, is not behind."""
    hand = HandStopwatch()
    health, engine = Health(hand), Engine(0, shipped())
    hand.now_ms = 60_000
    health.observe({0: SimpleNamespace(engine=engine)})

    assert health.warnings() == []
