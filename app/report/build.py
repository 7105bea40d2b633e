"""The incident report as one plain object, from what the effects topics say."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from models.duration import format_ms

Document = dict[str, Any]

_STATUS = {"open": "Open", "acknowledged": "Investigating", "resolved": "Resolved", "closed": "Closed"}


def build(
    incident: Document,
    timeline: Iterable[Document],
    notifications: Iterable[Document],
    escalations: Iterable[Document],
    tasks: Iterable[Document],
) -> Document:
    """The report of an incident.

    Keys: `incident` (its newest snapshot), `status` (in the procedure's words), `security` (whether logs must not be
    touched), `steps` (of the guide, each with `say` and `run`), `timeline`, `actions` (what people did), `escalations`,
    `notifications` (each with `delivery`: pending, delivered or failed), `tasks`, and `review` once it is over.
    """
    told = list(timeline)
    guides = [one for one in told if one["kind"] == "Guide"]
    return {
        "incident": incident,
        "status": _status(incident),
        "security": incident["class"] == "security",
        "steps": guides[-1]["steps"] if guides else [],
        "timeline": [one for one in told if one["kind"] != "Guide"],
        "actions": [one for one in told if one.get("by") and one["kind"] != "TaskDone"],
        "escalations": list(escalations),
        "notifications": _delivered(notifications, told),
        "tasks": list(tasks),
        "review": _review(incident, told) if incident["resolved_at"] else None,
    }


def _status(incident: Document) -> str:
    if incident["status"]:
        return str(incident["status"])
    if incident["mitigated_at"] and incident["state"] in ("open", "acknowledged"):
        return "Mitigated"
    return _STATUS[incident["state"]]


def _delivered(notifications: Iterable[Document], timeline: list[Document]) -> list[Document]:
    words = {"Delivered": "delivered", "DeliveryFailed": "failed"}
    receipts = {one["notification"]: one for one in timeline if one["kind"] in words}
    found = []
    for one in notifications:
        receipt = receipts.get(one["id"])
        delivery = words[receipt["kind"]] if receipt else "pending"
        found.append(one | {"delivery": delivery, "delivery_detail": receipt["detail"] if receipt else ""})
    return found


def _review(incident: Document, timeline: list[Document]) -> Document:
    """How the response went, and what the correlation did. Durations in ms, from the opening; null for never."""
    opened = _ms(incident["opened_at"])
    times = {
        name: _ms(incident[f"{name}_at"]) - opened if incident[f"{name}_at"] else None
        for name in ("acknowledged", "mitigated", "resolved")
    }
    return {
        "times_ms": times,
        "clocks": incident["clocks"],
        "cause": incident["cause"],
        "alert_records": incident["records"],
        "alerts": incident["alerts_total"],
        "repeats_dropped": max((incident["records"] or 0) - incident["alerts_total"], 0),
        "members": len(incident["members"]),
        "reopened": incident["reopened"],
        "held": sum(one["kind"] == "Held" for one in timeline),
    }


def lasted(times: Document, name: str) -> str:
    """A time of the review as people write it."""
    return "never" if times[name] is None else format_ms(times[name])


def _ms(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1000)
