"""What a channel is: a way to hand one notification to one destination. Each kind has a module in `app.notifier.channels`.

A channel sends once and says what came of it. Order, retries, limits and fallback are the deliverer's. What a channel is made
of (HTTP client, templates, public URL) is in `app.notifier.context`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from models.events import Notification


class ChannelKind(StrEnum):
    """The kinds of receivers, as `receivers.yaml` names them."""

    PAGERDUTY = "pagerduty"
    SLACK = "slack"
    EMAIL = "email"
    TEAMS = "teams"
    TELEGRAM = "telegram"
    MATTERMOST = "mattermost"
    DISCORD = "discord"
    NTFY = "ntfy"
    PUSHOVER = "pushover"
    TWILIO_SMS = "twilio_sms"
    TWILIO_VOICE = "twilio_voice"
    WEBHOOK = "webhook"
    APPRISE = "apprise"
    TERMINAL = "terminal"


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver has accepted a notification."""

    receiver_id: str = ""  # their id: PagerDuty's dedup key, a Message-ID, Slack's ts
    memory: str = ""  # opaque, JSON: what the channel wants back with the next one of this incident


class Refused(Exception):
    """The receiver will never accept this: a 4xx, a bad address. The message is one inert line without a secret."""


class TryAgain(Exception):
    """The receiver did not accept this now: a time-out, a 5xx, a 429. The message is as that of `Refused`."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Channel(Protocol):
    """A configured receiver."""

    kind: ChannelKind

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:
        """Hand over a notification. Raises Refused and TryAgain.

        `memory` is what the last `Sent` of this incident, receiver and address gave, "" at first. `key` is the idempotency
        key: the notification's id.
        """

    def preview(self, notification: Notification, address: str) -> str:
        """What would be sent, readable."""

    async def close(self) -> None:
        """Close connections."""
