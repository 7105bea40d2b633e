"""The entries of a timeline (topic `tocsin.timeline`): their kinds, and what each says besides."""

from enum import StrEnum
from typing import Any, NamedTuple

from models.event_field import about


class TimelineKind(StrEnum):
    """What happened to an incident."""

    OPENED = "Opened"
    ALERT_FIRED = "AlertFired"
    ALERT_ENDED = "AlertEnded"
    ALERT_EXPIRED = "AlertExpired"
    ALERT_LOST = "AlertLost"
    ALERT_REPLACED = "AlertReplaced"
    ENDED_UNHEARD = "EndedUnheard"
    SEVERITY_RAISED = "SeverityRaised"
    SEVERITY_LOWERED = "SeverityLowered"
    OWNER_CHANGED = "OwnerChanged"
    UNHEARD = "Unheard"
    HEARD_AGAIN = "HeardAgain"
    MEMBER_FIRED = "MemberFired"
    MEMBER_ENDED = "MemberEnded"
    FOLLOWS = "Follows"
    SUPPRESSED = "Suppressed"
    NOT_SUPPRESSED = "NotSuppressed"
    RELEASED = "Released"
    FLAPPING = "Flapping"
    STABLE = "Stable"
    RUNBOOK = "Runbook"
    SERVICE_DOWN = "ServiceDown"
    SERVICE_UP = "ServiceUp"
    ESCALATED = "Escalated"
    REMINDED = "Reminded"
    FORGOTTEN = "Forgotten"
    CLOCK_WARNED = "ClockWarned"
    CLOCK_BREACHED = "ClockBreached"
    CLOCK_MET = "ClockMet"
    ACKNOWLEDGED = "Acknowledged"
    ASSIGNED = "Assigned"
    ASSESSED = "Assessed"
    NOTED = "Noted"
    ROOT_CAUSE_NAMED = "RootCauseNamed"
    MITIGATED = "Mitigated"
    UPDATED = "Updated"
    COMPLAINED = "Complained"
    MERGED = "Merged"
    SPLIT = "Split"
    RESOLVED = "Resolved"
    LOST = "Lost"
    REOPENED = "Reopened"
    CLOSED = "Closed"
    TASK_MADE = "TaskMade"
    TASK_REMINDED = "TaskReminded"
    TASK_DONE = "TaskDone"
    TASK_LAPSED = "TaskLapsed"
    DELIVERED = "Delivered"
    DELIVERY_FAILED = "DeliveryFailed"
    REFUSED = "Refused"
    COMMAND_REFUSED = "CommandRefused"
    SILENCE_APPLIED = "SilenceApplied"


class TimelineField(NamedTuple):
    """A field of an entry: its type, and what `about` says of it."""

    hint: Any
    metadata: dict[str, Any]


COMMON_FIELDS = {
    "id": TimelineField(str, about("unique: partition, offset and number", "0-15-0")),
    "kind": TimelineField(TimelineKind, about("what happened", "Opened")),
    "at": TimelineField(str, about("engine time", "2026-04-12T03:15:02.000Z")),
    "policy": TimelineField(str, about("fingerprint of the policy in force", "c0ffee12ab34")),
    "incident": TimelineField(
        str | None, about("the incident, or null: EndedUnheard", "INC-20260412T031502Z-00K3F")
    ),
    "component": TimelineField(str, about("what is broken; may be empty", "cart")),
    "scope": TimelineField(
        str, about("cluster, namespace and environment; may be empty", "namespace shop")
    ),
    "text": TimelineField(str, about("a sentence", "PodRestarts: shop/cart-7d9f: it restarts")),
}

DETAIL_FIELDS = {
    "late_ms": TimelineField(
        int, about("how late a deadline was handled", 30_000, when="we were down for longer")
    ),
    "alert": TimelineField(str, about("a fingerprint", "4b6e8f0a12c3d4e5")),
    "severity": TimelineField(str, about("P0 is the worst", "P0")),
    "owner": TimelineField(str, about("the team", "platform")),
    "links": TimelineField(
        dict[str, str],
        about("web addresses by title", {"runbook": "https://wiki.example.org/pods"}),
    ),
    "member": TimelineField(str, about("the incident of the member", "INC-20260412T031502Z-01A")),
    "rule": TimelineField(str, about("the rule, with its group; may be empty", "needs-db/all")),
    "parent": TimelineField(
        str, about("the incident that explains it, or is near it; may be empty", "")
    ),
    "runbook": TimelineField(str, about("the runbook", "service-down")),
    "steps": TimelineField(
        list[dict[str, str]],
        about("the runbook, filled in: `say` and `run`", [{"say": "Check its log", "run": ""}]),
    ),
    "service": TimelineField(str, about("a service of an availability target", "shop")),
    "step": TimelineField(int, about("the step of the chain", 2)),
    "to": TimelineField(str, about("a contact or a person", "Lead SRE")),
    "by": TimelineField(str, about("who did it; may be empty", "ann")),
    "clock": TimelineField(str, about("acknowledge or resolve", "acknowledge")),
    "team": TimelineField(str, about("a team; may be empty", "data")),
    "verdict": TimelineField(str, about("genuine or false-positive", "genuine")),
    "strikes": TimelineField(str, about("whom it strikes; may be empty", "checkout")),
    "eta_at": TimelineField(str | None, about("when it should be over, or null", None)),
    "number": TimelineField(int, about("how many", 3)),
    "task": TimelineField(str, about("the policy's name of the task", "root-cause")),
    "notification": TimelineField(str, about("the id of a notification", "0-15-3")),
    "detail": TimelineField(str, about("the notifier's detail; may be empty", "202")),
    "reason": TimelineField(str, about("why it was refused", "bound_reached")),
    "command": TimelineField(
        str,
        about(
            "of CommandRefused the command; else the id that its sender gave it",
            "acknowledge",
            when="a command caused it",
        ),
    ),
    "message": TimelineField(str, about("the reason as text", "it is closed")),
    "silence": TimelineField(str, about("the id of a silence", "5b0c")),
    "preview": TimelineField(bool, about("whether it was only tried", example=False)),
    "acknowledged": TimelineField(list[str], about("incidents that it acknowledges", [])),
    "not_acknowledged": TimelineField(
        list[dict[str, str]], about("`incident` and `why` not, of those that it does not", [])
    ),
    "mutes": TimelineField(list[dict[str, str]], about("alerts that it mutes", [])),
    "mutes_total": TimelineField(int, about("how many", 0)),
    "covers": TimelineField(list[dict[str, str]], about("alerts that a muted alert explains", [])),
    "covers_total": TimelineField(int, about("how many", 0)),
    "what": TimelineField(str, about("what there was no room for", "tasks")),
}

_CLOCK, _TASK, _BY = ("clock",), ("task",), ("by",)

# Kind -> what it means, and the fields that it has besides; those with a question mark may be missing.
TIMELINE: dict[TimelineKind, tuple[str, tuple[str, ...]]] = {
    TimelineKind.OPENED: (
        "an incident opened; one that a rule opened has no alert of its own",
        ("severity", "owner", "alert?", "links?"),
    ),
    TimelineKind.ALERT_FIRED: (
        "another alert of it fires",
        ("severity", "alert", "links"),
    ),
    TimelineKind.ALERT_ENDED: ("an alert was resolved by its sender", ("alert",)),
    TimelineKind.ALERT_EXPIRED: ("an alert was no longer received", ("alert",)),
    TimelineKind.ALERT_LOST: (
        "an alert whose sender sends resolves was not received for very long",
        ("alert",),
    ),
    TimelineKind.ALERT_REPLACED: (
        "the same alert fires with another severity, which replaces it",
        ("alert",),
    ),
    TimelineKind.ENDED_UNHEARD: ("an alert ended that was never received as firing", ("alert",)),
    TimelineKind.SEVERITY_RAISED: ("its severity is worse", ("severity",)),
    TimelineKind.SEVERITY_LOWERED: ("what fires still is less severe", ("severity",)),
    TimelineKind.OWNER_CHANGED: ("it belongs to another team", ("owner",)),
    TimelineKind.UNHEARD: (
        "an urgent alert is no longer received; its incident goes on",
        ("alert",),
    ),
    TimelineKind.HEARD_AGAIN: ("it is received again", ("alert",)),
    TimelineKind.MEMBER_FIRED: ("an alert of another component belongs to it", ("member",)),
    TimelineKind.MEMBER_ENDED: ("such an alert ended, or belongs to it no more", ("member",)),
    TimelineKind.FOLLOWS: ("it is near an incident that has ended", ("parent",)),
    TimelineKind.SUPPRESSED: ("something suppresses it", ("rule", "parent")),
    TimelineKind.NOT_SUPPRESSED: ("it always escalates, so a rule does not suppress it", ("rule",)),
    TimelineKind.RELEASED: ("nothing suppresses it any more", ("rule",)),
    TimelineKind.FLAPPING: ("an alert of it comes and goes", ("alert",)),
    TimelineKind.STABLE: ("it is stable again", ()),
    TimelineKind.RUNBOOK: ("its runbook", ("runbook", "steps")),
    TimelineKind.SERVICE_DOWN: ("a service is down", ("service",)),
    TimelineKind.SERVICE_UP: ("a service is up again", ("service",)),
    TimelineKind.ESCALATED: ("the next step was called", ("rule", "step", "to", "by")),
    TimelineKind.REMINDED: ("its owner was reminded", ()),
    TimelineKind.FORGOTTEN: ("its acknowledgement counts as forgotten", ()),
    TimelineKind.CLOCK_WARNED: ("a response time target is near", _CLOCK),
    TimelineKind.CLOCK_BREACHED: ("a response time target is missed", _CLOCK),
    TimelineKind.CLOCK_MET: ("a response time target is met", _CLOCK),
    TimelineKind.ACKNOWLEDGED: ("somebody acknowledged it", _BY),
    TimelineKind.ASSIGNED: ("it was given to a person or a team", ("by", "to", "team")),
    TimelineKind.ASSESSED: ("somebody assessed it", ("by", "verdict", "strikes")),
    TimelineKind.NOTED: ("a note", _BY),
    TimelineKind.ROOT_CAUSE_NAMED: ("its root cause", _BY),
    TimelineKind.MITIGATED: ("it is mitigated", _BY),
    TimelineKind.UPDATED: ("an update by a person", ("by", "eta_at")),
    TimelineKind.COMPLAINED: ("complaints were counted", ("by", "number")),
    TimelineKind.MERGED: ("somebody merged it into another incident", ("by", "parent")),
    TimelineKind.SPLIT: ("it stands alone again", ("by", "parent")),
    TimelineKind.RESOLVED: ("it is over, or seems so", _BY),
    TimelineKind.LOST: ("its alerts are no longer received, and no resolve was received", ()),
    TimelineKind.REOPENED: ("it is not over", _BY),
    TimelineKind.CLOSED: ("it is closed", _BY),
    TimelineKind.TASK_MADE: ("it left a task", _TASK),
    TimelineKind.TASK_REMINDED: ("the owner of a task was reminded", _TASK),
    TimelineKind.TASK_DONE: ("a task is done", ("task", "by")),
    TimelineKind.TASK_LAPSED: ("a task was not done in time", _TASK),
    TimelineKind.DELIVERED: ("a notification was accepted", ("notification", "detail")),
    TimelineKind.DELIVERY_FAILED: ("it was not", ("notification", "detail")),
    TimelineKind.REFUSED: ("there was no room for something of it", ("reason", "what")),
    TimelineKind.COMMAND_REFUSED: (
        "a command was refused, and why",
        ("by", "command", "reason", "message"),
    ),
    TimelineKind.SILENCE_APPLIED: (
        "what a silence does, or would do, in one partition; its key is the silence",
        (
            *("silence", "preview", "acknowledged", "not_acknowledged"),
            *("mutes", "mutes_total", "covers", "covers_total"),
        ),
    ),
}
