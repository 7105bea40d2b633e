"""The engine against the oracle: the same facts for every journal, and the same bytes however the journal is cut.

`TOCSIN_EXAMPLES=20000 pytest tests/test_oracle.py` looks at many more journals than a plain run does, and at new ones
each time.
"""

import copy
import os
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.engine import Engine
from app.core.rulebook import Rulebook
from app.policy_file import load as load_policy
from app.transport.log import StoredRecord
from models.alert import fingerprint
from models.command import Command
from models.effect import Effect, Stream
from models.journal import TICK, encode_command, encode_policy
from tests.naive import Naive
from tests.naive_facts import Happened
from tests.scenario import START_MS, alert_record, assert_cuts_change_nothing, in_order, one_by_one, play

EXAMPLES = int(os.environ.get("TOCSIN_EXAMPLES", "0"))
every_journal = settings(max_examples=EXAMPLES or 150, deadline=None, derandomize=not EXAMPLES, print_blob=True)


# What the oracle does not know of yet is left out of the policies that it is asked about.
PLAIN: dict[str, Any] = {
    "flapping": None,
    "followups": [],
    "dependencies": [],
    "inhibit_rules": [],
    "absences": [],
    "guides": [],
}


def _plain(**parts: Any) -> Rulebook:
    document = copy.deepcopy(load_policy().document)
    times = ("group_wait", "group_interval", "repeat_interval")
    document["notify"] = {name: document["notify"][name] for name in ("channels", "reopened", *times)}
    rules = document["escalations"]
    correlations = [rule for rule in document["correlations"] if "count" in rule]
    for team in document["teams"].values():
        del team["hours"]
    for rule in correlations:
        rule.pop("hold", None)
    del document["targets"]["availability"]
    return Rulebook(document | PLAIN | {"escalations": rules, "correlations": correlations} | parts)


POLICIES = {
    "default": _plain(),
    "hurried": _plain(
        incidents={"settle": "2m", "forget": "3m"},
        escalations=[
            {"name": "p0-lasting", "severity": ["P0", "P1"], "lasting": "6m"},
            {"name": "long", "lasting": "1h"},
            {"name": "security-incident", "class": "security", "always": True},
        ],
    ),
    "tight": _plain(bounds={"alerts": 5, "alerts_in_incident": 2, "incidents": 3}),
}

Step = tuple[Any, ...]

_waits = st.sampled_from([0, 0, 0, 1, 20_000, 60_000, 119_999, 240_000, 300_000, 900_000, 5_000_000, -60_000])
_labels = st.tuples(
    st.sampled_from(["AgentDown", "ServiceDown", "HighErrorRate", "Slow", "Odd", "BruteForce", "DataLoss"]),
    st.sampled_from(["a", "b", "c", ""]),
    st.sampled_from(["warning", "critical", "high", "info", "task", ""]),
)
_holds = st.sampled_from([0, 60_000, 300_000, 7_200_000])
_garbage = st.sampled_from([b"", b"[]", b"{}", b'{"alert":1}', b'{"command":[]}', b"\xff", b'{"x":1}'])
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("fire"), _waits, _labels, _holds),
        st.tuples(st.just("fire"), _waits, _labels, _holds),
        st.tuples(st.just("again"), _waits, st.integers(0, 9), st.booleans(), _holds),
        st.tuples(st.just("again"), _waits, st.integers(0, 9), st.booleans(), _holds),
        st.tuples(st.just("tick"), _waits),
        st.tuples(st.just("command"), _waits, st.integers(0, 5), st.sampled_from(list(Command))),
        st.tuples(st.just("policy"), _waits, st.sampled_from(["default", "hurried"])),
        st.tuples(st.just("garbage"), _waits, _garbage),
    ),
    max_size=40,
)


@dataclass
class Told:
    """A journal from outside, and the oracle that was fed with it."""

    policy: Rulebook
    records: list[StoredRecord]
    naive: Naive


def _told(policy: Rulebook, steps: list[Step]) -> Told:
    """The records that the steps mean. A command is about an incident that the oracle knows by then."""
    naive, records, at_ms = Naive(policy.document), [], START_MS
    heard: list[dict[str, str]] = []
    for kind, wait_ms, *rest in steps:
        at_ms += wait_ms
        record = _record(policy, naive, heard, kind, at_ms, rest)
        naive.feed(record.value or b"", (record.key or b"").decode(), at_ms)
        records.append(record)
    return Told(policy, records, naive)


def _record(
    policy: Rulebook, naive: Naive, heard: list[dict[str, str]], kind: str, at_ms: int, rest: list[Any]
) -> StoredRecord:
    match kind:
        case "fire":
            (name, component, severity), hold_ms = rest
            labels = {"alertname": name, "component": component, "severity": severity}
            labels = {label: value for label, value in labels.items() if value}
            heard.append(labels)
            return alert_record(at_ms, labels, policy.component(labels, fingerprint(labels)), hold_ms=hold_ms)
        case "again":
            number, firing, hold_ms = rest
            labels = heard[-1 - number % len(heard)] if heard else {"alertname": "Slow"}
            return alert_record(
                at_ms, labels, policy.component(labels, fingerprint(labels)), firing=firing, hold_ms=hold_ms
            )
        case "command":
            number, command = rest
            incidents = naive.incidents
            whose = incidents[-1 - number % len(incidents)].id if incidents else "INC-20250615T150640Z-000"
            details = {"to": "bob", "verdict": "genuine", "task": "review"}
            return StoredRecord(-1, at_ms, b"", encode_command(command, whose, "ann", text="hm", **details))
        case "policy":
            changed = POLICIES[rest[0]]
            return StoredRecord(-1, at_ms, None, encode_policy(changed.fingerprint, changed.document))
        case _:
            return StoredRecord(-1, at_ms, None, rest[0] if rest else TICK)


def _ms(instant: str | None) -> int:
    """Milliseconds of an RFC 3339 instant, and 0 of none."""
    return round(datetime.fromisoformat(instant).timestamp() * 1000) if instant else 0


# Kinds of timeline entries that the oracle does not tell.
NOT_YET = ("Held", "Released", "NotHeld", "Guide")


def _facts_of_engine(effects: list[Effect]) -> dict[str, dict[str, Any]]:
    """What the effects tell of each incident: its newest snapshot, and its timeline, escalations and notifications."""
    facts: dict[str, dict[str, Any]] = defaultdict(
        lambda: {"alerts": [], "timeline": [], "escalations": [], "notifications": []}
    )
    for effect in effects:
        if effect.stream in (Stream.JOURNAL, Stream.DEADLETTER):
            continue
        body = orjson.loads(effect.value)
        if body["incident"] is None:
            continue
        if body["kind"] in NOT_YET:
            continue
        fact, at_ms = facts[body["incident"]], _ms(body["at"])
        if effect.stream is Stream.NOTIFICATIONS:
            fact["notifications"].append((body["kind"], body["channel"], body["receiver"], at_ms))
        elif effect.stream is Stream.ESCALATIONS:
            to, records = body["to"]["name"], tuple(body["records"])
            fact["escalations"].append((body["rule"], body["step"], to, records, at_ms))
        elif effect.stream is Stream.TIMELINE:
            fact["timeline"].append((body["kind"], at_ms))
            if body["kind"] in ("Opened", "AlertFired") and "alert" in body and body["alert"] not in fact["alerts"]:
                fact["alerts"].append(body["alert"])
        else:
            fact |= {name: body[name] for name in ("state", "severity", "class", "component", "owner", "reopened")}
            fact["opened"], fact["closed"] = _ms(body["opened_at"]), _ms(body["closed_at"])
            fact["acknowledged"] = (_ms(body["acknowledged_at"]), body["acknowledged_by"])
            fact["resolved"] = (_ms(body["resolved_at"]), body["resolved_by"])
            fact["step"], fact["rules"], fact["total"] = (
                body["escalation_step"],
                body["escalated_by"],
                body["alerts_total"],
            )
    for fact in facts.values():
        fact["notifications"].sort(key=_in_time)
    return dict(facts)


def _in_time(notification: tuple[str, str, str, int]) -> tuple[int, str, str, str]:
    """Within one instant, the order is that of the scenario files and not the oracle's."""
    kind, channel, receiver, at_ms = notification
    return at_ms, kind, channel, receiver


def _facts_of(incident: Happened) -> dict[str, Any]:
    names = ["state", "severity", "component", "owner", "reopened", "acknowledged", "resolved", "step", "rules"]
    names += ("alerts", "timeline", "escalations", "notifications")
    total = len(incident.alerts) + len(incident.members)
    times = {"opened": incident.opened_ms, "closed": incident.closed_ms}
    incident.notifications.sort(key=_in_time)
    return {name: getattr(incident, name) for name in names} | times | {"class": incident.kind, "total": total}


def _dead(effects: list[Effect]) -> list[tuple[int, str]]:
    bodies = [orjson.loads(effect.value) for effect in effects if effect.stream is Stream.DEADLETTER]
    return [(body["offset"], body["reason"]) for body in bodies]


@every_journal
@given(_steps, st.sampled_from(sorted(POLICIES)))
def test_engine_tells_the_facts_of_the_oracle(steps: list[Step], policy: str) -> None:
    """Incidents, times, counts, escalations, notifications and refusals are those of the plain meaning."""
    told = _told(POLICIES[policy], steps)
    journal, effects = play(told.policy, told.records, one_by_one)
    engine = Engine(0, told.policy)
    engine.apply(journal)
    known = {alert.fingerprint: (alert.firing, alert.count, alert.last_ms) for alert in told.naive.alerts}

    assert _facts_of_engine(effects) == {one.id: _facts_of(one) for one in told.naive.incidents}
    assert _dead(effects) == told.naive.dead
    assert {one.fingerprint: (one.firing, one.count, one.last_ms) for one in engine.state.alerts.values()} == known
    assert in_order(effects)


@every_journal
@given(_steps, st.sampled_from(sorted(POLICIES)), st.lists(st.integers(1, 12), max_size=8))
def test_cuts_and_restarts_change_nothing(steps: list[Step], policy: str, cuts: list[int]) -> None:
    """With signals and policy changes in it, a journal gives the same effects and the same state wherever it is cut."""
    told = _told(POLICIES[policy], steps)
    journal, _ = play(told.policy, told.records, one_by_one)

    assert_cuts_change_nothing(told.policy, journal, cuts)
