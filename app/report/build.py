"""The incident report as one plain object, from what the effects topics say."""

from collections.abc import Iterable
from typing import Any

from models.text.duration import format_ms
from models.text.instant import milliseconds

Document = dict[str, Any]

_STATUS = {
    "open": "Open",
    "acknowledged": "Investigating",
    "resolved": "Resolved",
    "closed": "Closed",
}
_DONE = {"acknowledge": "acknowledged", "resolve": "resolved"}  # what a clock waits for
_DELIVERY = {"Delivered": "delivered", "DeliveryFailed": "failed"}


def build_report(
    incident: Document,
    timeline: Iterable[Document],
    notifications: Iterable[Document],
    escalations: Iterable[Document],
    tasks: Iterable[Document],
) -> Document:
    """The report of an incident: its newest snapshot, and what the topics say of it, oldest first; tasks once each.

    The keys, which `tocsin report --json` prints and which stay:

    - `incident`: the newest snapshot, as in `tocsin.incidents`.
    - `status`: in the procedure's words: Open, Investigating, Mitigated, Resolved, Closed, or what its class is called.
    - `security`: whether logs must not be touched.
    - `steps`: of the newest runbook, each with `say` and `run` ("" for no command).
    - `timeline`: the entries, without runbooks. `actions`: those of people, each with `by`.
    - `escalations`: as in `tocsin.escalations`.
    - `notifications`: as in `tocsin.notifications`, each with `delivery` (pending, delivered, failed) and
      `delivery_detail`.
    - `tasks`: as in `tocsin.followups`, by due time.
    - `review`: null until it is resolved (`_review_response` has its keys).
    """
    told = list(timeline)
    runbooks = [item for item in told if item["kind"] == "Runbook"]
    sent, climbed = _with_delivery(notifications, told), list(escalations)
    return {
        "incident": incident,
        "status": _status_text(incident),
        "security": incident["class"] == "security",
        "steps": runbooks[-1]["steps"] if runbooks else [],
        "timeline": [item for item in told if item["kind"] != "Runbook"],
        "actions": [item for item in told if item.get("by") and item["kind"] != "TaskDone"],
        "escalations": climbed,
        "notifications": sent,
        "tasks": sorted(tasks, key=lambda task: (task["due_at"], task["task"])),
        "review": _review_response(incident, told, sent, len(climbed))
        if incident["resolved_at"]
        else None,
    }


def is_over(incident: Document) -> bool:
    """Whether it is resolved or closed."""
    return incident["state"] in ("resolved", "closed")


def _status_text(incident: Document) -> str:
    if incident["status"] and not is_over(incident):
        return str(incident["status"])
    if incident["mitigated_at"] and not is_over(incident):
        return "Mitigated"
    return _STATUS[incident["state"]]


def _with_delivery(notifications: Iterable[Document], timeline: list[Document]) -> list[Document]:
    """Each with what its notifier said last; a notifier that failed may have tried again."""
    receipts = {item["notification"]: item for item in timeline if item["kind"] in _DELIVERY}
    entries = []
    for notification in notifications:
        receipt = receipts.get(notification["id"])
        delivery = _DELIVERY[receipt["kind"]] if receipt else "pending"
        entries.append(
            notification
            | {"delivery": delivery, "delivery_detail": receipt["detail"] if receipt else ""}
        )
    return entries


def _review_response(
    incident: Document, timeline: list[Document], sent: list[Document], escalations: int
) -> Document:
    """How the response went, and what the correlation did.

    `times_ms` and `times` (the same as text) count from the opening; null and "never" for what
    nobody did. `targets` has for each clock `allowed_ms`, from the opening too, and `kept`: null
    when it ended before anybody did it. `clocks` are the snapshot's. `alert_records` counts ends as
    well as repeats, so `repeats_dropped` (what was not a new alert) does too. `members` are those
    that the snapshot names, or the timeline where they are more. `messages` counts by delivery,
    `suppressed` how often it was suppressed.
    """
    opened = milliseconds(incident["opened_at"])
    times_ms = {
        name: _elapsed_ms(opened, incident[f"{name}_at"])
        for name in ("acknowledged", "mitigated", "resolved")
    }
    fired = {(item["member"], item["text"]) for item in timeline if item["kind"] == "MemberFired"}
    records, members = incident["records"] or 0, max(len(incident["members"]), len(fired))
    return {
        "times_ms": times_ms,
        "times": {
            name: "never" if took is None else format_ms(took) for name, took in times_ms.items()
        },
        "targets": {
            name: {
                "allowed_ms": _elapsed_ms(opened, clock["due_at"]),
                "kept": _met_target(clock, times_ms[_DONE[name]]),
            }
            for name, clock in incident["clocks"].items()
        },
        "clocks": incident["clocks"],
        "root_cause": incident["root_cause"],
        "alert_records": records,
        "alerts": incident["alerts_total"],
        "repeats_dropped": max(records - (incident["alerts_total"] - members), 0),
        "members": members,
        "reopened": incident["reopened"],
        "flapping": incident["flapping"] or any(item["kind"] == "Flapping" for item in timeline),
        "suppressed": sum(item["kind"] == "Suppressed" for item in timeline),
        "escalations": escalations,
        "messages": {
            delivery: sum(item["delivery"] == delivery for item in sent)
            for delivery in ("delivered", "failed", "pending")
        },
    }


def _met_target(clock: Document, took_ms: int | None) -> bool | None:
    if clock["state"] == "breached":
        return False
    return None if took_ms is None else True


def _elapsed_ms(opened_ms: int, instant: str | None) -> int | None:
    return milliseconds(instant) - opened_ms if instant else None
