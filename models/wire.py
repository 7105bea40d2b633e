"""What comes from outside, field by field: alerts as Prometheus and Alertmanager send them, and operators' requests.

Sources: Alertmanager's OpenAPI description of API v2 (postable and gettable alerts), its webhook payload of version 4,
and RFC 3339 for times. Unknown fields are ignored, since real senders add some.

Operators' requests are pydantic models. Alerts are checked by hand, because they are the hot path: pydantic took 4.0 us for
an alert of 550 bytes, without the bounds and the paths in messages, and this takes 2.1 us (Python 3.11, one shared core).
Every check raises BadInput whose message starts with the path of what is wrong.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.reason import BadInput, Reason

# Labels and annotations live in the state of every alert that is remembered and in its checkpoints, so they are bounded
# generously for what people write into them, and far below what a journal record may have (16 MiB).
LABELS_MAX = 64
NAME_BYTES_MAX = 1024
LABELS_BYTES_MAX = 64 * 1024  # UTF-8, of all names and values of one alert
ANNOTATIONS_BYTES_MAX = 256 * 1024
URL_BYTES_MAX = 16 * 1024
NOTE_CHARACTERS_MAX = 16 * 1024
PERSON_CHARACTERS_MAX = 256
TIME_CHARACTERS_MAX = 64

_UTF8_MAX = 4  # bytes of a character
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEWEST_MS = 253402300799999  # the end of the year 9999; datetime knows no later time
_OLDEST_MS = -62135596800000  # the beginning of the year 1


class _Request(BaseModel):
    """An operator's request: types are not converted, so that 7 is nobody's name."""

    model_config = ConfigDict(strict=True, extra="ignore")

    @classmethod
    def of(cls, document: Any) -> Self:
        """The request in a JSON document. Raises BadInput that names the first thing wrong."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the body"
            found = "is missing" if first["type"] == "missing" else f"is {_short(first['input'])}"
            raise BadInput(Reason.MALFORMED, f"{where}: {found}; {first['msg']}") from None


class CommandRequest(_Request):
    """The body of `POST /api/v1/incidents/ID/COMMAND`."""

    by: Annotated[str, Field(min_length=1, max_length=PERSON_CHARACTERS_MAX)]
    text: Annotated[str, Field(max_length=NOTE_CHARACTERS_MAX)] = ""


class ClockRequest(_Request):
    """The body of `PUT /clock`: milliseconds since 1970, and how many times faster than real time they go on."""

    now_ms: Annotated[int, Field(ge=0, le=_NEWEST_MS)]
    speed: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = 0.0


def instant_ms(value: Any, where: str) -> int | None:
    """Milliseconds since 1970 of an RFC 3339 time; None for a missing one, which Go writes as the year 1.

    Raises BadInput that begins with `where`.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > TIME_CHARACTERS_MAX:
        raise BadInput(Reason.BAD_TIME, f"{where}: is {_short(value)}, must be an RFC 3339 time")
    try:
        return _parse_instant(value)
    except ValueError as error:
        raise BadInput(Reason.BAD_TIME, f"{where}: is {_short(value)}, {error}") from None


@lru_cache(maxsize=8192)  # a sender repeats an alert's start for as long as it fires
def _parse_instant(text: str) -> int | None:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("must be an RFC 3339 time")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    # RFC 3339 has a second 60 for leap seconds, datetime has not.
    at = datetime(year, month, day, hour, minute, 59 if second == 60 else second, tzinfo=UTC)
    offset = found[8]
    hours, minutes = (0, 0) if offset in "Zz" else (int(offset[1:3]), int(offset[4:]))
    if hours > 23 or minutes > 59:
        raise ValueError("offset must be at most 23:59")
    if year == 1:
        return None
    ahead_ms = (hours * 60 + minutes) * (-60_000 if offset[0] == "-" else 60_000)
    at_ms = (at - _EPOCH) // timedelta(milliseconds=1) - ahead_ms + int(f"{found[7] or ''}000"[:3])
    if not _OLDEST_MS <= at_ms <= _NEWEST_MS:
        raise ValueError("must be before the year 10000 in UTC")
    return at_ms


def labels_of(value: Any, where: str) -> dict[str, str]:
    """An alert's labels without the empty ones, which count as absent. Raises BadInput."""
    labels = texts_of(value, where, LABELS_BYTES_MAX)
    if "" in labels.values():
        labels = {name: text for name, text in labels.items() if text}
    if not labels:
        raise BadInput(Reason.NO_LABELS, f"{where}: has no label, must have at least one with a value")
    if len(labels) > LABELS_MAX:
        raise BadInput(Reason.TOO_LARGE, f"{where}: has {len(labels)} labels, must have at most {LABELS_MAX}")
    return labels


def texts_of(value: Any, where: str, bytes_max: int) -> dict[str, str]:
    """An object of texts, of a bounded size; an empty one for null. Raises BadInput.

    The object came out of `orjson.loads`, so its names are texts, and no text has a lone surrogate.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput(Reason.MALFORMED, f"{where}: is {_short(value)}, must be an object of texts")
    try:
        names, texts = "".join(value), "".join(value.values())
    except TypeError:
        wrong = next(name for name, text in value.items() if not isinstance(text, str))
        raise BadInput(Reason.BAD_LABEL, f"{where}.{wrong:.60}: is {_short(value[wrong])}, must be a text") from None
    characters = len(names) + len(texts)
    if _UTF8_MAX * len(names) > NAME_BYTES_MAX or _UTF8_MAX * characters > bytes_max or "" in value:
        _check_sizes(value, where, bytes_max)
    return value


def _check_sizes(texts: dict[str, str], where: str, bytes_max: int) -> None:
    size = 0
    for name, text in texts.items():
        name_size = len(name.encode())
        if not 1 <= name_size <= NAME_BYTES_MAX:
            raise BadInput(Reason.BAD_LABEL, f"{where}: a name has {name_size} bytes, must have 1 to {NAME_BYTES_MAX}")
        size += name_size + len(text.encode())
    if size > bytes_max:
        raise BadInput(Reason.TOO_LARGE, f"{where}: has {size} bytes, must have at most {bytes_max}")


def url_of(value: Any, where: str) -> str:
    """A text of bounded size; empty for null. It is only shown, so it need not be a URL. Raises BadInput."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(Reason.MALFORMED, f"{where}: is {_short(value)}, must be a text")
    if _UTF8_MAX * len(value) > URL_BYTES_MAX and len(value.encode()) > URL_BYTES_MAX:
        raise BadInput(Reason.TOO_LARGE, f"{where}: has {len(value.encode())} bytes, must have at most {URL_BYTES_MAX}")
    return value


def kind_of(value: Any) -> str:
    """What a JSON value is, in JSON's words."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"


def _short(value: Any) -> str:
    """A value as a message shows it: lists and objects by their kind, the rest by its beginning."""
    if isinstance(value, list | dict):
        return kind_of(value)
    shown = repr(value[:61] if isinstance(value, str) else value)
    return shown if len(shown) <= 62 else f"{shown[:60]}...'"
