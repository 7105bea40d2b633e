"""A body that is not JSON because of one alert in it: the others are read all the same.

orjson stops at a NaN, at half of a surrogate pair, and at bytes that are not UTF-8. Python's own
parser can be made to read past them. It takes up to ten times as long, so it is asked for such
bodies only, and not for large ones.
"""

import json
from typing import Any

import orjson

from models.reason import BadInput, Reason

BYTES_MAX = 1024 * 1024  # some 2,000 alerts; half a second at most, in which nothing else is done
NOT_JSON = (
    "is not JSON: it has a NaN, an Infinity, half of a surrogate pair, or bytes that are not UTF-8"
)


class _NoNumber:
    """Stands where there was a NaN or an Infinity; nothing can be made of it."""

    def __init__(self, _: str) -> None:
        """Whatever it was."""


def salvage_document(body: bytes, why: orjson.JSONDecodeError) -> Any:
    """The document of a body that orjson refused; each alert in it that is not JSON is a BadInput in its place.

    Raises BadInput when there is no list of alerts that could be read.
    """
    document = None
    try:
        if len(body) <= BYTES_MAX:
            text = body.decode("utf-8", "surrogateescape")
            document = json.loads(text, parse_constant=_NoNumber, parse_int=_parse_number)
    except (ValueError, RecursionError):
        pass  # it is told what orjson found
    entries = document.get("alerts") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise BadInput(Reason.MALFORMED, f"the body is not JSON: {why}")
    entries[:] = [
        entry if _is_json(entry) else BadInput(Reason.MALFORMED, f": {NOT_JSON}")
        for entry in entries
    ]
    return document


def _parse_number(digits: str) -> Any:
    """What orjson makes of it, which knows no whole numbers of more than 64 bits, and refuses what is beyond any float."""
    try:
        return orjson.loads(digits)
    except orjson.JSONDecodeError:
        return _NoNumber(digits)


def _is_json(entry: Any) -> bool:
    try:
        orjson.dumps(entry)
    except orjson.JSONEncodeError:
        return False
    return True
