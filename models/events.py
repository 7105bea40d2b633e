"""Messages that Tocsin emits (topic `tocsin.notifications`), and receipts that come back.

A frozen class for each, in the shape of its JSON. The other topics stand beside it in
`models.events_incident`, `models.events_timeline` and `models.events_other`. `docs/EVENTS.md` and
`docs/events.schema.json` are made from these classes: `python -m app.render.events_doc`.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from models.event_field import about

_START = "2026-04-12T03:15:02.000Z"


class NotificationKind(StrEnum):
    """Why a notification was emitted."""

    OPENED = "opened"
    UPDATED = "updated"
    REPEATED = "repeated"
    ESCALATED = "escalated"
    REOPENED = "reopened"
    ACKNOWLEDGED = "acknowledged"
    SEVERITY_RAISED = "severity_raised"
    HANDED_OVER = "handed_over"
    RESOLVED = "resolved"
    LOST = "lost"  # its alerts are no longer received, and no resolve was received
    REMINDER = "reminder"
    UPDATE = "update"
    CLOCK_WARNED = "clock_warned"
    CLOCK_BREACHED = "clock_breached"
    SUPPRESSED = "suppressed"
    RELEASED = "released"
    FLAPPING = "flapping"
    DIGEST = "digest"
    CAUSE_WANTED = "root_cause_wanted"
    TASK_REMINDER = "task_reminder"


NOTIFICATION_MEANINGS = {
    NotificationKind.OPENED: "an incident opened, or was handed over to another team",
    NotificationKind.UPDATED: "more alerts belong to it",
    NotificationKind.REPEATED: "not acknowledged within the repeat interval",
    NotificationKind.ESCALATED: "a rule, a person or the lack of an answer called the next step",
    NotificationKind.REOPENED: "it fires again, or somebody reopened it",
    NotificationKind.ACKNOWLEDGED: "somebody acknowledged it",
    NotificationKind.SEVERITY_RAISED: "its severity is higher than in the last notification",
    NotificationKind.HANDED_OVER: "another team owns it now; sent to the former owner",
    NotificationKind.RESOLVED: "it is closed",
    NotificationKind.LOST: "its alerts are no longer received, and no resolve was received",
    NotificationKind.REMINDER: "whoever acknowledged it has posted no update for too long",
    NotificationKind.UPDATE: "an update by a person",
    NotificationKind.CLOCK_WARNED: "a response time target is near",
    NotificationKind.CLOCK_BREACHED: "a response time target is missed",
    NotificationKind.SUPPRESSED: "something explains it, or a silence covers it",
    NotificationKind.RELEASED: "nothing suppresses it any more, and it fires",
    NotificationKind.FLAPPING: "it is flapping; updates are suppressed until it is stable",
    NotificationKind.DIGEST: "one message instead of many; it is of no incident",
    NotificationKind.CAUSE_WANTED: "it is closed, and its root cause is not named",
    NotificationKind.TASK_REMINDER: "a follow-up task is due",
}


class Action(StrEnum):
    """What a receiver does with a notification."""

    TRIGGER = "trigger"  # ring, or post anew
    ACKNOWLEDGE = "acknowledge"  # stop ringing, for all open episodes
    RESOLVE = "resolve"  # close all open episodes
    UPDATE = "update"  # change the incident's message or add to its thread
    INFORM = "inform"  # post without ringing


class AlertStatus(StrEnum):
    """Whether an alert of an incident fires still."""

    FIRING = "firing"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class NextStep:
    """The first step of the runbook: a sentence, and a command. One of them may be empty."""

    say: str = field(metadata=about("a sentence", "Check the pod's log"))
    run: str = field(metadata=about("a command, quoted for a shell", "kubectl logs cart-7d9f"))


@dataclass(frozen=True, slots=True)
class NotificationReason:
    """Why a notification reaches its receiver."""

    rule: str = field(
        metadata=about("the rule that escalated it; empty for other messages", "p0-lasting")
    )
    step: int = field(metadata=about("the receiver's step of the owner's chain; 0 is none", 2))
    steps: int = field(metadata=about("how many steps the chain has; 0 is no chain", 4))
    text: str = field(
        metadata=about("the same as a sentence", "step 2 of 4: Not acknowledged for 5m")
    )


@dataclass(frozen=True, slots=True)
class NotifiedAlert:
    """An alert as notifications and snapshots show it."""

    fingerprint: str = field(metadata=about("16 hex digits, as Alertmanager's", "4b6e8f0a12c3d4e5"))
    status: str = field(metadata=about("`firing` or `ended`", "firing"))
    severity: str = field(metadata=about("the policy's severity of it", "P0"))
    labels: dict[str, str] = field(metadata=about("all its labels", {"alertname": "PodRestarts"}))
    annotations: dict[str, str] = field(
        metadata=about("its annotations; long ones are cut and marked", {"summary": "It restarts"})
    )
    generator_url: str = field(
        metadata=about("where it comes from; may be empty", "https://prometheus.example.org/graph")
    )
    starts_at: str = field(metadata=about("since when it fires, by its sender", _START))
    ends_at: str | None = field(
        metadata=about("when it ended; null while it fires, or when that is not known", None)
    )


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one receiver through one abstract channel."""

    id: str = field(metadata=about("unique: partition, offset and number", "0-15-3"))
    kind: NotificationKind = field(metadata=about("why there is a message", "opened"))
    at: str = field(metadata=about("engine time", _START))
    policy: str = field(metadata=about("fingerprint of the policy in force", "c0ffee12ab34"))
    incident: str = field(
        metadata=about("the incident's id; empty for a digest", "INC-20260412T031502Z-00K3F")
    )
    action: Action = field(metadata=about("what the receiver does with it", "trigger"))
    episode: int = field(metadata=about("the part of the incident that one ring is for", 1))
    wakes: bool = field(metadata=about("whether it must ring now", example=True))
    dedup_key: str = field(
        metadata=about(
            "by what a pager de-duplicates: incident and episode, or the task's id",
            "INC-20260412T031502Z-00K3F/1",
        )
    )
    severity: str = field(metadata=about("the incident's, P0 is the worst", "P0"))
    owner: str = field(metadata=about("the team", "platform"))
    component: str = field(metadata=about("what is broken; empty for tasks and digests", "cart"))
    title: str = field(metadata=about("alert and place", "PodRestarts: shop/cart-7d9f"))
    text: str = field(metadata=about("one or two sentences", "A pod restarts again and again."))
    next_step: NextStep | None = field(
        metadata=about("the first step of the runbook, or null", {"say": "Check it", "run": ""})
    )
    channel: str = field(metadata=about("the policy's channel: pager, email or chat", "pager"))
    receiver: str = field(metadata=about("the contact's name", "On-call SRE"))
    address: str = field(metadata=about("where the contact is reached", "ops-primary"))
    reason: NotificationReason = field(
        metadata=about(
            "why it reaches this receiver",
            {"rule": "", "step": 1, "steps": 4, "text": "first on call of the team platform"},
        )
    )
    started_at: str = field(metadata=about("when the incident opened", _START))
    alerts: tuple[NotifiedAlert, ...] = field(
        default=(), metadata=about("at most 10, the worst and newest first, ended ones last", [])
    )
    alerts_omitted: int = field(default=0, metadata=about("how many are left out", 0))
    alerts_firing: int = field(default=0, metadata=about("how many of all fire", 1))
    alerts_total: int = field(default=0, metadata=about("how many belong to the incident", 1))
    common_labels: dict[str, str] = field(
        default_factory=dict, metadata=about("labels that all of them share", {"namespace": "shop"})
    )
    links: dict[str, str] = field(
        default_factory=dict,
        metadata=about(
            "web addresses by title: runbook, dashboard, graph, or the annotation's name",
            {"runbook": "https://wiki.example.org/pods"},
        ),
    )


class DeliveryState(StrEnum):
    """What a receipt says of a notification."""

    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a notification, as a notifier says it to the journal."""

    notification: str  # its id
    incident: str
    state: DeliveryState
    detail: str
