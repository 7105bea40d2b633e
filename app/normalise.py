"""Whatever an alert arrives as, the same alert: from API v2 lists, webhook messages and single objects.

The meaning is Alertmanager's. An end in the past has ended the alert; an end in the future is how long it counts as
firing when it is not sent again; without an end that is the resolve timeout.
"""

from functools import lru_cache
from typing import Any

import orjson

from models.alert import Alert, fingerprint
from models.reason import BadInput, Reason
from models.wire import ANNOTATIONS_BYTES_MAX, instant_ms, labels_of, texts_of

RESOLVE_TIMEOUT_MS = 300_000  # Alertmanager's default
HOLD_STEP_MS = 10_000  # ends wander by milliseconds from repeat to repeat; rounded up, repeats are alike
HOLD_MAX_MS = 7 * 86_400_000
ALERTS_MAX = 50_000  # in one body

Result = tuple[list[Alert], list[BadInput]]


def alerts_from(body: bytes, now_ms: int) -> Result:
    """The alerts of a body of any known shape, and what was refused of it. Raises BadInput when nothing can be read."""
    document = parse(body)
    if isinstance(document, dict) and isinstance(document.get("alerts"), list):
        return from_webhook(document, now_ms)
    if isinstance(document, dict):
        document = [document]
    return from_list(document, now_ms)


def parse(body: bytes) -> Any:
    """The JSON of a body. Raises BadInput."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInput(Reason.MALFORMED, f"the body is not JSON: {error}") from None


def from_list(document: Any, now_ms: int) -> Result:
    """A list of alerts, as `POST /api/v2/alerts` takes and `GET /api/v2/alerts` gives."""
    if not isinstance(document, list):
        raise BadInput(Reason.MALFORMED, f"the body is {type(document).__name__}, must be a list of alerts")
    return _each(document, "", now_ms)


def from_webhook(document: Any, now_ms: int) -> Result:
    """Alertmanager's webhook message, version 4."""
    if not isinstance(document, dict):
        raise BadInput(Reason.MALFORMED, f"the body is {type(document).__name__}, must be a webhook message")
    if document.get("version") != "4":
        found = document.get("version")
        raise BadInput(Reason.UNSUPPORTED_VERSION, f"version: is {found!r:.60}, must be '4'")
    if not isinstance(document.get("alerts"), list):
        raise BadInput(Reason.MALFORMED, f"alerts: is {document.get('alerts')!r:.60}, must be a list of alerts")
    return _each(document["alerts"], "alerts", now_ms)


def _each(entries: list[Any], where: str, now_ms: int) -> Result:
    if len(entries) > ALERTS_MAX:
        raise BadInput(Reason.TOO_LARGE, f"{where}: has {len(entries)} alerts, must have at most {ALERTS_MAX}")
    alerts: list[Alert] = []
    refused: list[BadInput] = []
    for number, entry in enumerate(entries):
        try:
            alerts.append(_alert(entry, f"{where}[{number}]", now_ms))
        except BadInput as refusal:
            refused.append(refusal)
    return alerts, refused


def _alert(entry: Any, where: str, now_ms: int) -> Alert:
    if not isinstance(entry, dict):
        raise BadInput(Reason.MALFORMED, f"{where}: is {type(entry).__name__}, must be an alert")
    labels = labels_of(entry.get("labels"), f"{where}.labels")
    annotations = texts_of(entry.get("annotations"), f"{where}.annotations", ANNOTATIONS_BYTES_MAX)
    starts_ms = instant_ms(entry.get("startsAt"), f"{where}.startsAt")
    ends_ms = instant_ms(entry.get("endsAt"), f"{where}.endsAt")
    status = entry.get("status")  # a text in webhooks, an object in what the API gives
    ended = status == "resolved" or (status != "firing" and ends_ms is not None and ends_ms <= now_ms)
    if starts_ms is not None and ends_ms is not None and ends_ms < starts_ms:
        raise BadInput(Reason.BAD_TIME, f"{where}: ends before it starts")
    url = entry.get("generatorURL")
    return Alert(
        fingerprint=_fingerprint(tuple(sorted(labels.items()))),
        labels=labels,
        annotations=annotations,
        firing=not ended,
        starts_ms=starts_ms if starts_ms is not None else ends_ms if ended and ends_ms is not None else now_ms,
        ends_ms=(ends_ms or now_ms) if ended else 0,
        hold_ms=0 if ended else _hold_ms(ends_ms, now_ms),
        url=url if isinstance(url, str) else "",
    )


def _hold_ms(ends_ms: int | None, now_ms: int) -> int:
    if ends_ms is None or ends_ms <= now_ms:
        return RESOLVE_TIMEOUT_MS
    return min(-(-(ends_ms - now_ms) // HOLD_STEP_MS) * HOLD_STEP_MS, HOLD_MAX_MS)


@lru_cache(maxsize=262_144)  # repeats dominate, and the hash is a loop over bytes
def _fingerprint(labels: tuple[tuple[str, str], ...]) -> str:
    return fingerprint(dict(labels))
