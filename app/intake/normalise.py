"""Whatever an alert arrives as, the same alert: from API v2 lists, webhook messages and single objects.

The meaning is Alertmanager's. An end in the past has ended the alert; an end in the future is how
long it counts as firing when it is not sent again; without an end that is the resolve timeout. In a
webhook message `status` decides, and a firing alert fires until its end is said.

An alert that cannot be read does not spoil its neighbours: it is refused by path and reason, the
others are taken.
"""

from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import orjson

from app.intake.cache import Generations
from app.intake.salvage import salvage_document
from models.alert import Alert, Labels, fingerprint
from models.policy.policy import ResolveTimeout
from models.reason import BadInput, Reason
from models.wire import (
    annotations_of,
    instant_ms,
    kind_of,
    labels_of,
    short,
    url_of,
)

HOLD_STEP_MS = (
    10_000  # ends wander by milliseconds from repeat to repeat; rounded up, repeats are alike
)
HOLD_MAX_MS = 7 * 86_400_000  # an end in the year 9999 must not keep an alert for ever
ALERTS_MAX = 50_000  # in one body
WEBHOOK_VERSIONS = ("4", "1")  # Alertmanager's; Grafana's, which has more fields

# Of an alert's labels, some 350 characters: each generation has the fingerprints of about 45,000
# alerts.
CACHE_CHARACTERS_MAX = 16_000_000
CACHED_CHARACTERS_MAX = 8_000  # larger label sets are rare, and are not kept

Result = tuple[list[Alert], list[BadInput]]
T = TypeVar("T")


class Lifetime(NamedTuple):
    """How long an alert without an end lives without news (policy `resolve_timeout`)."""

    timeout_ms: int = 300_000  # Alertmanager's default
    until_resolved: bool = False  # its sender says when it ends


class Entries(NamedTuple):
    """What alerts are to be read from, and where it stands in the body."""

    entries: list[Any]
    where: str
    until_resolved: bool = False  # of a webhook, which says when an alert ends

    def lifetime(self, timeouts: ResolveTimeout) -> Lifetime:
        """How long its alerts live without news."""
        if self.until_resolved:
            return Lifetime(timeouts.webhook, until_resolved=True)
        return Lifetime(timeouts.alerts)


def alerts_from(body: bytes, now_ms: int) -> Result:
    """The alerts of a body of any known shape, and what was refused of it.

    Raises BadInput when nothing can be read.
    """
    return _read_alerts(entries_from(body), now_ms)


def from_list(document: Any, now_ms: int) -> Result:
    """The same of a list of alerts (`in_list`)."""
    return _read_alerts(in_list(document), now_ms)


def from_webhook(document: Any, now_ms: int) -> Result:
    """The same of a webhook message (`in_webhook`)."""
    return _read_alerts(in_webhook(document), now_ms)


def parse_json(body: bytes) -> Any:
    """The JSON of a body.

    NaN, lone surrogates, bytes that are not UTF-8 and deep nesting are not JSON. Raises BadInput.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInput(Reason.MALFORMED, f"the body is not JSON: {error}") from None


def parse_alerts(body: bytes) -> Any:
    """The same of a body of alerts, where one that is not JSON does not spoil the others.

    Raises BadInput.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return salvage_document(body, error)


def entries_from(body: bytes) -> Entries:
    """The entries of a body of any known shape. Raises BadInput.

    An object with `alerts` is a webhook message, any other object one alert, a list one of alerts.
    """
    document = parse_alerts(body)
    if isinstance(document, dict):
        if "alerts" in document:
            return in_webhook(document)
        document = [document]
    return in_list(document)


def in_list(document: Any) -> Entries:
    """A list of alerts, as `POST /api/v2/alerts` takes and `GET /api/v2/alerts` gives.

    Raises BadInput.
    """
    if not isinstance(document, list):
        raise BadInput(
            Reason.MALFORMED, f"the body is {kind_of(document)}, must be a list of alerts"
        )
    return Entries(document, "")


def in_webhook(document: Any) -> Entries:
    """Alertmanager's webhook message, version 4, or Grafana's, version 1. Raises BadInput."""
    if not isinstance(document, dict):
        raise BadInput(
            Reason.MALFORMED, f"the body is {kind_of(document)}, must be a webhook message"
        )
    version, entries = document.get("version"), document.get("alerts")
    if version not in WEBHOOK_VERSIONS:
        expected = " or ".join(map(repr, WEBHOOK_VERSIONS))
        raise BadInput(
            Reason.UNSUPPORTED_VERSION, f"version: is {short(version)}, must be {expected}"
        )
    if not isinstance(entries, list):
        raise BadInput(Reason.MALFORMED, f"alerts: is {kind_of(entries)}, must be a list of alerts")
    return Entries(entries, "alerts", until_resolved=True)


def read_each(given: Entries, read: Callable[[Any], T]) -> tuple[list[T], list[BadInput]]:
    """What each entry is read as, and what was refused, by its place and with what it was.

    Raises BadInput for too many.
    """
    entries, where, _ = given
    if len(entries) > ALERTS_MAX:
        raise BadInput(
            Reason.TOO_LARGE, f"the body has {len(entries)} alerts, must have at most {ALERTS_MAX}"
        )
    taken: list[T] = []
    refused: list[BadInput] = []
    for number, entry in enumerate(entries):
        try:
            taken.append(read(entry))
        except BadInput as refusal:
            refused.append(
                BadInput(refusal.reason, f"{where}[{number}]{refusal.message}", _entry_bytes(entry))
            )
    return taken, refused


def _read_alerts(entries: Entries, now_ms: int) -> Result:
    lifetime = entries.lifetime(ResolveTimeout())
    return read_each(entries, lambda entry: alert_of(entry, now_ms, lifetime))


def _entry_bytes(entry: Any) -> bytes:
    """What was refused, so that a dead letter need not hold its neighbours.

    Nothing of what is nested too deep.
    """
    try:
        return orjson.dumps(entry)
    except orjson.JSONEncodeError:
        return b""


def alert_of(entry: Any, now_ms: int, lifetime: Lifetime) -> Alert:
    """One alert. Raises BadInput; its message begins with the path within the entry."""
    if not isinstance(entry, dict):
        if isinstance(entry, BadInput):
            raise entry
        raise BadInput(Reason.MALFORMED, f": is {kind_of(entry)}, must be an alert")
    labels = labels_of(entry.get("labels"), ".labels")
    annotations = annotations_of(entry.get("annotations"), ".annotations")
    starts_ms = instant_ms(entry.get("startsAt"), ".startsAt")
    ends_ms = instant_ms(entry.get("endsAt"), ".endsAt")
    if starts_ms is not None and ends_ms is not None and ends_ms < starts_ms:
        message = f"is {entry['endsAt']!r}, must not be before startsAt, {entry['startsAt']!r}"
        raise BadInput(Reason.BAD_TIME, f".endsAt: {message}")
    url = url_of(entry.get("generatorURL"), ".generatorURL")
    ttl_ms = hold_of(entry.get("status"), ends_ms, now_ms, lifetime)
    if ttl_ms:
        starts_ms = now_ms if starts_ms is None else starts_ms
        return Alert(
            fingerprint_of(labels),
            labels,
            annotations,
            firing=True,
            starts_ms=starts_ms,
            ends_ms=0,
            ttl_ms=ttl_ms,
            until_resolved=lifetime.until_resolved,
            url=url,
        )
    ended_ms = now_ms if ends_ms is None else min(ends_ms, now_ms)
    starts_ms = ended_ms if starts_ms is None else starts_ms
    return Alert(
        fingerprint_of(labels),
        labels,
        annotations,
        firing=False,
        starts_ms=starts_ms,
        ends_ms=ended_ms,
        ttl_ms=0,
        url=url,
    )


def hold_of(status: Any, ends_ms: int | None, now_ms: int, lifetime: Lifetime) -> int:
    """For how long an alert counts as firing, in ms; 0 when it has ended. Raises BadInput."""
    past = ends_ms is not None and ends_ms <= now_ms
    if _has_ended(status, past=past):
        return 0
    if past or ends_ms is None or lifetime.until_resolved:
        return lifetime.timeout_ms
    return min(-((now_ms - ends_ms) // HOLD_STEP_MS) * HOLD_STEP_MS, HOLD_MAX_MS)


def _has_ended(status: Any, *, past: bool) -> bool:
    """Whether an alert has ended.

    A webhook's status is a text; what the API gives has an object, which says nothing of it.
    """
    match status:
        case "resolved":
            return True
        case "firing":
            return False
        case None | dict():
            return past
        case _:
            raise BadInput(
                Reason.MALFORMED, f".status: is {short(status)}, must be 'firing' or 'resolved'"
            )


# The fingerprint is a loop over bytes: 10 times as slow as looking it up.
_known: Generations[str, str] = Generations(CACHE_CHARACTERS_MAX)


def fingerprint_of(labels: Labels) -> str:
    """The same as `models.alert.fingerprint`, from memory where it can be."""
    key = "\0".join(chain.from_iterable(sorted(labels.items())))
    if key.count("\0") >= 2 * len(labels) or len(key) > CACHED_CHARACTERS_MAX:
        return fingerprint(labels)  # with a NUL in a label, two label sets could share a key
    known = _known.get(key)
    if known is None:
        known = fingerprint(labels)
        _known.put(key, known, len(key))
    return known
