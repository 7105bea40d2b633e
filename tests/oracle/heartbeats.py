"""Heartbeats.

Alerts that always fire, and open no incident; that one is not heard of any more is an alert of its
own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.alert import fingerprint
from models.text.duration import parse_ms
from tests.oracle import places
from tests.oracle.facts import Known, evaluated_alert
from tests.oracle.policy import matches

if TYPE_CHECKING:
    from tests.oracle.oracle import Naive

NEVER_MS = 1 << 50


@dataclass(eq=False)
class Beat:
    """A heartbeat."""

    fingerprint: str
    rule: str
    labels: Mapping[str, str]
    component: str
    last_ms: int
    count: int = 1
    heard: bool = True


def missing_ms(policy: Mapping[str, Any], beat: "Beat | Expected") -> int | None:
    """How long it may not be heard of."""
    return next(
        (parse_ms(rule["missing"]) for rule in policy["heartbeats"] if rule["name"] == beat.rule),
        None,
    )


def note_heartbeat(naive: "Naive", document: Mapping[str, Any], component: str) -> bool:
    """Whether a record is a heartbeat's.

    One that ends is not heard of, and will be missing in time.
    """
    known, firing = naive.beats.get(document["alert"]), document["status"] == "firing"
    rules = [
        rule["name"]
        for rule in naive.policy["heartbeats"]
        if matches(rule["match"], document["labels"])
    ]
    if known is None and (not rules or not firing):
        return False
    if known is None or (firing and not known.heard):
        beat = Beat(document["alert"], rules[0], document["labels"], component, naive.now_ms)
        naive.beats[document["alert"]] = beat
        alert = _heartbeat_alert(naive, beat)
        if alert is not None and alert.firing:
            naive.reached.add("heard of again")
            alert.firing = False
            naive.alert_ended(alert, "AlertEnded")
        _tell_received(naive, beat)
    elif firing or not known.heard:
        known.count, known.last_ms = known.count + 1, naive.now_ms
    return True


def miss(naive: "Naive", beat: "Beat | Expected") -> None:
    """One was not heard of for too long, or never."""
    if isinstance(beat, Beat):
        miss_heartbeat(naive, beat)
    else:
        miss_expected(naive, beat)


def expected_deadlines(naive: "Naive") -> Iterator[tuple[int, str, str, "Expected"]]:
    """When those are missing that were never heard of."""
    for beat in naive.expected:
        missing = missing_ms(naive.policy, beat)
        if not beat.over and missing is not None:
            yield beat.since_ms + missing, "heartbeat", beat.fingerprint, beat


def miss_heartbeat(naive: "Naive", beat: Beat) -> None:
    """It was not heard of for too long."""
    naive.reached.add("missing")
    beat.heard = False
    rule = next(one for one in naive.policy["heartbeats"] if one["name"] == beat.rule)
    known = _heartbeat_alert(naive, beat)
    if known is not None and known.firing:
        return
    if known is None or known.incident is None:
        labels = {**beat.labels, "alertname": beat.rule}
        judge = evaluated_alert(
            naive.policy, {"alert": beat.fingerprint, "labels": beat.labels}, beat.component
        )
        owner = rule.get("owner", judge.owner)
        fresh = Known(
            fingerprint(labels), beat.component, labels, rule["severity"], owner, judge.kind
        )
        naive.alerts = [alert for alert in naive.alerts if alert is not known] + [fresh]
        fresh.changes = known.changes if known else []
        known = fresh
    known.firing, known.last_ms, known.ttl_ms = True, naive.now_ms, NEVER_MS
    naive.fired(known)


def _heartbeat_alert(naive: "Naive", beat: Beat) -> Known | None:
    identity = fingerprint({**beat.labels, "alertname": beat.rule})
    return next((alert for alert in naive.alerts if alert.fingerprint == identity), None)


# Those that the policy expects, whether or not they were ever heard of.


@dataclass(eq=False)
class Expected:
    """A heartbeat that is expected."""

    rule: str
    labels: Mapping[str, str]
    since_ms: int
    over: bool = False  # it was heard of, or it was told that it never was

    @property
    def fingerprint(self) -> str:
        """Of the alert that it is missing."""
        return fingerprint({**self.labels, "alertname": self.rule})


def expect(naive: "Naive", before: Mapping[str, Any]) -> None:
    """A policy says what is expected."""
    wanted, former = _wanted(naive.policy), _wanted(before)
    for expected in list(naive.expected):
        about = (expected.rule, dict(expected.labels))
        if about in former and about not in wanted:
            naive.expected.remove(expected)
            _end_expected(naive, expected.fingerprint)
    for beat in naive.beats.values():
        if beat.heard:
            _tell_received(naive, beat)
    naive.messages += [(_note_expected, naive, rule, labels, False) for rule, labels in wanted]


def _tell_received(naive: "Naive", beat: Beat) -> None:
    for rule, labels in _wanted(naive.policy):
        if rule == beat.rule and all(beat.labels.get(name) == labels[name] for name in labels):
            naive.messages.append((_note_expected, naive, rule, labels, True))


def _wanted(policy: Mapping[str, Any]) -> list[tuple[str, dict[str, str]]]:
    return [
        (rule["name"], labels)
        for rule in policy["heartbeats"]
        for labels in rule.get("expected", [])
    ]


def _note_expected(naive: "Naive", rule: str, labels: Mapping[str, str], heard: bool) -> None:
    found = [one for one in naive.expected if (one.rule, one.labels) == (rule, labels)]
    expected = found[0] if found else Expected(rule, labels, naive.now_ms)
    if not found:
        naive.expected.append(expected)
    if heard:
        expected.over = True
        _end_expected(naive, expected.fingerprint)


def _end_expected(naive: "Naive", identity: str) -> None:
    for alert in naive.alerts:
        if alert.fingerprint == identity and alert.firing:
            naive.reached.add("expected, and heard of late")
            alert.firing = False
            naive.alert_ended(alert, "AlertEnded")


def miss_expected(naive: "Naive", expected: Expected) -> None:
    """It was never heard of, which is told once."""
    naive.reached.add("never heard of")
    expected.over = True
    rule = next(one for one in naive.policy["heartbeats"] if one["name"] == expected.rule)
    identity = expected.fingerprint
    known = next((alert for alert in naive.alerts if alert.fingerprint == identity), None)
    if known is not None and known.firing:
        return
    if known is None or known.incident is None:
        labels = {**expected.labels, "alertname": expected.rule}
        component = places.where(naive.policy, expected.labels, identity)
        judge = evaluated_alert(naive.policy, {"alert": identity, "labels": labels}, component)
        owner = rule.get("owner", judge.owner)
        fresh = Known(identity, component, labels, rule["severity"], owner, judge.kind)
        naive.alerts = [alert for alert in naive.alerts if alert is not known] + [fresh]
        fresh.changes = known.changes if known else []
        known = fresh
    known.firing, known.last_ms, known.ttl_ms = True, naive.now_ms, NEVER_MS
    naive.fired(known)
