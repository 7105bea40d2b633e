"""A raw value that says again what it said before, recognised by its bytes before it is parsed.

A producer that writes single alerts repeats the same bytes for as long as an alert fires; only the
text of `endsAt` moves. All other bytes are the key of a bounded map. The end is read each time, and
has to give the alert the same time to live. Otherwise the value goes the slow way, through
`app.intake.normalise`.

A value is remembered only where another text for its end would change nothing else. That is tried
on the document (`_is_alert_that_ends`), not derived from how JSON might be written.
"""

from typing import NamedTuple

import orjson

from app.core.rules.compiled_policy import CompiledPolicy
from app.intake.cache import Generations
from app.intake.normalise import Lifetime, hold_of
from app.transport.log import NewRecord
from models.journal import ALERT_START
from models.reason import BadInput
from models.text.instant import NEWEST_MS
from models.wire import instant_ms

# A value of some 500 bytes takes three times as much: each generation has about 20,000 of them.
RAW_BYTES_MAX = 32_000_000
VALUE_BYTES_MAX = 16_000  # larger ones are rare, and are parsed each time

_END = b'"endsAt":'  # the first; a text behind it may yet be no end
_QUOTE, _SPACE = b'"', b" "
_TRIAL = "another end"  # no time, so no document that was accepted says it


class KnownValue(NamedTuple):
    """A firing alert that was read before, and where its journal record goes."""

    key: bytes
    value: bytes
    partition: int
    starts_ms: int
    ttl_ms: int


class RawValues:
    """The values that were read before, under one policy."""

    def __init__(self, raw_bytes_max: int = RAW_BYTES_MAX) -> None:
        self._raw_bytes_max = raw_bytes_max
        self._known: Generations[bytes, KnownValue] = Generations(raw_bytes_max)
        self._policy: CompiledPolicy | None = None
        self._lifetime = Lifetime()
        self._now_ms = 0
        self._ends: dict[bytes, tuple[int, int]] = {}  # what each text says at this moment

    def begin(self, now_ms: int, policy: CompiledPolicy) -> None:
        """From here on it is `now_ms`. Another policy forgets what was known under the last."""
        if policy is not self._policy:
            self._policy, self._known = policy, Generations(self._raw_bytes_max)
            self._lifetime = Lifetime(policy.policy.resolve_timeout.alerts)
        self._now_ms, self._ends = now_ms, {}

    def recognise(self, value: bytes) -> KnownValue | None:
        """What the value was read as before, if it would be read as the same again."""
        start, stop = _place_of_end(value)
        known = self._known.get(value[:start] + value[stop:])
        if known is None or start == stop == len(value):
            return known
        text = value[start:stop]
        ends_ms, ttl_ms = self._ends.get(text) or self._read_end(text)
        return known if ttl_ms == known.ttl_ms and ends_ms >= known.starts_ms else None

    def remember(self, value: bytes, record: NewRecord, partition: int) -> None:
        """Recognise the value from now on, if all that it says besides its end is in its bytes.

        `record` is what it became, and `partition` the one of the journal that it went to.
        """
        journal_value = record.value or b""
        if len(value) > VALUE_BYTES_MAX or not journal_value.startswith(ALERT_START):
            return
        start, stop = _place_of_end(value)
        if not _is_alert_that_ends(value, start, stop):
            return
        alert = orjson.loads(journal_value)
        if alert["status"] == "firing":
            key = value[:start] + value[stop:]
            known = KnownValue(
                record.key or b"", journal_value, partition, alert["starts_ms"], alert["ttl_ms"]
            )
            self._known.put(key, known, len(key) + 2 * len(journal_value))

    def _read_end(self, text: bytes) -> tuple[int, int]:
        """When the alert ends by this text, and its time to live: 0 by one that is past or no time."""
        try:
            ends_ms = instant_ms(text.decode("ascii", "replace"), ".endsAt")
        except BadInput:
            end = 0, 0
        else:
            ttl_ms = hold_of(None, ends_ms, self._now_ms, self._lifetime)
            end = NEWEST_MS if ends_ms is None else ends_ms, ttl_ms
        self._ends[text] = end
        return end


def _place_of_end(value: bytes) -> tuple[int, int]:
    """Where the text of the end stands, from and to; at the value's end when it says none."""
    at = value.find(_END)
    if at >= 0:
        start = at + len(_END)
        if value.startswith(_SPACE, start):
            start += 1
        stop = value.find(_QUOTE, start + 1)
        if stop > start and value.startswith(_QUOTE, start):
            return start + 1, stop
    return len(value), len(value)


def _is_alert_that_ends(value: bytes, start: int, stop: int) -> bool:
    """Whether a value is a single alert with a start, of which the text between is the end.

    A status would decide instead of the end, and without a start an alert begins when it is read.
    """
    if not value.startswith(b"{"):
        return False
    says_end = start < len(value)
    trial = value[:start] + _TRIAL.encode() + value[stop:] if says_end else value
    try:
        document = orjson.loads(trial)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(document, dict) or "alerts" in document or "status" in document:
        return False
    end_moves = document.get("endsAt") == _TRIAL if says_end else not document.get("endsAt")
    return end_moves and instant_ms(document.get("startsAt"), ".startsAt") is not None
