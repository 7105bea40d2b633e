"""Gaps in the ticks, and clocks that are wrong: nothing happens because nobody listened."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from app.core.engine import Engine
from app.transport.log import StoredRecord
from models.effect import Effect, Stream
from models.journal import encode_command, encode_tick
from tests.support.scenario import START_MS, alert_record, assert_cuts_change_nothing
from tests.support.shipped_policy import shipped

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
LABELS = {"alertname": "ServiceDown", "component": "api", "severity": "critical"}


TOLD = (Stream.NOTIFICATIONS, Stream.TIMELINE)
# Kinds of notifications that a gap or a wrong clock might bring about.
PAGES = {"opened", "escalated", "clock_warned", "clock_breached", "resolved", "updated"}


class World:
    """One partition: an engine, its journal, a worker's run and a wall clock that may be wrong."""

    def __init__(self) -> None:
        self.engine = Engine(0, shipped())
        self.journal: list[StoredRecord] = []
        self.effects: list[Effect] = []
        self.real_ms = START_MS  # true time
        self.wall_off_ms = 0  # how wrong the clock is that stamps records
        self.run, self.begun_ms = 1, START_MS

    def put(self, key: bytes | None, value: bytes | None) -> list[str]:
        """Append a record, and return what it caused."""
        at_ms = self.real_ms + self.wall_off_ms
        record = StoredRecord(len(self.journal), at_ms, key, value)
        self.journal.append(record)
        effects = self.engine.apply([record])
        self.effects += effects
        return [kind_of(effect) for effect in effects if effect.stream in TOLD]

    def tick(self) -> list[str]:
        """The worker's tick."""
        return self.put(None, encode_tick(f"run {self.run}", self.real_ms - self.begun_ms))

    def work(self, for_ms: int, every: Callable[[], Any] | None = None) -> list[str]:
        """Let time pass with a tick each second; `every` is done each half a minute."""
        caused: list[str] = []
        until_ms = self.real_ms + for_ms
        while self.real_ms < until_ms:
            self.real_ms += SECOND
            if every is not None and self.real_ms % (30 * SECOND) < SECOND:
                every()
            caused += self.tick()
        return caused

    def stop(self, for_ms: int) -> None:
        """The worker is away, and then another run of it begins."""
        self.real_ms += for_ms
        self.run, self.begun_ms = self.run + 1, self.real_ms

    def fire(self, *, firing: bool = True, ttl_ms: int = 4 * MINUTE, **labels: str) -> list[str]:
        """An alert fires, or ends."""
        about = LABELS | labels
        record = alert_record(0, about, about["component"], firing=firing, ttl_ms=ttl_ms)
        return self.put(record.key, record.value)

    def command(self, name: str) -> list[str]:
        """An operator's command about the only incident."""
        (incident,) = self.engine.state.incidents
        return self.put(b"", encode_command(name, incident, "ann", text=""))

    @property
    def off_ms(self) -> int:
        """How far engine time is from true time."""
        return self.engine.state.now_ms - self.real_ms


def kind_of(effect: Effect) -> str:
    """The kind of a notification or of a timeline entry."""
    return str(orjson.loads(effect.value)["kind"])


def running() -> World:
    """A worker that has run for a minute."""
    world = World()
    world.tick()
    world.work(MINUTE)
    return world


@pytest.mark.parametrize("away_ms", [6 * MINUTE, 6 * HOUR])
def test_nothing_expires_because_nobody_listened(away_ms: int) -> None:
    """After a stop an alert that is still sent goes on, its acknowledgement stays, and nobody is told anything."""
    world = running()
    world.fire()
    world.command("acknowledge")
    world.work(5 * MINUTE, world.fire)
    world.stop(away_ms)

    caused = world.work(90 * SECOND)  # until its sender could be heard again
    world.fire()
    caused += world.work(5 * MINUTE, world.fire)

    (incident,) = world.engine.state.incidents.values()
    assert (incident.state, set(caused) & PAGES, "AlertExpired" in caused) == (
        "acknowledged",
        set(),
        False,
    )


def test_an_alert_that_nobody_sends_any_more_ends() -> None:
    """What is not heard of after a stop ends when its time to live has passed since."""
    world = running()
    world.fire()
    world.command("acknowledge")  # what nobody took would fire on
    world.stop(HOUR)

    before, after = world.work(4 * MINUTE - 2 * SECOND), world.work(5 * SECOND)

    assert ("AlertExpired" in before, "AlertExpired" in after) == (False, True)


def test_steps_and_clocks_go_on_where_they_were() -> None:
    """The first step is reached after so long of listening, not at once after a stop."""
    undisturbed, stopped = running(), running()
    caused = {}
    for world, away_ms in ((undisturbed, 0), (stopped, 6 * HOUR)):
        world.fire(ttl_ms=DAY)
        world.work(MINUTE)
        if away_ms:
            world.stop(away_ms)
        caused[away_ms] = [kind for kind in world.work(20 * MINUTE) if kind in PAGES]

    assert caused[6 * HOUR] == caused[0] != []


def test_what_came_and_went_in_a_gap_is_told_to_nobody() -> None:
    """An alert that fired and ended while the worker was away pages nobody when it is back."""
    world = running()
    world.real_ms += 30 * SECOND
    caused = world.fire()
    world.real_ms += 30 * SECOND
    caused += world.fire(firing=False)
    world.stop(30 * SECOND)

    caused += world.work(MINUTE)

    assert set(caused) & PAGES == set()


def test_what_still_fires_after_a_gap_is_told_once() -> None:
    """An alert that fired while the worker was away is told when it is back, with its newest state only."""
    world = running()
    world.real_ms += 30 * SECOND
    caused = world.fire(ttl_ms=DAY)
    assert set(caused) & PAGES == set()
    world.real_ms += 10 * MINUTE
    world.fire(ttl_ms=DAY)
    world.stop(30 * SECOND)

    caused = world.work(MINUTE)

    assert set(caused) & PAGES == {"opened"}


def test_one_tick_ends_a_gap_without_a_burst() -> None:
    """Of an incident that has waited for hours for everything, nothing is due at the first tick."""
    world = running()
    world.fire(ttl_ms=DAY)
    world.work(10 * SECOND)
    world.stop(6 * HOUR)

    assert set(world.tick()) & PAGES == set()


@pytest.mark.parametrize(
    ("off_ms", "lasts_ms"),
    [(-HOUR, 10 * MINUTE), (DAY, 3 * SECOND), (DAY, 10 * MINUTE)],
)
def test_a_wrong_clock_stops_nothing(off_ms: int, lasts_ms: int) -> None:
    """Whatever the clock says for a while, escalation comes as on a right one, and nothing expires."""
    right, wrong = running(), running()
    caused = {}
    for world in (right, wrong):
        world.fire(ttl_ms=4 * MINUTE)
        world.wall_off_ms = 0 if world is right else off_ms
        told = world.work(lasts_ms, world.fire)
        world.wall_off_ms = 0
        told += world.work(10 * MINUTE, world.fire)
        caused[world is right] = [kind for kind in told if kind in PAGES | {"AlertExpired"}]

    assert caused[False] == caused[True] != []
    assert abs(wrong.off_ms) <= 30 * SECOND


def test_a_wrong_clock_is_known() -> None:
    """While append times are not used, the state says by how much they are off; then that they are right."""
    world = running()
    world.wall_off_ms = -HOUR
    world.work(30 * SECOND)
    wrong_by_ms = world.engine.state.clock.wrong_by_ms
    world.wall_off_ms = 0
    world.work(30 * SECOND)

    assert -HOUR - SECOND < wrong_by_ms < -HOUR + 2 * SECOND
    assert (world.engine.state.clock.wrong_by_ms, abs(world.off_ms) < 2 * SECOND) == (0, True)


def test_a_clock_that_went_back_over_a_restart() -> None:
    """Time goes on after a restart too, although the clock is behind what the state knows."""
    world = running()
    world.fire(ttl_ms=DAY)
    world.wall_off_ms = -HOUR
    world.stop(5 * SECOND)

    caused = world.work(10 * MINUTE)

    assert "escalated" in caused


def test_a_silence_ends_in_a_gap() -> None:
    """What was silenced until some time in a gap is told after the gap, like an opening."""
    world = running()
    silence = {
        "silence": "s1",
        "by": "ann",
        "comment": "x",
        "matchers": [["alertname", "=", "ServiceDown"]],
    }
    times = {"starts_ms": world.real_ms, "ends_ms": world.real_ms + HOUR}
    world.put(None, orjson.dumps(silence | times))
    caused = world.fire(ttl_ms=DAY)
    world.stop(6 * HOUR)
    world.tick()
    caused += world.work(MINUTE)

    assert set(caused) & PAGES == {"opened"}


def test_batches_change_nothing() -> None:
    """Gaps and wrong clocks are decided by the journal alone, wherever it is cut and restored."""
    world = running()
    world.fire()
    world.work(90 * SECOND, world.fire)
    world.real_ms += 40 * SECOND
    world.fire(component="web")
    world.stop(2 * MINUTE)
    world.work(20 * SECOND)
    world.wall_off_ms = DAY
    world.work(5 * SECOND)
    world.fire(component="db")
    world.wall_off_ms = -HOUR
    world.work(30 * SECOND)
    world.wall_off_ms = 0
    world.work(MINUTE)

    assert_cuts_change_nothing(shipped(), world.journal, [7, 60, 1, 1, 80, 2, 13, 40, 5])
