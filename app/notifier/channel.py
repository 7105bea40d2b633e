"""The interface between deliveries and channels: what a channel is given, and how its attempt can end."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

from app.notifier.connections.http import HttpClient
from app.notifier.messages.incident_links import IncidentLinks
from app.notifier.messages.rendering import Templates
from app.notifier.outcome import Sent
from models.events import Notification


class ChannelKind(StrEnum):
    """The kinds of channel, as receivers.yaml names them."""

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
class Context:
    """What all channels share."""

    http: HttpClient
    templates: Templates
    links: IncidentLinks


class Channel(Protocol):
    """One destination, such as a PagerDuty service or a Slack workspace."""

    kind: ClassVar[ChannelKind]

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:
        """Send one message. Raises Refused (permanent) and TryAgain (temporary).

        `memory` is that of the last Sent of the same incident, receiver and address, "" at first.
        `key` is the same for each attempt of one message: the notification's id.
        """

    def preview(self, notification: Notification, address: str) -> str:
        """What would be sent, for a person to read."""

    async def close(self) -> None:
        """Close what is open."""
