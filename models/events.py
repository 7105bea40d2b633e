"""The events that others read, as classes. A consumer of `tocsin.notifications` needs no more than these.

A notification is one message to one receiver through one channel. A receipt is the answer to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypedDict


class Action(StrEnum):
    """What a receiver does with a notification."""

    TRIGGER = "trigger"  # ring or post anew
    ACKNOWLEDGE = "acknowledge"  # of all open episodes
    RESOLVE = "resolve"  # of all open episodes
    UPDATE = "update"  # change the incident's message, or add to its thread
    INFORM = "inform"  # post quietly


class DeliveryState(StrEnum):
    """What a receipt says of a notification."""

    DELIVERED = "delivered"
    FAILED = "failed"


class NextStep(TypedDict):
    """The first step of the runbook: in words, and as a command; either may be empty."""

    say: str
    run: str


class WhyYou(TypedDict):
    """Why a notification reaches its receiver. `rule` is empty for the first notification of an incident."""

    rule: str
    step: int
    steps: int
    text: str


class NotifiedAlert(TypedDict):
    """An alert of the incident. Times are RFC 3339; `status` is firing or ended."""

    fingerprint: str
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    generator_url: str
    starts_at: str
    ends_at: str | None
    severity: str


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one receiver through one channel of the policy. Times are RFC 3339, in UTC."""

    id: str  # PARTITION-OFFSET-NUMBER; the key by which a delivery is told from another
    kind: str  # why: opened, updated, repeated, escalated, acknowledged, resolved, digest ...
    at: str
    policy: str
    incident: str  # empty where it is about several
    action: Action
    episode: int  # of the incident, from 1 on: the part that one ring is for
    wakes: bool  # whether it must ring now
    dedup_key: str  # INCIDENT/EPISODE
    severity: str
    owner: str
    component: str
    title: str
    text: str
    next_step: NextStep | None
    channel: str  # pager, email or chat
    receiver: str  # the contact's name
    address: str
    reason: WhyYou
    started_at: str
    alerts: Sequence[NotifiedAlert] = ()  # worst and newest first, bounded
    alerts_omitted: int = 0
    alerts_firing: int = 0
    alerts_total: int = 0
    common_labels: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a notification, as a notifier says it to the journal."""

    notification: str  # its id
    incident: str
    state: DeliveryState
    detail: str
