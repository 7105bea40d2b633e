"""Events that Tocsin emits: one frozen class for each kind of effect, in the shape of its JSON."""

from dataclasses import dataclass, field
from enum import StrEnum


class NotificationKind(StrEnum):
    """Why a notification was emitted."""

    OPENED = "opened"
    UPDATED = "updated"
    REPEATED = "repeated"
    ESCALATED = "escalated"
    REOPENED = "reopened"
    ACKNOWLEDGED = "acknowledged"
    SEVERITY_RAISED = "severity_raised"
    RESOLVED = "resolved"
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


class Action(StrEnum):
    """What a receiver does with a notification."""

    TRIGGER = "trigger"  # ring, or post anew
    ACKNOWLEDGE = "acknowledge"  # stop ringing, for all open episodes
    RESOLVE = "resolve"  # close all open episodes
    UPDATE = "update"  # change the incident's message or add to its thread
    INFORM = "inform"  # post without ringing


@dataclass(frozen=True, slots=True)
class NextStep:
    """The first step of the runbook: a sentence, and a command that may be empty."""

    say: str
    run: str


@dataclass(frozen=True, slots=True)
class NotificationReason:
    """Why a notification reaches its receiver. `rule` is empty for the first notification."""

    rule: str
    step: int
    steps: int
    text: str


@dataclass(frozen=True, slots=True)
class NotifiedAlert:
    """An alert as a notification shows it. `ends_at` is None while it fires."""

    fingerprint: str
    status: str  # firing or ended
    severity: str
    labels: dict[str, str]
    annotations: dict[str, str]
    generator_url: str
    starts_at: str
    ends_at: str | None


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one receiver through one abstract channel (topic `tocsin.notifications`)."""

    id: str
    kind: NotificationKind
    at: str
    policy: str
    incident: str
    action: Action
    episode: int
    wakes: bool
    dedup_key: str
    severity: str
    owner: str
    component: str
    title: str
    text: str
    next_step: NextStep | None
    channel: str
    receiver: str
    address: str
    reason: NotificationReason
    started_at: str
    alerts: tuple[NotifiedAlert, ...] = ()
    alerts_omitted: int = 0
    alerts_firing: int = 0
    alerts_total: int = 0
    common_labels: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


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
