"""A seeded workload: alerts as producers write them to the raw topic, one JSON object in a record.

Most records say again what fires, some are of alerts that are new, a few say that one has ended.
Each says when its alert ends if nobody sends it again, as Prometheus does: that text moves on with
every group of records, so a repeat is never the same bytes twice. The ends lie beyond the longest
time to live that Tocsin grants: how long the bench takes changes no time to live.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

import orjson

from models.text.instant import format_instant

NAMES = (
    *("HighLatency", "DiskFull", "web-status-400", "PodCrashLooping"),
    *("HighRequestRate", "TargetDown", "QueueBacklog", "CertExpiring"),
)
DESCRIPTION = "what the detector says about it, at some length " * 3
ENDS_AHEAD_MS = 8 * 86_400_000  # more than `app.intake.normalise.HOLD_MAX_MS`
GROUP = 500  # records that say the same end
STEP_MS = 1_000  # by which the end moves from group to group


class Mix(NamedTuple):
    """How many records, and the shares of what is not a repeat."""

    alerts: int
    new: float = 0.05
    ended: float = 0.01
    components: int = 200
    live: int = 0  # alerts that begin to fire first, and are not counted in `alerts`


class Raw(NamedTuple):
    """A record of the raw topic, and what it is: `new`, `repeat` or `ended`."""

    kind: str
    component: bytes
    value: bytes


def workload(mix: Mix, now_ms: int, seed: int = 7) -> Iterator[Raw]:
    """The records, in the order in which they are sent. What has ended is not sent again."""
    dice = random.Random(seed)
    firing = list(range(mix.live))
    known = mix.live
    for number in firing:
        yield _raw("new", number, mix, now_ms + ENDS_AHEAD_MS)
    for number in range(mix.alerts):
        ends_ms = now_ms + ENDS_AHEAD_MS + number // GROUP * STEP_MS
        draw = dice.random()
        if draw < mix.new or not firing:
            firing.append(known)
            yield _raw("new", known, mix, ends_ms)
            known += 1
        elif draw < mix.new + mix.ended:
            place = dice.randrange(len(firing))
            firing[place], firing[-1] = firing[-1], firing[place]
            yield _raw("ended", firing.pop(), mix, now_ms - 60_000)
        else:
            yield _raw("repeat", dice.choice(firing), mix, ends_ms)


def _raw(kind: str, number: int, mix: Mix, ends_ms: int) -> Raw:
    name, component = NAMES[number % len(NAMES)], f"c{number * 7919 % mix.components}"
    labels = {
        "alertname": name,
        "severity": severity_of(number),
        "component": component,
        "instance": f"10.{number // 62500}.{number // 250 % 250}.{number % 250}:9100",
        "job": "node",
        "cluster": "prod-eu-1",
        "namespace": "payments",
    }
    entry = {
        "labels": labels,
        "annotations": {"summary": f"{name} on {component}", "description": DESCRIPTION},
        "startsAt": "2026-01-01T00:00:00.000Z",
        "endsAt": format_instant(ends_ms),
        "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
    }
    return Raw(kind, component.encode(), orjson.dumps(entry))


def severity_of(number: int) -> str:
    """One in 100 is a P0 and four are P1, by the shipped policy's names; the others are P2 and P3."""
    match number % 100:
        case 0:
            return "critical"
        case 20 | 40 | 60 | 80:
            return "high"
        case rest:
            return "warning" if rest % 2 else "info"
