"""Whatever an alert arrives as, the same alert: from API v2 lists, webhook messages and single objects.

The meaning is Alertmanager's. An end in the past has ended the alert; an end in the future is how long it counts as
firing when it is not sent again; without an end that is the resolve timeout. In a webhook message `status` decides.

An alert that cannot be read does not spoil its neighbours: it is refused by path and reason, the others are taken.
"""

from itertools import chain
from typing import Any

import orjson

from app.salvage import salvage
from models.alert import Alert, Labels, fingerprint
from models.reason import BadInput, Reason
from models.wire import ANNOTATIONS_BYTES_MAX, instant_ms, kind_of, labels_of, texts_of, url_of

RESOLVE_TIMEOUT_MS = 300_000  # Alertmanager's default
HOLD_STEP_MS = 10_000  # ends wander by milliseconds from repeat to repeat; rounded up, repeats are alike
HOLD_MAX_MS = 7 * 86_400_000  # an end in the year 9999 must not keep an alert for ever
ALERTS_MAX = 50_000  # in one body
WEBHOOK_VERSION = "4"

# Of an alert's labels, some 350 characters: each generation has the fingerprints of about 45,000 alerts.
CACHE_CHARACTERS_MAX = 16_000_000
CACHED_CHARACTERS_MAX = 8_000  # larger label sets are rare, and are not kept

Result = tuple[list[Alert], list[BadInput]]


def alerts_from(body: bytes, now_ms: int, resolve_timeout_ms: int = RESOLVE_TIMEOUT_MS) -> Result:
    """The alerts of a body of any known shape, and what was refused of it.

    An object with `alerts` is a webhook message, any other object one alert, a list one of alerts. Raises BadInput when
    nothing of the body can be read.
    """
    document = parse_alerts(body)
    if isinstance(document, dict):
        if "alerts" in document:
            return from_webhook(document, now_ms, resolve_timeout_ms)
        document = [document]
    return from_list(document, now_ms, resolve_timeout_ms)


def parse(body: bytes) -> Any:
    """The JSON of a body. NaN, lone surrogates, bytes that are not UTF-8 and deep nesting are not JSON. Raises BadInput."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInput(Reason.MALFORMED, f"the body is not JSON: {error}") from None


def parse_alerts(body: bytes) -> Any:
    """The same of a body of alerts, where one that is not JSON does not spoil the others. Raises BadInput."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return salvage(body, error)


def from_list(document: Any, now_ms: int, resolve_timeout_ms: int = RESOLVE_TIMEOUT_MS) -> Result:
    """A list of alerts, as `POST /api/v2/alerts` takes and `GET /api/v2/alerts` gives. Raises BadInput."""
    if not isinstance(document, list):
        raise BadInput(Reason.MALFORMED, f"the body is {kind_of(document)}, must be a list of alerts")
    return _each(document, "", now_ms, resolve_timeout_ms)


def from_webhook(document: Any, now_ms: int, resolve_timeout_ms: int = RESOLVE_TIMEOUT_MS) -> Result:
    """Alertmanager's webhook message, version 4. Raises BadInput."""
    if not isinstance(document, dict):
        raise BadInput(Reason.MALFORMED, f"the body is {kind_of(document)}, must be a webhook message")
    version, entries = document.get("version"), document.get("alerts")
    if version != WEBHOOK_VERSION:
        raise BadInput(Reason.UNSUPPORTED_VERSION, f"version: is {version!r:.60}, must be {WEBHOOK_VERSION!r}")
    if not isinstance(entries, list):
        raise BadInput(Reason.MALFORMED, f"alerts: is {kind_of(entries)}, must be a list of alerts")
    return _each(entries, "alerts", now_ms, resolve_timeout_ms)


def _each(entries: list[Any], where: str, now_ms: int, resolve_timeout_ms: int) -> Result:
    if len(entries) > ALERTS_MAX:
        raise BadInput(Reason.TOO_LARGE, f"the body has {len(entries)} alerts, must have at most {ALERTS_MAX}")
    alerts: list[Alert] = []
    refused: list[BadInput] = []
    for number, entry in enumerate(entries):
        try:
            alerts.append(_alert(entry, now_ms, resolve_timeout_ms))
        except BadInput as refusal:
            refused.append(BadInput(refusal.reason, f"{where}[{number}]{refusal.message}", _part(entry)))
    return alerts, refused


def _part(entry: Any) -> bytes:
    """What was refused, so that a dead letter need not hold its neighbours; nothing of what is nested too deep."""
    try:
        return orjson.dumps(entry)
    except orjson.JSONEncodeError:
        return b""


def _alert(entry: Any, now_ms: int, resolve_timeout_ms: int) -> Alert:
    """One alert. The messages of BadInput begin with the path within the entry."""
    if not isinstance(entry, dict):
        if isinstance(entry, BadInput):
            raise entry
        raise BadInput(Reason.MALFORMED, f": is {kind_of(entry)}, must be an alert")
    labels = labels_of(entry.get("labels"), ".labels")
    annotations = texts_of(entry.get("annotations"), ".annotations", ANNOTATIONS_BYTES_MAX)
    starts_ms = instant_ms(entry.get("startsAt"), ".startsAt")
    ends_ms = instant_ms(entry.get("endsAt"), ".endsAt")
    if starts_ms is not None and ends_ms is not None and ends_ms < starts_ms:
        found = f"is {entry['endsAt']!r}, must not be before startsAt, {entry['startsAt']!r}"
        raise BadInput(Reason.BAD_TIME, f".endsAt: {found}")
    url = url_of(entry.get("generatorURL"), ".generatorURL")
    past = ends_ms is not None and ends_ms <= now_ms
    if not _ended(entry.get("status"), past=past):
        hold_ms = resolve_timeout_ms if past or ends_ms is None else _hold_ms(ends_ms - now_ms)
        starts_ms = now_ms if starts_ms is None else starts_ms
        return Alert(fingerprint_of(labels), labels, annotations, True, starts_ms, 0, hold_ms, url)  # noqa: FBT003
    ended_ms = ends_ms if past and ends_ms is not None else now_ms
    starts_ms = ended_ms if starts_ms is None else starts_ms
    return Alert(fingerprint_of(labels), labels, annotations, False, starts_ms, ended_ms, 0, url)  # noqa: FBT003


def _ended(status: Any, *, past: bool) -> bool:
    """Whether an alert has ended. A webhook's status is a text; what the API gives has an object, which says nothing of it."""
    match status:
        case "resolved":
            return True
        case "firing":
            return False
        case None | dict():
            return past
        case _:
            raise BadInput(Reason.MALFORMED, f".status: is {status!r:.60}, must be 'firing' or 'resolved'")


def _hold_ms(rest_ms: int) -> int:
    """For how long an alert whose end is `rest_ms` ahead counts as firing."""
    return min(-(-rest_ms // HOLD_STEP_MS) * HOLD_STEP_MS, HOLD_MAX_MS)


# Repeats dominate, and the fingerprint is a loop over bytes: 10 times as slow as looking it up. Two generations bound
# the memory: what was asked for since the older one was dropped is in the newer one.
_newer: dict[str, str] = {}
_older: dict[str, str] = {}
_newer_characters = 0


def fingerprint_of(labels: Labels) -> str:
    """The same as `models.alert.fingerprint`, from memory where it can be."""
    key = "\0".join(chain.from_iterable(sorted(labels.items())))
    if key.count("\0") >= 2 * len(labels) or len(key) > CACHED_CHARACTERS_MAX:
        return fingerprint(labels)  # with a NUL in a label, two label sets could share a key
    return _newer.get(key) or _remember(key, labels)


def _remember(key: str, labels: Labels) -> str:
    global _newer, _older, _newer_characters  # noqa: PLW0603  a memory of a pure function changes no result
    if _newer_characters > CACHE_CHARACTERS_MAX:
        _newer, _older, _newer_characters = {}, _newer, 0
    found = _older.get(key) or fingerprint(labels)
    _newer[key] = found
    _newer_characters += len(key)
    return found
