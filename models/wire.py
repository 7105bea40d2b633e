"""Alerts as others send them: Prometheus' and Alertmanager's JSON, as shapes and times.

Sources: Alertmanager's OpenAPI description of API v2 (postable and gettable alerts) and its webhook payload, version 4.
Unknown fields are ignored, since real senders add some.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from models.reason import BadInput, Reason

LABELS_MAX = 64
NAME_BYTES_MAX = 1024
LABELS_BYTES_MAX = 64 * 1024  # of all names and values of one alert
ANNOTATIONS_BYTES_MAX = 256 * 1024

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant_ms(value: Any, where: str) -> int | None:
    """Milliseconds since 1970 of an RFC 3339 time; None for a missing one, which Go writes as the year 1."""
    if value is None or value == "":
        return None
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise BadInput(Reason.BAD_TIME, f"{where}: is {value!r:.60}, must be an RFC 3339 time")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    if year <= 1:
        return None
    try:
        at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError as error:
        raise BadInput(Reason.BAD_TIME, f"{where}: is {value!r}, {error}") from None
    offset = found[8]
    minutes = 0 if offset in "Zz" else int(offset[:3]) * 60 + int(f"{offset[0]}{offset[4:]}")
    fraction_ms = int(f"{found[7] or ''}000"[:3])
    return int((at - _EPOCH) / timedelta(milliseconds=1)) - minutes * 60_000 + fraction_ms


def labels_of(value: Any, where: str) -> dict[str, str]:
    """An alert's labels without the empty ones, which count as absent. Raises BadInput."""
    texts = texts_of(value, where, LABELS_BYTES_MAX)
    labels = {name: text for name, text in texts.items() if text}
    if not labels:
        raise BadInput(Reason.NO_LABELS, f"{where}: has no label, must have at least one with a value")
    if len(labels) > LABELS_MAX:
        raise BadInput(Reason.TOO_LARGE, f"{where}: has {len(labels)} labels, must have at most {LABELS_MAX}")
    return labels


def texts_of(value: Any, where: str, bytes_max: int) -> dict[str, str]:
    """An object of texts, of a bounded size. Raises BadInput."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput(Reason.MALFORMED, f"{where}: is {type(value).__name__}, must be an object of texts")
    size = 0
    for name, text in value.items():
        if not isinstance(text, str):
            raise BadInput(Reason.BAD_LABEL, f"{where}.{name:.60}: is {text!r:.60}, must be a text")
        if len(name) > NAME_BYTES_MAX or not name:
            raise BadInput(
                Reason.BAD_LABEL, f"{where}: a name has {len(name)} characters, must have 1 to {NAME_BYTES_MAX}"
            )
        size += len(name) + len(text)
    if size > bytes_max:
        raise BadInput(Reason.TOO_LARGE, f"{where}: has {size} characters, must have at most {bytes_max}")
    return value
