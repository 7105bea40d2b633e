"""A storm of detectors, seeded: what intrusion detectors say while somebody scans a network.

Its measures are facts of a published set of such alerts (AIT-ADS: Landauer, Skopik, Wurzenberger,
CSET 2024): some two dozen alert types of three detectors, ten hosts, one of which takes 97 % of it,
three types that make nearly all of the noise, about 11,000 alerts in four minutes, 700 in the worst
second. Detectors send no severity and no end; the severity here is what a bridge in front of them
would set: notice for what is only logged, warning for what names an attack.
"""

import random
from collections.abc import Iterator
from typing import Any

from app.demo.scenario import MINUTE_MS, START_MS, Step
from models.text.instant import format_instant

BEGINS_MS = START_MS + 150 * MINUTE_MS
SECONDS = 220
_HOSTS = (
    ("intranet", 970),
    ("web", 10),
    ("mail", 8),
    ("files", 4),
    ("vpn", 3),
    ("dns", 2),
    ("firewall", 1),
    ("share", 1),
    ("cloud", 1),
)
_TYPES = (
    *(("web-status-400", "rules", "notice", 630), ("new-request-method", "anomaly", "notice", 282)),
    *(
        ("web-status-400-burst", "rules", "warning", 49),
        ("new-event-type", "anomaly", "notice", 19),
    ),
    *(
        ("new-status-code", "anomaly", "notice", 4),
        ("ids-event", "rules", "notice", 4),
        ("forbidden-path", "rules", "notice", 3),
    ),
    *(
        ("unusual-characters", "anomaly", "notice", 3),
        ("scanner-user-agent", "network", "warning", 2),
    ),
    *(
        ("ssh-scan", "rules", "warning", 1),
        ("tls-bad-record", "network", "notice", 1),
        ("smtp-bad-reply", "network", "notice", 1),
    ),
    *(
        ("suspicious-url", "rules", "warning", 1),
        ("high-entropy", "anomaly", "notice", 1),
        ("web-attack", "rules", "warning", 1),
    ),
    *(("method-frequency", "anomaly", "notice", 1), ("dns-frequency", "anomaly", "notice", 1)),
)


def storm_steps(alerts: int, seed: int) -> Iterator[Step]:
    """(time in ms, API v2 alerts) second by second; `alerts` in all."""
    dice = random.Random(seed)
    left = alerts
    for second in range(SECONDS):
        # Scanners work in bursts: a second has between a tenth of and thrice the even share.
        share = left // (SECONDS - second) if second < SECONDS - 1 else left
        number = (
            min(left, int(share * dice.choice((0.1, 0.5, 1.0, 1.0, 3.0))))
            if second < SECONDS - 1
            else left
        )
        left -= number
        at_ms = BEGINS_MS + second * 1000
        if number:
            yield at_ms, [_random_alert(dice, at_ms) for _ in range(number)]


def _random_alert(dice: random.Random, at_ms: int) -> dict[str, Any]:
    ((name, detector, severity, _),) = dice.choices(_TYPES, [weight for *_, weight in _TYPES])
    ((host, _),) = dice.choices(_HOSTS, [weight for _, weight in _HOSTS])
    return {
        "labels": {"alertname": name, "host": host, "detector": detector, "severity": severity},
        "annotations": {"summary": f"{name} seen by the {detector} detector"},
        "startsAt": format_instant(at_ms),
    }
