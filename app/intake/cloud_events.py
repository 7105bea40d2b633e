"""CloudEvents over HTTP, version 1.0: structured, in batches, and binary, as one JSON shape.

Source: the CloudEvents specification, "HTTP Protocol Binding", 3.1 to 3.3.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from models.reason import BadInput, Reason
from models.wire import kind_of, short

STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
PREFIX = "ce-"  # of a header that is an attribute
REQUIRED = ("id", "source", "specversion", "type")
EVENTS_MAX = 1000  # in a batch

Document = dict[str, Any]


def events_of(content_type: str, headers: Mapping[str, str], document: Any) -> list[Document]:
    """The events of a request, each with its attributes and `data`. Raises BadInput."""
    if content_type == STRUCTURED:
        return [_checked(document, "the body")]
    if content_type == BATCH:
        if not isinstance(document, list):
            raise BadInput(
                Reason.MALFORMED, f"the body is {kind_of(document)}, must be a list of events"
            )
        if len(document) > EVENTS_MAX:
            raise BadInput(
                Reason.TOO_LARGE,
                f"the body has {len(document)} events, must have at most {EVENTS_MAX}",
            )
        return [_checked(event, f"[{number}]") for number, event in enumerate(document)]
    attributes: Document = {
        name.lower().removeprefix(PREFIX): unquote(value)
        for name, value in headers.items()
        if name.lower().startswith(PREFIX)
    }
    return [_checked({**attributes, "data": document}, "the headers ce-*")]


def has_alerts(event: Document) -> bool:
    """Whether an event's data are alerts in Alertmanager's shape."""
    data = event.get("data")
    return isinstance(data, list) or (
        isinstance(data, dict) and ("labels" in data or "alerts" in data)
    )


def _checked(event: Any, where: str) -> Document:
    if not isinstance(event, dict):
        raise BadInput(Reason.MALFORMED, f"{where}: is {kind_of(event)}, must be an event")
    for name in REQUIRED:
        value = event.get(name)
        if not isinstance(value, str) or not value:
            raise BadInput(
                Reason.MALFORMED, f"{where}: {name} is {short(value)}, must be a text of an event"
            )
    if not event["specversion"].startswith("1."):
        raise BadInput(
            Reason.UNSUPPORTED_VERSION,
            f"{where}: specversion is {short(event['specversion'])}, must be '1.0'",
        )
    return event
