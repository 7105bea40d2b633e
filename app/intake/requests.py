"""The alerts of one request for one component become one journal record.

Alerts of different requests are never put together, so it does not matter how requests are batched.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter

from app.transport.log import NewRecord
from models.journal import FINGERPRINT, STATUS, encode_alerts

ALERTS_MAX = 500  # of one record
BYTES_MAX = 256 * 1024  # of one record; a larger alert is a record of its own


@dataclass(slots=True)
class _Group:
    """Alerts that become one record."""

    number: int  # of its first alert in the request
    key: bytes | None
    values: list[bytes] = field(default_factory=list)
    fingerprints: set[bytes] = field(default_factory=set)
    size: int = 0

    def has_room(self, value: bytes) -> bool:
        """Whether an alert fits in. What is said of an alert twice is never decided together."""
        return (
            len(self.values) < ALERTS_MAX
            and self.size + len(value) <= BYTES_MAX
            and value[FINGERPRINT] not in self.fingerprints
        )

    def add(self, value: bytes) -> None:
        """Take an alert in."""
        self.values.append(value)
        self.fingerprints.add(value[FINGERPRINT])
        self.size += len(value)


def records_of_request(alerts: Iterable[NewRecord]) -> list[tuple[int, NewRecord]]:
    """The journal records of a request's alerts, in order, each with the number of its first alert.

    The numbers do not depend on what is put together.
    """
    numbered = list(enumerate(alerts))
    counts = Counter(alert.key for _, alert in numbered)
    # An alert that is alone with its component is its own record. Mostly all of a request are.
    alone = [(number, alert) for number, alert in numbered if counts[alert.key] == 1]
    if len(alone) == len(numbered):
        return alone
    together = _together([item for item in numbered if counts[item[1].key] > 1])
    return sorted(alone + together, key=itemgetter(0))


def _together(alerts: list[tuple[int, NewRecord]]) -> list[tuple[int, NewRecord]]:
    """The records of numbered alerts of components of which there are several."""
    groups: list[_Group] = []
    newest: dict[bytes | None, _Group] = {}
    for number, alert in alerts:
        value = alert.value or b""
        group = newest.get(alert.key)
        if group is None or not group.has_room(value):
            group = newest[alert.key] = _Group(number, alert.key)
            groups.append(group)
        group.add(value)
    return [
        (group.number, NewRecord(group.key, encode_alerts(sorted(group.values, key=_has_ended))))
        for group in groups
    ]


def _has_ended(value: bytes) -> bool:
    """What fires comes first: an incident that goes on does not end in between."""
    return value[STATUS].startswith(b"resolved")
