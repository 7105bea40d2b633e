"""Effects, records and timers in words, a line each."""

from functools import partial
from typing import Any

import orjson

from app.core.incidents import ownership, resolution
from app.core.notification import flapping, mute_times, schedule
from app.core.response import escalation, reminders, service_levels
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.state import Incident
from app.core.state.timer_kind import TimerKind
from app.explain import policy_locations
from app.explain.tree import Node
from app.history.effects import Document
from app.history.timers import Timer
from app.transport.log import StoredRecord
from models.document import document_in
from models.journal import Source, alerts_in, source_or_none
from models.policy.types import Where
from models.reason import BadInput
from models.text.duration import format_ms
from models.text.instant import NEWEST_MS, format_instant
from models.text.plural import plural
from models.text.truncate import truncate, truncate_all

LABELS_CHARACTERS_MAX = 600
VALUE_CHARACTERS_MAX = 200
ALERTS_SHOWN = 10  # of one request
RECORD_CHARACTERS_MAX = 2000  # of each text of a raw alert, for programs


def parse_document(record: StoredRecord) -> Document:
    """The record's document; empty where it is none."""
    return document_in(record.value)


def alert_documents(record: StoredRecord) -> list[Document]:
    """The alerts of a record, of one or of several; none when it has no alert."""
    document = parse_document(record)
    match kind_of(document):
        case "alert":
            return [document]
        case "alerts":
            try:
                return [document_in(value) for value in alerts_in(record.value or b"")]
            except BadInput:
                return []
        case _:
            return []


def kind_of(document: Document) -> str:
    """What kind of record it is: its first key."""
    return next(iter(document), "")


def source_of(record: StoredRecord) -> Source | None:
    """The position that the record follows from, if it names a valid one."""
    return source_or_none(tuple(record.headers)) if record.headers else None


def record_node(partition: int, record: StoredRecord) -> Node:
    """A journal record by itself, without what it came of."""
    document = parse_document(record)
    kind = kind_of(document)
    node = Node(
        kind or "unreadable",
        _record_text(kind, document),
        record.timestamp,
        f"{partition}:{record.offset}",
    )
    if kind == "alert":
        node.facts = _alert_facts(document)
        node.record = truncate_all(document, RECORD_CHARACTERS_MAX)
    elif kind == "alerts":
        alerts = alert_documents(record)
        node.facts["alerts"] = [_alert_line(alert) for alert in alerts[:ALERTS_SHOWN]]
        if len(alerts) > ALERTS_SHOWN:
            node.facts["alerts"].append(f"and {len(alerts) - ALERTS_SHOWN} more alerts")
    elif kind not in ("tick", "policy"):
        node.facts = {
            "record": truncate(
                (record.value or b"").decode(errors="replace"), LABELS_CHARACTERS_MAX
            )
        }
    source = source_of(record)
    if source is not None and source.topic == "raw":
        node.facts["copy of"] = (
            f"tocsin.alerts.raw {source.partition}:{source.offset}, number {source.number}"
        )
    return node


def _alert_line(alert: Document) -> str:
    return f"{name_of(alert)} {alert.get('status')} {describe_labels(alert.get('labels'))}"


def _record_text(kind: str, document: Document) -> str:
    match kind:
        case "alert":
            return f"alert {name_of(document)} {document.get('status')}"
        case "alerts":
            alerts = document["alerts"]
            number = len(alerts) if isinstance(alerts, list) else 0
            return f"{plural(number, 'alert')} of one request"
        case "tick":
            return "a tick of the clock"
        case "command":
            text = f": {document['text']}" if document.get("text") else ""
            return f"{document['command']} {document.get('incident')} by {document.get('by')}{text}"
        case "silence":
            return f"silence {document['silence']} by {document.get('by')}"
        case "receipt":
            return f"receipt of {document['receipt']}: {document.get('state')}"
        case "policy":
            return f"the policy {document['policy']}"
        case "refused":
            return f"a raw record that was refused: {document['refused']}"
        case "resubmitted":
            return f"{document.get('by')} sent the dead letter {document['resubmitted']} again"
        case "signal":
            member = document.get("member") or {}
            ended = "is no longer part of it" if document.get("left") else "ended"
            how = "fires" if member.get("firing") else ended
            return f"signal to {document['signal']}/{document.get('group')}: {_describe_member(member)} {how}"
        case "suppression":
            because = document.get("because")
            action = (
                f"is suppressed: {because.get('text')}"
                if isinstance(because, dict)
                else "is no longer suppressed"
            )
            return f"message from {document['suppression']}: alert {document.get('alert')} {action}"
        case "member":
            member = document.get("alert") or {}
            how = "belongs to it" if member.get("firing") else "ended or no longer belongs to it"
            return f"message from {document.get('rule')} to {document['member']}: {_describe_member(member)} {how}"
        case "expected":
            action = "was received" if document.get("received") else "is expected"
            return f"the heartbeat {document['expected']} {describe_labels(document.get('labels'))} {action}"
        case "page":
            body = document.get("body") or {}
            return f"message {document['page']} for {body.get('receiver')} by {body.get('channel')}"
        case _:
            return (
                f"a record of an unknown kind, {kind!r:.40}"
                if kind
                else "a record that is not JSON"
            )


def _describe_member(member: Any) -> str:
    return (
        f"{member.get('name')} on {member.get('component')}"
        if isinstance(member, dict)
        else "something"
    )


def name_of(document: Document) -> str:
    """An alert record's name."""
    labels = document.get("labels")
    return str(
        (labels.get("alertname") if isinstance(labels, dict) else "") or document.get("alert")
    )


def _alert_facts(document: Document) -> dict[str, Any]:
    facts = {
        "labels": describe_labels(document.get("labels")),
        "annotations": describe_labels(document.get("annotations")),
    }
    ttl_ms, starts_ms = document.get("ttl_ms"), document.get("starts_ms")
    if type(starts_ms) is int and 0 < starts_ms < NEWEST_MS:
        facts["started"] = f"{format_instant(starts_ms)} by its sender's clock"
    if type(ttl_ms) is int and ttl_ms:
        facts["expires"] = f"{format_ms(ttl_ms)} after its last record"
    if document.get("url"):
        facts["url"] = truncate(str(document["url"]), VALUE_CHARACTERS_MAX)
    return {name: value for name, value in facts.items() if value}


def describe_labels(labels: Any) -> str:
    """Labels as Prometheus writes them, cut."""
    if not isinstance(labels, dict) or not labels:
        return ""
    pairs = (
        f"{name}={orjson.dumps(truncate(str(value), VALUE_CHARACTERS_MAX)).decode()}"
        for name, value in labels.items()
    )
    return truncate("{" + ", ".join(pairs) + "}", LABELS_CHARACTERS_MAX)


# Timers: what each is called, and the place of the policy that says how long it runs.

_CALLED: dict[TimerKind | str, str] = {
    schedule.GROUP_WAIT: "first notification after group_wait",
    schedule.CORRELATION_WAIT: "first notification when no rule explains it within correlation_wait",
    schedule.RAISED: "notification of the raised severity",
    schedule.FIRES_ANEW: "new episode, because a P0 or P1 fires again",
    schedule.HANDED_OVER: "notification of the new owner",
    schedule.GROUP_INTERVAL: "news at most once per group_interval",
    schedule.REPEAT_INTERVAL: "repeated after repeat_interval, because not acknowledged",
    service_levels.NEAR: "time to {detail} it is running out",
    service_levels.OVER: "time to {detail} it has run out",
    escalation.UNACKNOWLEDGED: "escalates, because not acknowledged in time",
    escalation.NOT_DONE: "rule {detail}: not done in time",
    reminders.REMINDER: "no update in time",
    reminders.LAPSED: "the acknowledgement lapses",
    flapping.STABLE: "stable after flapping",
    ownership.STABLE: "the alert that decided the owner has ended for stable_after",
    resolution.CLOSE: "closes, because it stayed resolved for close_after",
    TimerKind.LASTING: "rule {detail}: {owner} is still firing",
    TimerKind.EXPIRY: "{owner} expires, because it was not received within its time to live",
    TimerKind.HEARTBEAT: "heartbeat {owner} was not received ({detail})",
    TimerKind.CORRELATION_WAIT: "correlation_wait of {owner} is over, and no rule explains it",
    TimerKind.GRACE: "grace of {detail} is over: its source ended, and its target is still firing",
    TimerKind.SILENCE: "silence {owner} of {detail} begins or ends",
    TimerKind.DIGEST: "digest for {owner} by {detail}",
    TimerKind.TASK: "reminder of task {owner}",
    TimerKind.SNAPSHOT: "snapshot of {owner}, which has grown: one a second at most",
}


def timer_text(timer: Timer, *, pending: bool = False) -> str:
    """What a timer was for, or is for while it is pending, and since when it ran."""
    called = _CALLED.get(timer.kind, str(timer.kind)).format(detail=timer.detail, owner=timer.owner)
    ran, since = format_ms(timer.at_ms - timer.since_ms), format_instant(timer.since_ms)
    if pending:
        return f"{called}, {ran} after {since}"
    names = ["the owner's hours" if item == mute_times.HOURS else item for item in timer.quiet]
    kept = f", delayed by {', '.join(names)}" if names else ""
    return (
        f"timer: {called}; it ran {ran}, since {since}{kept}"
        if timer.since_ms
        else f"timer: {called}"
    )


def timer_places(
    timer: Timer, rules: CompiledPolicy, incident: Incident | Document | None
) -> list[Where]:
    """The places of the policy that say how long it runs."""
    severity, owner, runbook, step = _incident_standing(incident)
    waits = partial(policy_locations.locate_wait, rules, _class_of(incident), severity)
    named = policy_locations.locate_rule(rules, timer.detail)
    places: dict[TimerKind | str, list[Where]] = {
        schedule.GROUP_WAIT: [waits("group_wait")],
        schedule.FIRES_ANEW: [waits("group_wait")],
        schedule.GROUP_INTERVAL: [waits("group_interval")],
        schedule.REPEAT_INTERVAL: [waits("repeat_interval")],
        service_levels.NEAR: [("targets", timer.detail, severity), ("targets", "warn_at")],
        service_levels.OVER: [("targets", timer.detail, severity)],
        escalation.UNACKNOWLEDGED: [
            policy_locations.locate_escalation_delay(rules, owner, severity, step)
        ]
        if owner
        else [],
        reminders.REMINDER: policy_locations.locate_reminder(rules, runbook, severity),
        reminders.LAPSED: [("updates", "reminders")],
        flapping.STABLE: [("flapping",)],
        ownership.STABLE: [("flapping",)],
        resolution.CLOSE: [("incidents", "close_after")],
        TimerKind.DIGEST: [("notify", "digest")],
        TimerKind.TASK: policy_locations.locate_entry(rules, "followups", timer.detail),
    }
    kept = [
        where
        for name in timer.quiet
        for where in policy_locations.locate_suppression(rules, owner, name)
    ]
    return places.get(timer.kind, [named] if named else []) + kept


def _class_of(incident: Incident | Document | None) -> str:
    if isinstance(incident, Incident):
        return incident.incident_class
    return str(incident.get("class", "")) if incident else ""


def _incident_standing(incident: Incident | Document | None) -> tuple[str, str, str, int]:
    """Severity, owner, runbook and step of an incident, or of its snapshot."""
    if isinstance(incident, Incident):
        return incident.severity, incident.owner, incident.runbook, incident.step
    if incident is None:
        return "", "", "", 1
    before = max(
        int(incident.get("escalation_step", 1)) - 1, 1
    )  # the snapshot is of afterwards, when it had climbed
    return (
        incident.get("severity", ""),
        incident.get("owner", ""),
        incident.get("runbook", ""),
        before,
    )


# Which of the timers that are due at one time an effect is of, by its kind.
OF_KIND = {
    "opened": (
        schedule.GROUP_WAIT,
        schedule.CORRELATION_WAIT,
        schedule.HANDED_OVER,
        schedule.FIRES_ANEW,
        schedule.GROUP_INTERVAL,
    ),
    "handed_over": (schedule.HANDED_OVER,),
    "OwnerChanged": (ownership.STABLE,),
    "severity_raised": (schedule.RAISED,),
    "updated": (schedule.GROUP_INTERVAL,),
    "repeated": (schedule.REPEAT_INTERVAL,),
    "ClockWarned": (service_levels.NEAR,),
    "clock_warned": (service_levels.NEAR,),
    "ClockBreached": (service_levels.OVER,),
    "clock_breached": (service_levels.OVER,),
    "Reminded": (reminders.REMINDER,),
    "reminder": (reminders.REMINDER,),
    "Forgotten": (reminders.LAPSED,),
    "Stable": (flapping.STABLE,),
    "Closed": (resolution.CLOSE,),
    "Reopened": (resolution.CLOSE,),
    "resolved": (resolution.CLOSE,),
    "lost": (resolution.CLOSE,),
}
OF_RULE = {
    escalation.UNACKNOWLEDGED: (escalation.UNACKNOWLEDGED,),
    reminders.LAPSED: (reminders.LAPSED,),
}
