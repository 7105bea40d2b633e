"""Alerts, in whatever shape they were sent, to the records that the journal keeps of them.

Repeats dominate: a sender says an alert again and again for as long as it fires, and only its end
moves. One that says what it said before, so that the record would be the same, is known by
comparing, which costs a third of reading it.
"""

from dataclasses import dataclass
from itertools import chain
from typing import Any

from app.core.rules.compiled_policy import CompiledPolicy
from app.intake.cache import Generations
from app.intake.normalise import Entries, Lifetime, alert_of, hold_of, read_each
from app.transport.log import NewRecord
from models.alert import Alert
from models.journal import encode_alert
from models.reason import BadInput
from models.wire import instant_ms

# An alert of some 500 bytes takes three times as much: each generation has about 10,000 of them.
KNOWN_BYTES_MAX = 16_000_000
ALERT_BYTES_MAX = 16_000  # larger ones are rare, and are read each time

Key = tuple[int, int, str]
Ends = dict[
    str, tuple[int | None, int]
]  # of a request: an end as it is written -> its time, the ttl


@dataclass(frozen=True, slots=True)
class _KnownAlert:
    """A firing alert that was read before."""

    starts_ms: int
    ttl_ms: int
    lifetime: Lifetime
    record: NewRecord


class Intake:
    """Makes records of alerts."""

    def __init__(self, known_bytes_max: int = KNOWN_BYTES_MAX) -> None:
        self._known_bytes_max = known_bytes_max
        self._policy: CompiledPolicy | None = None
        self._known: Generations[Key, _KnownAlert] = Generations(known_bytes_max)

    def records(
        self, entries: Entries, now_ms: int, policy: CompiledPolicy
    ) -> tuple[list[NewRecord], list[BadInput]]:
        """A record of each alert, its key the component that the policy finds.

        And what was refused. Raises BadInput.
        """
        if policy is not self._policy:
            self._policy, self._known = policy, Generations(self._known_bytes_max)
        lifetime = entries.lifetime(policy.policy.resolve_timeout)
        ends: Ends = {}

        def read(entry: Any) -> NewRecord:
            return self._make_record(entry, now_ms, policy, lifetime, ends)

        return read_each(entries, read)

    def _make_record(
        self, entry: Any, now_ms: int, policy: CompiledPolicy, lifetime: Lifetime, ends: Ends
    ) -> NewRecord:
        key = _alert_key(entry)
        known = None if key is None else self._known.get(key)
        if known is not None and _outlasts(known, entry, now_ms, lifetime, ends):
            return known.record
        alert = alert_of(entry, now_ms, lifetime)
        record = NewRecord(
            policy.place(alert.labels, alert.fingerprint).key.encode(), encode_alert(alert)
        )
        if key is not None:
            self._remember_alert(key, entry, alert, lifetime, record)
        return record

    def _remember_alert(
        self, key: Key, entry: dict[str, Any], alert: Alert, lifetime: Lifetime, record: NewRecord
    ) -> None:
        labels, annotations, text = key
        apart = (
            text.count("\0") == 2 * (labels + annotations) + 1
        )  # no NUL is in what was joined by them
        since = instant_ms(entry["startsAt"], ".startsAt") is not None  # else it began now
        size = len(record.value or b"")
        if alert.firing and apart and since and size <= ALERT_BYTES_MAX:
            self._known.put(
                key, _KnownAlert(alert.starts_ms, alert.ttl_ms, lifetime, record), 3 * size
            )


def _alert_key(entry: Any) -> Key | None:
    """All that an alert says but its status and its end.

    None when it says something that no alert can, or too little.
    """
    try:
        labels, annotations, url = (
            entry["labels"],
            entry.get("annotations"),
            entry.get("generatorURL"),
        )
        texts = chain(
            chain.from_iterable(labels.items()),
            () if annotations is None else chain.from_iterable(annotations.items()),
            (entry["startsAt"], "" if url is None else url),
        )
        return len(labels), 0 if annotations is None else len(annotations), "\0".join(texts)
    except (AttributeError, KeyError, TypeError):
        return None


def _outlasts(
    known: _KnownAlert, entry: dict[str, Any], now_ms: int, lifetime: Lifetime, ends: Ends
) -> bool:
    """Whether the alert goes on to fire for as long as it was said before. Raises BadInput.

    `ends` has what was worked out for the request before: Prometheus gives all its alerts one end.
    """
    text, status = entry.get("endsAt"), entry.get("status")
    if status is not None or type(text) is not str:
        ends_ms = instant_ms(text, ".endsAt")
        ttl_ms = hold_of(status, ends_ms, now_ms, lifetime)
    elif text in ends:
        ends_ms, ttl_ms = ends[text]
    else:
        ends_ms = instant_ms(text, ".endsAt")
        ttl_ms = hold_of(None, ends_ms, now_ms, lifetime)
        ends[text] = ends_ms, ttl_ms
    if ends_ms is not None and ends_ms < known.starts_ms:
        return False
    return ttl_ms == known.ttl_ms and known.lifetime == lifetime
