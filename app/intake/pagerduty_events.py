"""PagerDuty's Events API v2: what pages there today can page here, at another address.

Source: PagerDuty's description of the event `enqueue`. A `trigger` is a firing alert that fires until
its `resolve`; `dedup_key` says which. A resolve names nothing but the key.
"""

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.intake.json_text import text_of
from models.reason import BadInput, Reason
from models.text.truncate import truncate
from models.wire import kind_of, short

SENDER = "pagerduty-event"
KEY_CHARACTERS_MAX = 255
_SUMMARY_CHARACTERS_MAX = 1024
_NAME_CHARACTERS_MAX = 200
_DETAILS_CHARACTERS_MAX = 16_000
SEVERITIES = ("critical", "error", "warning", "info")
_PLAIN = ("component", "group", "class", "source")

Document = dict[str, Any]


class EventAction(StrEnum):
    """What an event does."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class PagerDutyEvent:
    """An event. `entry` is the alert of a trigger, as `app.intake.normalise` reads it."""

    action: EventAction
    key: str
    routing_key: str
    client: str
    entry: Document | None


def parse_event(document: Any) -> PagerDutyEvent:
    """The event in a body. Raises BadInput."""
    if not isinstance(document, dict):
        raise BadInput(Reason.MALFORMED, f"the body is {kind_of(document)}, must be an event")
    action = document.get("event_action")
    if action not in list(EventAction):
        expected = ", ".join(EventAction)
        raise BadInput(
            Reason.MALFORMED, f"'event_action' is {short(action)}, must be one of {expected}"
        )
    key = _text_of(document, "dedup_key", KEY_CHARACTERS_MAX)
    routing_key = _text_of(document, "routing_key", 512)
    client = _text_of(document, "client", _NAME_CHARACTERS_MAX)
    if action != EventAction.TRIGGER:
        if not key:
            raise BadInput(Reason.MALFORMED, f"'dedup_key' is missing, must be for {action}")
        return PagerDutyEvent(EventAction(action), key, routing_key, client, None)
    key = key or uuid.uuid4().hex
    return PagerDutyEvent(EventAction.TRIGGER, key, routing_key, client, _entry(document, key))


def _entry(document: Document, key: str) -> Document:
    payload = document.get("payload")
    if not isinstance(payload, dict):
        raise BadInput(Reason.MALFORMED, f"'payload' is {kind_of(payload)}, must be an object")
    summary = _text_of(payload, "summary", None)
    source = _text_of(payload, "source", None)
    severity = _text_of(payload, "severity", None)
    for name, text in (("summary", summary), ("source", source)):
        if not text:
            raise BadInput(Reason.MALFORMED, f"'payload.{name}' is missing, must be a text")
    if severity not in SEVERITIES:
        expected = ", ".join(SEVERITIES)
        raise BadInput(
            Reason.MALFORMED, f"'payload.severity' is {short(severity)}, must be one of {expected}"
        )
    plain = {name: truncate(_text_of(payload, name, None), 1000) for name in _PLAIN}
    labels = {
        "alertname": plain["class"] or truncate(summary, _NAME_CHARACTERS_MAX),
        "component": plain["component"] or plain["source"],
        "instance": plain["source"],
        "group": plain["group"],
        "severity": severity,
        "sender": SENDER,
        "dedup_key": key,
    }
    annotations = {"summary": truncate(summary, _SUMMARY_CHARACTERS_MAX)}
    for name, value in (
        ("details", payload.get("custom_details")),
        ("links", document.get("links")),
        ("images", document.get("images")),
    ):
        if value and (text := text_of(value)):
            annotations[name] = truncate(text, _DETAILS_CHARACTERS_MAX)
    return {
        "status": "firing",
        "labels": labels,
        "annotations": annotations,
        "startsAt": payload.get("timestamp"),
        "generatorURL": document.get("client_url"),
    }


def _text_of(document: Document, name: str, characters_max: int | None) -> str:
    """A text that may be absent. Raises BadInput."""
    value = document.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(Reason.MALFORMED, f"'{name}' is {kind_of(value)}, must be a text")
    if characters_max is not None and len(value) > characters_max:
        raise BadInput(
            Reason.TOO_LARGE,
            f"'{name}' has {len(value)} characters, must have at most {characters_max}",
        )
    return value
