"""What the bridge and a policy file take at most: a table of the limits, each with a body of any size."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from app.bridge.connections.limits import BODY_BYTES_MAX
from app.intake.normalise import ALERTS_MAX
from models import wire
from tests.support.served_bridge import INCIDENT

ALERTS = "/api/v2/alerts"
NOTE = f"/api/v1/incidents/{INCIDENT}/note"
SILENCES = "/api/v2/silences"
RECEIPTS = "/api/v1/receipts"


def _alert(**fields: Any) -> list[dict[str, Any]]:
    return [{"labels": {"alertname": "A"}} | fields]


def _labels(number: int) -> Any:
    return _alert(labels={f"l{one}": "x" for one in range(number)})


def _label_bytes(number: int) -> Any:
    return _alert(labels={"alertname": "x" * (number - len("alertname"))})


def _name_bytes(number: int) -> Any:
    return _alert(labels={"x" * number: "x"})


def _time_characters(number: int) -> Any:
    start, end = "2026-04-12T13:00:00.", "Z"
    return _alert(startsAt=start + "0" * (number - len(start + end)) + end)


def _alerts(number: int) -> Any:
    return _alert() * number


def _body_bytes(number: int) -> Any:
    return orjson.dumps(_alert()).rjust(number)


def _note(number: int) -> Any:
    return {"by": "ann", "text": "x" * number}


def _person(number: int) -> Any:
    return {"by": "x" * number, "text": "looking"}


def silence_body(matchers: list[dict[str, str]], **fields: str) -> dict[str, Any]:
    """A silence for the next hour, as the API takes it."""
    return {"matchers": matchers, "endsAt": "1h", "createdBy": "ann", "comment": "known"} | fields


def _matchers(number: int) -> Any:
    return silence_body([{"name": f"l{one}", "value": "x"} for one in range(number)])


def _matcher_bytes(number: int) -> Any:
    return silence_body([{"name": "l", "value": "x" * (number - 1)}])


def _comment(number: int) -> Any:
    return silence_body([{"name": "l", "value": "x"}], comment="x" * number)


def _silence_annotations(number: int) -> Any:
    return silence_body([{"name": "l", "value": "x"}]) | {"annotations": {"n": "x" * (number - 1)}}


def _receipts(number: int) -> Any:
    return [{"notification": "0-1-2", "incident": INCIDENT, "state": "delivered"}] * number


@dataclass
class Limit:
    """A row of the table.

    The limit, where a request is posted, what it is, and why it is refused.
    """

    limit: int
    path: str
    body: Callable[[int], Any]
    reason: str
    status: int = 400


BRIDGE_LIMITS = {
    "LABELS_MAX": Limit(wire.LABELS_MAX, ALERTS, _labels, "too_large"),
    "NAME_BYTES_MAX": Limit(wire.NAME_BYTES_MAX, ALERTS, _name_bytes, "bad_label"),
    "LABELS_BYTES_MAX": Limit(wire.LABELS_BYTES_MAX, ALERTS, _label_bytes, "too_large"),
    "TIME_CHARACTERS_MAX": Limit(wire.TIME_CHARACTERS_MAX, ALERTS, _time_characters, "bad_time"),
    "ALERTS_MAX": Limit(ALERTS_MAX, ALERTS, _alerts, "too_large", 413),
    "BODY_BYTES_MAX": Limit(BODY_BYTES_MAX, ALERTS, _body_bytes, "too_large", 413),
    "NOTE_CHARACTERS_MAX": Limit(wire.NOTE_CHARACTERS_MAX, NOTE, _note, "malformed"),
    "NOTE_CHARACTERS_MAX, comment": Limit(
        wire.NOTE_CHARACTERS_MAX, SILENCES, _comment, "malformed"
    ),
    "PERSON_CHARACTERS_MAX": Limit(wire.PERSON_CHARACTERS_MAX, NOTE, _person, "malformed"),
    "MATCHERS_MAX": Limit(wire.MATCHERS_MAX, SILENCES, _matchers, "malformed"),
    "LABELS_BYTES_MAX, matchers": Limit(
        wire.LABELS_BYTES_MAX, SILENCES, _matcher_bytes, "too_large"
    ),
    "SILENCE_ANNOTATIONS_BYTES_MAX": Limit(
        wire.SILENCE_ANNOTATIONS_BYTES_MAX, SILENCES, _silence_annotations, "too_large"
    ),
    "RECEIPTS_MAX": Limit(wire.RECEIPTS_MAX, RECEIPTS, _receipts, "too_large", 413),
}
