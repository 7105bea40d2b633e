"""The order of an incident's alerts in messages: the worst and newest first, the ended ones last.

Few alerts are sorted when somebody asks. Many have an index, which `PartitionState.join` and
`leave` keep: a snapshot follows each change, and must not walk over thousands of alerts.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from models.alert import Labels
from models.severity import Severity

if TYPE_CHECKING:
    from app.core.state.live_alert import LiveAlert

_ENDED = "ended"  # the group after all severities


class AlertRanking:
    """An index of an incident's alerts: a group for each severity, and one for what ended."""

    __slots__ = ("_groups", "_unsorted")

    def __init__(self, alerts: "Iterable[LiveAlert]") -> None:
        self._groups: dict[str, dict[str, LiveAlert]] = {}  # by fingerprint, the oldest first
        self._unsorted: set[str] = set()  # groups; nobody walks over this set
        for alert in alerts:
            self.put(alert)

    def put(self, alert: "LiveAlert") -> None:
        """Add an alert, or note that it began or ended to fire."""
        for group in self._groups.values():
            group.pop(alert.fingerprint, None)
        name = _group(alert)
        group = self._groups.setdefault(name, {})
        newest = next(reversed(group.values()), None)
        if newest is not None and _age(newest) > _age(alert):
            self._unsorted.add(name)
        group[alert.fingerprint] = alert

    def first(self, number: int) -> "list[LiveAlert]":
        """So many alerts, the worst and newest first."""
        return list(islice(self._worst_first(), number))

    def _worst_first(self) -> "Iterator[LiveAlert]":
        for name in (*Severity, _ENDED):
            if name in self._unsorted:
                self._unsorted.discard(name)
                ordered = sorted(self._groups[name].values(), key=_age)
                self._groups[name] = {alert.fingerprint: alert for alert in ordered}
            yield from reversed(self._groups.get(name, {}).values())


def worst_first(alerts: "Iterable[LiveAlert]") -> "list[LiveAlert]":
    """The alerts, the worst and newest first: the slow way, for a few."""
    return sorted(sorted(alerts, key=_age, reverse=True), key=_group)


def labels_in_both(known: Labels | None, labels: Labels) -> Labels:
    """The labels that have the same value in both; all of `labels` where nothing is known."""
    if known is None or known is labels:
        return labels
    if known.items() <= labels.items():  # nearly always, once a few alerts are there
        return known
    return {name: value for name, value in known.items() if labels.get(name) == value}


def _group(alert: "LiveAlert") -> str:
    return alert.severity if alert.firing else _ENDED  # "P0" sorts before "P1" and "ended"


def _age(alert: "LiveAlert") -> tuple[int, int, str]:
    """What began, or ended, last has the highest."""
    if alert.firing:
        return alert.fired_ms, alert.fired_offset, alert.fingerprint
    return alert.ended_ms, 0, alert.fingerprint
