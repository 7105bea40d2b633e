"""Deadlines are found anew when what they read has changed: equal inputs give equal deadlines."""

from copy import copy
from dataclasses import fields, replace
from functools import lru_cache
from random import Random
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.deadline_inputs import deadline_inputs
from app.core.engine import Engine
from app.core.incident_timers import _SOURCES, next_deadline
from app.core.state.deadline import Deadline
from app.core.state.live_alert import Suppression
from app.core.state.near_part import NearPart
from app.core.state.state import Incident
from app.core.state.turn import Turn
from models.command import Command
from models.incident import State
from models.policy.time_interval import NEVER_MS
from models.severity import Severity
from tests.oracle import journals as j
from tests.oracle.policies import POLICIES
from tests.support.example_counts import examples

KINDS = j.Kinds(
    "fire fire fire fire again end flap tick command silence policy",
    alerts=(*j.FEW, *j.URGENT),
    waits=j.SHORT,
    holds=j.LONG,
    policies=("default", "hours"),
    commands=(*Command, *[Command.ACKNOWLEDGE] * 8),
)
DAY_MS = 86_400_000


@lru_cache(maxsize=64)
def played(policy: str, seed: int) -> Engine:
    """The engine after a random journal."""
    return j.told(POLICIES[policy], POLICIES, KINDS.journal(Random(seed))).engine


def deadlines(turn: Turn, incident: Incident) -> list[Deadline]:
    """All deadlines of all sources, in their order."""
    return [deadline for source in _SOURCES for deadline in source(turn, incident)]


_texts = st.sampled_from(["", "x", "infrastructure", "data", "security", "ann", "root_cause", "P0"])
_moments = st.sampled_from([-DAY_MS, -3_600_000, -900_000, -60_000, -1, 0, 1])
_ints = st.sampled_from([0, 1, 2, 3, 9])
_HOLD = Suppression("because")
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "str": _texts,
    "State": st.sampled_from([State.OPEN, State.ACKNOWLEDGED, State.RESOLVED]),
    "Severity": st.sampled_from(Severity),
    "list[str]": st.lists(
        st.sampled_from(["p0-lasting", "long", "undiagnosed", "unmitigated", "x"]), max_size=2
    ),
    "dict[str, list[str]]": st.sampled_from([{}, {"long": ["because", "0-1"]}]),
    "dict[str, str]": st.sampled_from(
        [{}, {"acknowledge": "warned"}, {"acknowledge": "met"}, {"resolve": "P0"}, {"opened": "x"}]
    ),
    "dict[str, int]": st.sampled_from([{}, {"acknowledge": 7}, {"resolve": 9, "x": 1}]),
    "dict[str, Suppression]": st.sampled_from([{}, {"rule/x": _HOLD}]),
    "dict[str, bool]": st.sampled_from([{}, {"x": True}]),
    "NearPart | None": st.sampled_from([None, NearPart(1, "near/all", roots=["x"])]),
    "dict[str, str] | None": st.sampled_from([None, {"verdict": "genuine"}]),
}
_HINTS = {"clock_severity": "severities"}
_VALUES["severities"] = st.sampled_from([{}, {"acknowledge": "P0"}, {"resolve": "P3"}])
_APART = {
    "members",
    "alerts",
    "firing_by",
    "ranking",
    "common_labels",
    "shown",
    "deadline_inputs",
}  # drawn otherwise, or not read
_FIELDS = [one.name for one in fields(Incident) if one.name not in _APART]


@st.composite
def _changes(draw: st.DrawFn) -> tuple[str, Any]:
    """A field, and another value for it; of a time, its distance from now."""
    name = draw(st.sampled_from([*_FIELDS, "alert", "members"]))
    if name == "alert":
        part = draw(
            st.sampled_from(["firing", "ended_ms", "fired_ms", "suppressions", "severity", "named"])
        )
        return f"alert.{part}", draw(st.booleans() if part == "firing" else _moments)
    if name == "members":
        return name, None
    kind = _HINTS.get(name, _kind(name))
    if name.endswith("_ms") and kind == "int":
        return name, draw(_moments)
    return name, draw(_ints if kind == "int" else _VALUES[kind])


def _kind(name: str) -> str:
    hint = get_type_hints(Incident)[name]
    text = getattr(hint, "__name__", str(hint)) if isinstance(hint, type) else str(hint)
    if str(hint).startswith(("list", "dict")):
        text = str(hint)
    for module in (
        "app.core.state.near_part.",
        "app.core.state.live_alert.",
        "models.severity.",
        "models.incident.",
    ):
        text = text.replace(module, "")
    return text


def _changed(incident: Incident, now_ms: int, number: int, change: tuple[str, Any]) -> Incident:
    """A copy of the incident with the change; `number` says which of its alerts."""
    name, value = change
    changed = replace(incident)
    if name == "members":
        changed.members = {}
    elif name.startswith("alert.") and incident.alerts:
        part = name.removeprefix("alert.")
        key = sorted(incident.alerts)[number % len(incident.alerts)]
        alert = copy(incident.alerts[key])
        if part.endswith("_ms"):
            value += now_ms
        elif part == "suppressions":
            value = {"rule/x": _HOLD} if value else None
        elif part == "severity":
            value = Severity.P0
        setattr(alert, part, value)
        changed.alerts = incident.alerts | {key: alert}
    elif not name.startswith("alert."):
        is_moment = name.endswith("_ms") and isinstance(value, int) and value != 0
        setattr(changed, name, now_ms + value if is_moment else value)
    return changed


@settings(max_examples=examples(600), deadline=None)
@given(
    st.sampled_from(["default", "hurried", "hours", "other hours"]),
    st.integers(0, 9),
    st.integers(0, 20),
    st.lists(_changes(), min_size=1, max_size=5),
    _changes(),
)
def test_equal_inputs_give_equal_deadlines(
    policy: str, seed: int, number: int, others: list[tuple[str, Any]], last: tuple[str, Any]
) -> None:
    """Whatever changes of an incident, deadlines move only where their inputs do."""
    engine = played(policy, seed)
    if not engine.state.incidents:
        return
    turn, known = engine.turn, sorted(engine.state.incidents.values(), key=lambda one: one.id)
    incident = known[number % len(known)]
    for change in others:
        incident = _changed(incident, turn.now_ms, number, change)
    changed = _changed(incident, turn.now_ms, number, last)

    if deadline_inputs(turn, changed) == deadline_inputs(turn, incident):
        assert deadlines(turn, changed) == deadlines(turn, incident), last


@pytest.mark.parametrize("policy", ["default", "hurried", "hours", "other hours"])
@pytest.mark.parametrize("seed", range(6))
def test_time_alone_moves_only_what_is_past(policy: str, seed: int) -> None:
    """Until the next deadline of an incident comes, it is the next."""
    engine = played(policy, seed)
    turn, now_ms = engine.turn, engine.state.now_ms
    for incident in engine.state.incidents.values():
        due = next_deadline(turn, incident)
        if due is not None and due.at_ms >= NEVER_MS:
            continue
        until_ms = now_ms + 9 * DAY_MS if due is None else due.at_ms
        for at_ms in (now_ms + 1, (now_ms + until_ms) // 2, until_ms - 1, until_ms):
            engine.state.now_ms = max(at_ms, now_ms)
            assert next_deadline(turn, incident) == due
        engine.state.now_ms = now_ms


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from(["default", "hurried", "hours"]), st.integers(0, 10_000))
def test_a_timer_stands_for_the_next_deadline(policy: str, seed: int) -> None:
    """After each record, what is kept of an incident's deadlines is what would be found now."""
    journal = j.told(POLICIES[policy], POLICIES, KINDS.journal(Random(seed))).records
    engine = Engine(0, POLICIES[policy])
    for record in journal:
        engine.apply([record])
        for incident in engine.state.incidents.values():
            due = next_deadline(engine.turn, incident)
            at_ms = 0 if due is None or due.at_ms >= NEVER_MS else due.at_ms
            if incident.deadline_inputs == deadline_inputs(engine.turn, incident):
                assert incident.timer_ms == at_ms


def test_what_changes_in_its_place_is_compared() -> None:
    """A list or a dictionary that grows is another input, and so is one that is not empty any more."""
    engine = played("default", 1)
    turn, incident = engine.turn, replace(next(iter(engine.state.incidents.values())))
    incident.clocks, incident.clock_severity, incident.clock_since_ms = {}, {}, {}
    incident.escalated, incident.mutes, incident.parents = [], [], []
    incident.deferred_escalations, incident.deferred_notification = {}, {}
    seen = [deadline_inputs(turn, incident)]
    incident.clocks["resolve"] = "met"
    seen.append(deadline_inputs(turn, incident))
    incident.clock_severity["resolve"] = "P0"
    seen.append(deadline_inputs(turn, incident))
    incident.clock_since_ms["resolve"] = 1
    seen.append(deadline_inputs(turn, incident))
    for names in (incident.escalated, incident.mutes, incident.parents):
        names.append("x")
        seen.append(deadline_inputs(turn, incident))
    incident.deferred_escalations["x"] = []
    seen.append(deadline_inputs(turn, incident))
    incident.deferred_notification["x"] = ""
    seen.append(deadline_inputs(turn, incident))

    assert len({repr(one) for one in seen}) == len(seen) == 9
