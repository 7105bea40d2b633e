"""Which group an alert is near: the reasons one by one, ends, bounds, and bad input."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from app.core.correlation.background import background_hours
from app.core.correlation.near_labels import shared_by
from app.core.correlation.near_sentence import sentence
from app.core.correlation.nearness import FiredAlert, Join, on_ended, on_fired
from app.core.rules.near_tuning import Nearby, Tuning
from app.core.state.near_memory import NearMemory
from app.core.state.near_state import Bounds, NearState, changes, restore

BEGIN_MS = 1_767_225_600_000
SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1000, 60_000, 3_600_000, 86_400_000
TUNING = Tuning()


class Story:
    """A state, and alerts that are told to it."""

    def __init__(self, tuning: Tuning = TUNING, bounds: Bounds | None = None) -> None:
        self.state, self.tuning, self.at_ms = NearState(bounds or Bounds()), tuning, BEGIN_MS
        self.memory = NearMemory()

    def fire(
        self, name: str, component: str, *, severity: str = "P2", may: bool = True, **labels: str
    ) -> Join:
        """An alert begins to fire now."""
        fingerprint = f"{name} {component} {severity}"
        shared = shared_by(component, {"alertname": name, **labels}, self.tuning.place_labels)
        hours = background_hours(self.memory, self.tuning, fingerprint, self.at_ms) if may else 0
        alert = FiredAlert(self.at_ms, fingerprint, severity, shared, hours)
        return on_fired(self.state, self.tuning, alert)

    def wait(self, ms: int) -> "Story":
        """Time passes."""
        self.at_ms += ms
        return self

    def end(self, name: str, component: str, *, resolved: bool = True) -> None:
        """An alert ends."""
        on_ended(self.state, f"{name} {component} P2", resolved=resolved)
        if resolved:
            self.memory.resolve(f"{name} {component} P2")


def after_a_day(tuning: Tuning = TUNING) -> Story:
    """A story that had one alert a day ago, so that what comes now is rare."""
    story = Story(tuning)
    story.fire("Early", "elsewhere")
    return story.wait(DAY_MS)


def test_the_same_alert_again() -> None:
    """It fired less than fifteen minutes ago."""
    story = after_a_day()
    first = story.fire("Down", "db")
    story.end("Down", "db")
    again = story.wait(8 * SECOND_MS).fire("Down", "db")
    story.end("Down", "db")
    later = story.wait(15 * MINUTE_MS + 1).fire("Down", "db")

    assert (first.group, Nearby.AGAIN) == (again.group, again.reason)
    assert later.reason is Nearby.NEW
    assert sentence(again) == "the same alert fired 8 s before"


def test_the_same_place() -> None:
    """Two hosts of a rare domain, eight seconds apart."""
    story = after_a_day()
    first = story.fire("Down", "api", instance="db.example.org:80")
    join = story.wait(8 * SECOND_MS).fire("Latency", "web", instance="db.example.org:81")

    expected = "db.example.org too, 8 s apart; seen in 1 % of quarters of an hour"
    assert (first.group, Nearby.PLACE, expected) == (join.group, join.reason, sentence(join))


def test_the_same_kind_elsewhere() -> None:
    """A rare alertname, in a group in which something fires."""
    story = after_a_day()
    first = story.fire("Down", "db")
    join = story.wait(3 * MINUTE_MS).fire("Down", "web")

    expected = "Down too, 3 min apart, and that is not resolved; seen in 4.1 % of hours"
    assert (first.group, Nearby.KIND, expected) == (join.group, join.reason, sentence(join))


def test_another_severity_of_a_kind_has_to_be_nearer() -> None:
    """Five minutes, not two hours."""
    story = after_a_day()
    story.fire("Down", "db")
    join = story.wait(5 * MINUTE_MS + 1).fire("Down", "web", severity="P1")

    assert join.reason is Nearby.NEW


@pytest.mark.parametrize(("resolved", "reason"), [(True, Nearby.NEW), (False, Nearby.KIND)])
def test_a_resolve_ends_a_group_and_an_expiry_does_not(*, resolved: bool, reason: Nearby) -> None:
    """Nobody knows whether what expired is over."""
    story = after_a_day()
    story.fire("Down", "db")
    story.end("Down", "db", resolved=resolved)

    assert reason is story.wait(3 * MINUTE_MS).fire("Down", "web").reason


def test_what_expired_can_still_be_resolved() -> None:
    """A late resolve ends the group too, and an alert that returns counts once."""
    story = after_a_day()
    story.fire("Down", "db")
    story.end("Down", "db", resolved=False)
    story.wait(SECOND_MS).fire("Down", "db")
    story.end("Down", "db", resolved=False)
    story.end("Down", "db", resolved=True)

    group = next(reversed(story.state.groups.values()))
    assert (group.firing, group.expired) == (0, 0)
    assert story.fire("Down", "web").reason is Nearby.NEW


def _noisy(*, may: bool = True, resolved: bool = False) -> list[Join]:
    story, joins = Story(), []
    for _ in range(9):
        joins.append(story.wait(HOUR_MS).fire("Noise", "mail", may=may))
        story.end("Noise", "mail", resolved=resolved)
        joins.append(story.wait(MINUTE_MS).fire("Murmur", "web", may=may))
        story.end("Murmur", "web", resolved=resolved)
    return joins


def test_what_comes_all_day_is_background() -> None:
    """From the ninth hour on two events that share nothing are one group."""
    first, second = _noisy()[-2:]

    expected = "background: it came in 8 of the last 24 hours, and nobody resolves it"
    assert (first.group, expected) == (second.group, sentence(second))


@pytest.mark.parametrize(("may", "resolved"), [(False, False), (True, True)])
def test_what_is_urgent_or_resolved_is_no_background(*, may: bool, resolved: bool) -> None:
    """P0 and P1 never are; what somebody resolves is a state and no event."""
    reasons = {join.reason for join in _noisy(may=may, resolved=resolved)}

    assert Nearby.BACKGROUND not in reasons


@pytest.mark.parametrize("reason", [Nearby.AGAIN, Nearby.PLACE, Nearby.KIND])
def test_each_reason_can_be_switched_off(reason: Nearby) -> None:
    """Then the alert is new."""
    again = reason is Nearby.AGAIN
    story = after_a_day(
        replace(TUNING, again=not again, place=reason is Nearby.KIND, kind=reason is Nearby.PLACE)
    )
    story.fire("Down", "web" if reason is Nearby.KIND else "db")
    name = "Latency" if reason is Nearby.PLACE else "Down"

    assert story.wait(SECOND_MS).fire(name, "db").reason is Nearby.NEW


def test_time_does_not_go_back() -> None:
    """A clock that does is our fault: the journal has one clock."""
    story = after_a_day()
    with pytest.raises(AssertionError):
        story.wait(-DAY_MS - 1).fire("Down", "db")


def test_every_map_has_a_bound_and_its_order_survives() -> None:
    """What was touched longest ago is forgotten first, before a restart and after."""
    bounds = Bounds(tokens=8, alerts=4, groups=3)
    stories = [Story(bounds=bounds), Story(bounds=bounds)]
    written: dict[str, list[Any]] = {}
    joins: tuple[list[Join], list[Join]] = ([], [])
    random = Random(1)
    for _ in range(300):
        number, wait_ms = random.randrange(9), random.choice([1000, 60_000, 3_600_000])
        for story, seen in zip(stories, joins, strict=True):
            seen.append(story.wait(wait_ms).fire(f"Kind{number % 4}", f"c{number}", host="h"))
        for key, value in changes(stories[1].state):
            written.pop(key, None)
            written |= {key: value} if value is not None else {}
        stories[1].state = restore(written.items(), bounds)

    state = stories[0].state
    maps = (state.tokens, state.alerts, state.groups)
    assert [len(part) for part in maps] == [8, 4, 3]
    assert joins[0] == joins[1]
    assert len(written) == sum(len(part) for part in maps) + 1


@pytest.mark.parametrize(
    "host",
    ["", "the only one", "." * 300, "a." * 5000, "x" * 100_000, "localhost", "\0"],
)
def test_bad_places_neither_fail_nor_join_everything(host: str) -> None:
    """One place for all, none, or nonsense: after the first two hours it tells nothing."""
    story, groups = Story(), []
    for number in range(400):
        kind = f"Kind{number}"
        groups.append(story.wait(5 * MINUTE_MS).fire(kind, f"component-{number}", host=host).group)

    assert len(set(groups)) > 350


def test_hours_between_alerts_and_no_labels_at_all() -> None:
    """Neither a jump of years nor an alert without any label is a fault."""
    story = Story()
    joins = [story.wait(number * DAY_MS * 100).fire("", "") for number in range(5)]

    assert [join.group for join in joins] == [1, 2, 3, 4, 5]
