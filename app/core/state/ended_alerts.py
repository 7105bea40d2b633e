"""Alerts that have ended and belong to no incident: the first to be forgotten where there is no room."""

from collections.abc import Mapping
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.core.state.live_alert import LiveAlert

SPARE = 1000  # entries that have lost their alert, before they are dropped


class EndedAlerts:
    """In the order in which they would be forgotten anyway, those of one time by fingerprint."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, bytes]] = []

    def add(self, alert: "LiveAlert", alerts: Mapping[bytes, "LiveAlert"]) -> None:
        """Add an alert that is to be forgotten."""
        heappush(self._heap, (alert.retain_until_ms, alert.fingerprint.encode()))
        if len(self._heap) > 2 * len(alerts) + SPARE:
            self._heap = sorted({entry for entry in self._heap if _is_one(entry, alerts)})

    def take_first(self, alerts: Mapping[bytes, "LiveAlert"]) -> "LiveAlert | None":
        """The first one, which is in the heap no more; None when there is none."""
        while self._heap:
            entry = heappop(self._heap)
            if _is_one(entry, alerts):
                return alerts[entry[1]]
        return None


def _is_one(entry: tuple[int, bytes], alerts: Mapping[bytes, "LiveAlert"]) -> bool:
    alert = alerts.get(entry[1])
    return alert is not None and not alert.firing and alert.retain_until_ms == entry[0] > 0
