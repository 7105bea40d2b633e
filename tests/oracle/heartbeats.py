"""Heartbeats.

Alerts that always fire, and open no incident; that one is not heard of any more is an alert of its
own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.alert import fingerprint
from models.duration import parse_ms
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


def missing_ms(policy: Mapping[str, Any], beat: Beat) -> int | None:
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
    elif firing or not known.heard:
        known.count, known.last_ms = known.count + 1, naive.now_ms
    return True


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
