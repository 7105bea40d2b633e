"""From a record of `tocsin.notifications` to a `Notification`.

The engine writes every field, so a record that lacks one is none of its own, and is refused.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from models.events import (
    Action,
    NextStep,
    Notification,
    NotificationKind,
    NotificationReason,
    NotifiedAlert,
)
from models.reason import BadInput, Reason

_TEXT_FIELDS = (
    *("id", "at", "policy", "incident", "dedup_key", "severity", "owner", "component", "title"),
    *("text", "channel", "receiver", "address", "started_at"),
)
_NUMBERS = ("episode", "alerts_omitted", "alerts_firing", "alerts_total")
_ALERT_TEXTS = ("fingerprint", "status", "severity", "generator_url", "starts_at")


def decode(value: bytes) -> Notification:
    """The notification in a record's value. Raises BadInput."""
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise BadInput(Reason.MALFORMED, f"the notification is not JSON: {error}") from None
    return from_document(document)


def from_document(document: Any) -> Notification:
    """The same of its parsed JSON. Raises BadInput."""
    if not isinstance(document, dict):
        raise BadInput(
            Reason.MALFORMED, f"the notification is {type(document).__name__}, must be an object"
        )
    try:
        return _notification(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(
            Reason.MALFORMED, f"the notification cannot be read: {error!r:.200}"
        ) from None


def _notification(document: Mapping[str, Any]) -> Notification:
    plain: dict[str, Any] = {name: str(document[name]) for name in _TEXT_FIELDS}
    plain |= {name: int(document[name]) for name in _NUMBERS}
    return Notification(
        **plain,
        kind=_kind(str(document["kind"])),
        action=Action(document["action"]),
        wakes=bool(document["wakes"]),
        next_step=_next_step(document["next_step"]),
        reason=_reason(document["reason"]),
        alerts=tuple(_alert(alert) for alert in document["alerts"]),
        common_labels=_texts(document["common_labels"]),
        links=_texts(document["links"]),
    )


def _kind(name: str) -> NotificationKind:
    try:
        return NotificationKind(name)
    except ValueError:
        return NotificationKind.UPDATE  # a kind of a newer Tocsin: its text says what it is


def _next_step(step: Mapping[str, Any] | None) -> NextStep | None:
    return None if step is None else NextStep(str(step["say"]), str(step["run"]))


def _reason(reason: Mapping[str, Any]) -> NotificationReason:
    step, steps = int(reason["step"]), int(reason["steps"])
    return NotificationReason(str(reason["rule"]), step, steps, str(reason["text"]))


def _alert(alert: Mapping[str, Any]) -> NotifiedAlert:
    ends_at = alert["ends_at"]
    return NotifiedAlert(
        **{name: str(alert[name]) for name in _ALERT_TEXTS},
        labels=_texts(alert["labels"]),
        annotations=_texts(alert["annotations"]),
        ends_at=None if ends_at is None else str(ends_at),
    )


def _texts(texts: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in texts.items()}
