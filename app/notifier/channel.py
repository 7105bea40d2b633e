"""What a channel is: a way to hand one notification to one destination. Each kind has a module in `app.notifier.channels`.

A channel sends once and says what came of it. Order, retries, limits and fallback are the deliverer's.
"""

from enum import StrEnum
from typing import Protocol

from app.notifier.outcome import Sent
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
