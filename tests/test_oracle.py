"""The engine against the oracle: the same facts for every journal, and the same bytes however the journal is cut.

`TOCSIN_EXAMPLES=20000 pytest tests/test_oracle.py` looks at many more journals of each family than a plain run does, and at
new ones each time; 1,000 take some 20 s for each test. Where they disagree, the documentation says who is right.
"""

import os
from collections import defaultdict
from datetime import datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.effect import Stream
from tests.naive import journals as j
from tests.naive.facts import Happened
from tests.naive.policies import POLICIES
from tests.scenario import assert_cuts_change_nothing, in_order

EXAMPLES = int(os.environ.get("TOCSIN_EXAMPLES", "0"))


def _settings(few: int) -> settings:
    """So many journals, always the same; or as many others as the environment says."""
    return settings(max_examples=EXAMPLES or few, deadline=None, derandomize=not EXAMPLES, print_blob=True)


# What journals are about: the policies that they are played under, and what happens in them.
FAMILIES = {
    "plain": (
        ["default", "hurried", "tight"],
        j.journals(
            j.fires, j.fires, j.again, j.again, j.ticks, j.commands, j.policies("default", "hurried"), j.garbage
        ),
    ),
    "silences": (
        ["default", "hurried"],
        j.journals(
            j.fires, j.fires, j.again, j.ticks, j.commands, j.silenced, j.silenced, j.policies("default", "hurried")
        ),
    ),
    "hours": (
        ["hours", "other hours"],
        j.journals(
            *[j.fires, j.fires, j.again, j.ticks, j.ticks, j.commands, j.silenced],
            j.policies("hours", "other hours", "default"),
        ),
    ),
    "storms": (
        ["storms", "other storms"],
        j.journals(
            *[j.fires, j.fires, j.again, j.again, j.again, j.beats, j.ticks, j.commands, j.done, j.silenced],
            j.policies("storms", "other storms"),
        ),
    ),
    "links": (
        ["linked", "relinked"],
        j.journals(j.fires, j.fires, j.fires, j.again, j.again, j.ticks, j.commands, j.silenced),
    ),
    "links that change": (
        ["linked", "relinked"],
        j.journals(j.fires, j.fires, j.again, j.again, j.ticks, j.policies("linked", "relinked")),
    ),
}


def _ms(instant: str | None) -> int:
    """Milliseconds of an RFC 3339 instant, and 0 of none."""
    return round(datetime.fromisoformat(instant).timestamp() * 1000) if instant else 0


# Kinds of timeline entries that the oracle does not tell.
NOT_YET = ("Guide",)


def _facts_of_engine(told: j.Told) -> dict[str, dict[str, Any]]:
    """What the effects tell of each incident: its newest snapshot, and its timeline, escalations and notifications."""
    facts: dict[str, dict[str, Any]] = defaultdict(
        lambda: {"alerts": [], "timeline": [], "escalations": [], "notifications": [], "tasks": []}
    )
    for effect in told.effects:
        if effect.stream in (Stream.JOURNAL, Stream.DEADLETTER):
            continue
        body = orjson.loads(effect.value)
        if body.get("incident") is None or body["kind"] in NOT_YET:
            continue  # for example a digest
        fact, at_ms = facts[told.names[body["incident"]]], _ms(body["at"])
        if effect.stream is Stream.NOTIFICATIONS:
            fact["notifications"].append((body["kind"], body["channel"], body["receiver"], at_ms))
        elif effect.stream is Stream.FOLLOWUPS:
            fact["tasks"].append((body["name"], body["state"], body["reminded"], at_ms))
        elif effect.stream is Stream.ESCALATIONS:
            records = tuple(told.outside[int(record.partition("-")[2])] for record in body["records"])
            fact["escalations"].append((body["rule"], body["step"], body["to"]["name"], records, at_ms))
        elif effect.stream is Stream.TIMELINE:
            fact["timeline"].append((body["kind"], at_ms))
            if body["kind"] in ("Opened", "AlertFired") and "alert" in body and body["alert"] not in fact["alerts"]:
                fact["alerts"].append(body["alert"])
        else:
            fact |= {name: body[name] for name in ("state", "severity", "class", "component", "owner", "reopened")}
            fact["prefix"] = body["incident"].partition("-")[0]
            fact["opened"], fact["closed"] = _ms(body["opened_at"]), _ms(body["closed_at"])
            fact["acknowledged"] = (_ms(body["acknowledged_at"]), body["acknowledged_by"])
            fact["resolved"] = (_ms(body["resolved_at"]), body["resolved_by"])
            fact["step"], fact["rules"] = body["escalation_step"], body["escalated_by"]
            fact["total"], fact["quiet"] = body["alerts_total"], bool(body["held_by"])
            fact["flapping"] = body["flapping"]
            fact["parents"] = [told.names[name] for name in body["parents"]]
            fact["members"] = {told.names.get(one["alert"], one["alert"]): one["firing"] for one in body["members"]}
    return {name: _in_time(fact) for name, fact in facts.items()}


def _in_time(fact: dict[str, Any]) -> dict[str, Any]:
    """Within one instant, the order of what is told is that of the scenario files and not the oracle's."""
    fact["notifications"].sort(key=lambda one: (one[-1], one))
    fact["timeline"].sort(key=lambda one: (one[-1], one))
    return fact


def _facts_of(incident: Happened) -> dict[str, Any]:
    names = [
        "state",
        "severity",
        "component",
        "owner",
        "prefix",
        "reopened",
        "acknowledged",
        "resolved",
        "step",
        "rules",
    ]
    names += ("alerts", "timeline", "escalations", "notifications", "tasks")
    more = {"opened": incident.opened_ms, "closed": incident.closed_ms, "class": incident.kind, "total": incident.size}
    more |= {"flapping": incident.flapping_ms > 0}
    more |= {"members": {name: member.firing for name, member in incident.members.items()}, "parents": incident.parents}
    return _in_time({name: getattr(incident, name) for name in names} | more | {"quiet": incident.quiet})


def _digests(told: j.Told) -> list[tuple[str, str, int, str, dict[str, int]]]:
    """Receiver, channel, when, the worst severity, and how many messages of each kind."""
    found = []
    for effect in told.effects:
        body = orjson.loads(effect.value)
        if effect.stream is Stream.NOTIFICATIONS and body["kind"] == "digest":
            said = [one.split(" ", 1) for one in body["text"].partition(";")[0].split(", ")]
            counts = {what: int(number) for number, what in said}
            found.append((body["receiver"], body["channel"], _ms(body["at"]), body["severity"], counts))
    return found


def _dead(told: j.Told) -> list[tuple[int, str]]:
    bodies = [orjson.loads(effect.value) for effect in told.effects if effect.stream is Stream.DEADLETTER]
    return [(told.outside[body["offset"]], body["reason"]) for body in bodies]


@pytest.mark.parametrize("family", FAMILIES)
def test_engine_tells_the_facts_of_the_oracle(family: str) -> None:
    """Incidents, times, counts, escalations, notifications and refusals are those of the plain meaning."""
    policies, journals = FAMILIES[family]

    @_settings(50)
    @given(journals, st.sampled_from(policies))
    def _compare(steps: list[j.Step], policy: str) -> None:
        assert_agree(j.told(POLICIES[policy], POLICIES, steps))

    _compare()


def assert_agree(told: j.Told) -> None:
    """Both tell the same."""
    known = {alert.fingerprint: (alert.firing, alert.count, alert.last_ms) for alert in told.naive.alerts}
    known |= {beat.fingerprint: (beat.heard, beat.count, beat.last_ms) for beat in told.naive.beats.values()}
    state = told.engine.state

    assert _facts_of_engine(told) == {one.id: _facts_of(one) for one in told.naive.incidents}
    assert _dead(told) == told.naive.dead
    assert sorted(_digests(told), key=str) == sorted(told.naive.digests, key=str)
    assert {one.fingerprint: (one.firing, one.count, one.last_ms) for one in state.alerts.values()} == known
    assert in_order(told.effects)


@pytest.mark.parametrize("family", FAMILIES)
def test_cuts_and_restarts_change_nothing(family: str) -> None:
    """With what actors say and policy changes in it, a journal gives the same effects and state wherever it is cut."""
    policies, journals = FAMILIES[family]

    @_settings(15)
    @given(journals, st.sampled_from(policies), st.lists(st.integers(1, 12), max_size=8))
    def _cut(steps: list[j.Step], policy: str, cuts: list[int]) -> None:
        told = j.told(POLICIES[policy], POLICIES, steps)

        assert_cuts_change_nothing(told.policy, told.records, cuts)

    _cut()
