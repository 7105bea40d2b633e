"""From a record of `tocsin.notifications` to a `Notification`.

What a record lacks gets the value that says least. A record that says no `action` gets it by its kind.
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

_ACTIONS = {
    NotificationKind.OPENED: Action.TRIGGER,
    NotificationKind.REPEATED: Action.TRIGGER,
    NotificationKind.ESCALATED: Action.TRIGGER,
    NotificationKind.SEVERITY_RAISED: Action.TRIGGER,
    NotificationKind.REOPENED: Action.UPDATE,
    NotificationKind.UPDATED: Action.UPDATE,
    NotificationKind.ACKNOWLEDGED: Action.ACKNOWLEDGE,
    NotificationKind.RESOLVED: Action.RESOLVE,
}
_KINDS = {"suppressed": NotificationKind.SUPPRESSED}


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
    kind = _kind(str(document["kind"]))
    action = Action(document.get("action") or _ACTIONS.get(kind, Action.INFORM))
    episode = int(document.get("episode") or 1)
    incident, channel = str(document.get("incident") or ""), str(document["channel"])
    severity = str(document.get("severity") or "")
    return Notification(
        id=str(document["id"]),
        kind=kind,
        at=str(document.get("at", "")),
        policy=str(document.get("policy", "")),
        incident=incident,
        action=action,
        episode=episode,
        wakes=bool(document.get("wakes", channel == "pager" and action is Action.TRIGGER)),
        dedup_key=str(document.get("dedup_key") or f"{incident}/{episode}"),
        severity=severity,
        owner=str(document.get("owner") or ""),
        component=str(document.get("component") or ""),
        title=str(document.get("title") or "").removeprefix(f"[{severity}] "),
        text=str(document.get("text") or ""),
        next_step=_next_step(document),
        channel=channel,
        receiver=str(document.get("receiver") or ""),
        address=str(document["address"]),
        reason=_reason(document.get("reason")),
        started_at=str(document.get("started_at") or document.get("at", "")),
        alerts=tuple(_alert(alert) for alert in document.get("alerts") or ()),
        alerts_omitted=int(document.get("alerts_omitted") or 0),
        alerts_firing=int(document.get("alerts_firing") or 0),
        alerts_total=int(document.get("alerts_total") or 0),
        common_labels=_texts(document.get("common_labels")),
        links=_texts(document.get("inhibition_groups")),
    )


def _kind(name: str) -> NotificationKind:
    try:
        return NotificationKind(_KINDS.get(name, name))
    except ValueError:
        return NotificationKind.UPDATE  # a kind of a newer Tocsin: its text says what it is


def _next_step(document: Mapping[str, Any]) -> NextStep | None:
    step = document.get("next_step") or document.get("next")
    if isinstance(step, str):
        return NextStep(step, "")
    if not step:
        return None
    return NextStep(str(step.get("say") or ""), str(step.get("run") or ""))


def _reason(reason: Any) -> NotificationReason:
    reason = reason or {}
    text = str(reason.get("text") or "")
    return NotificationReason(
        str(reason.get("rule") or ""),
        int(reason.get("step") or 0),
        int(reason.get("steps") or 0),
        text,
    )


def _alert(alert: Mapping[str, Any]) -> NotifiedAlert:
    ends_at = alert.get("ends_at")
    return NotifiedAlert(
        fingerprint=str(alert.get("fingerprint") or ""),
        status=str(alert.get("status") or "firing"),
        severity=str(alert.get("severity") or ""),
        labels=_texts(alert.get("labels")),
        annotations=_texts(alert.get("annotations")),
        generator_url=str(alert.get("generator_url") or ""),
        starts_at=str(alert.get("starts_at") or ""),
        ends_at=None if ends_at is None else str(ends_at),
    )


def _texts(texts: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in (texts or {}).items()}
