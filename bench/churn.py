"""The load of a soak.

Alerts that come, are repeated, and end or are never heard of again; components that come and go.
"""

from collections import deque
from typing import Any

NAMES = (
    "HighLatency",
    "SlowDisk",
    "QueueGrows",
    "AgentDown",
    "HighErrorRate",
    "CacheMisses",
    "RedisDown",
    "Backlog",
)
SEVERITIES = (
    "info",
    "info",
    "warning",
    "info",
    "info",
    "info",
    "info",
    "warning",
    "info",
    "critical",
)
PAD = "what the detector says about it, at some length "


class Churn:
    """A second's alerts at a time. The same numbers give the same alerts."""

    def __init__(self, rate: int, new: int, lives: int) -> None:
        """`rate` alerts a second, of which `new` are new.

        One that comes is repeated for `lives` seconds.
        """
        self._rate, self._new, self._lives = rate, new, lives
        self._live: deque[tuple[int, int]] = (
            deque()
        )  # number of the alert, and the second in which it stops
        self._number = 0
        self._second = 0

    def next(self) -> list[dict[str, Any]]:
        """The alerts of the next second."""
        self._second += 1
        alerts = []
        for _ in range(self._new):
            # Some live for a tenth of the time, some flap: they come again under the same labels.
            lives = self._lives if self._number % 4 else self._lives // 10
            self._live.append((self._number, self._second + lives))
            alerts.append(_alert(self._number))
            self._number += 1
        while len(alerts) < self._rate and self._live:
            number, until = self._live.popleft()
            if self._second < until:
                self._live.append((number, until))
                alerts.append(_alert(number))
            elif number % 2:
                alerts.append(_alert(number) | {"status": "resolved"})
            # else it is never heard of again
            if number % 16 == 3 and self._second >= until and self._second - until < 2:
                self._live.append(
                    (number, until + 120)
                )  # it comes back a little later, as what flaps does
        return alerts


def _alert(number: int) -> dict[str, Any]:
    name = NAMES[number % len(NAMES)]
    labels = {
        "alertname": name,
        "severity": SEVERITIES[number % len(SEVERITIES)],
        "component": f"service-{number // 3}",  # three alerts are a component's life
        "instance": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}:9100",
        "job": f"job-{number % 40}",
        "pod": f"service-{number // 3}-{number * 2_654_435_761 & 0xFFFFFFFF:08x}",
    }
    return {
        "labels": labels,
        "annotations": {"summary": f"{name} of number {number}", "description": PAD * 4},
        "generatorURL": f"http://prometheus.example/graph?g0.expr={name}&g0.tab=1",
    }
