"""Mattermost, by an incoming webhook: a message for each notification.

An incoming webhook answers without an id, so that a message cannot be changed and has no thread. What wakes is marked
urgent (Mattermost 7.7 and later show that; earlier ones ignore it).

Source: Mattermost's developer documentation, "Incoming webhooks" and "Message priority".
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from app.notifier.channel import ChannelKind, Context
from app.notifier.channels.config import ChannelConfig
from app.notifier.connections.http import check, json_request
from app.notifier.memory import preview_json
from app.notifier.messages.formats import escape_mattermost
from app.notifier.outcome import Sent
from app.notifier.shorten import shorten_lines
from models.events import Notification

TEXT_MAX = 16_383  # characters; Mattermost makes several posts of what is longer


class MattermostConfig(ChannelConfig):
    """The webhook's URL, which is a secret."""

    secrets = ("url",)

    url_file: str = ""
    url_env: str = ""
    username: str = "Tocsin"


@dataclass(frozen=True, slots=True)
class Mattermost:
    """One server. An address such as `#ops` or `@ann` chooses the channel, else the webhook's own is used."""

    config: MattermostConfig
    context: Context
    kind: ClassVar[ChannelKind] = ChannelKind.MATTERMOST

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:  # noqa: ARG002
        """Post one message."""
        url = self.config.secret("url")
        request = json_request(
            "Mattermost", url, self._message_body(notification, address), secrets=(url,)
        )
        answer = await self.context.http.exchange(request)
        check(request, answer, str(answer.document().get("message", "")))
        return Sent()

    def preview(self, notification: Notification, address: str) -> str:
        """The message."""
        return preview_json(self._message_body(notification, address))

    async def close(self) -> None:
        """Nothing is open."""

    def _message_body(self, notification: Notification, address: str) -> dict[str, Any]:
        templates = self.context.templates
        title = f"**{escape_mattermost(templates.render('title.txt', notification))}**"
        text = f"{title}\n{templates.render('body.mattermost', notification)}"
        document: dict[str, Any] = {
            "username": self.config.username,
            "text": shorten_lines(
                text, TEXT_MAX, tail=f" {self.context.links.incident(notification)}"
            ),
        }
        if address.startswith(("#", "~", "@")):
            document["channel"] = address.lstrip("#~")
        if notification.wakes:
            document["priority"] = {"priority": "urgent"}
        return document


def make(config: MattermostConfig, context: Context) -> Mattermost:
    """The channel."""
    return Mattermost(config, context)
