"""ntfy: a push to the phones that are subscribed to a topic.

What wakes has priority 5, the highest. The Android app rings until it is seen if its setting
"Keep alerting for highest priority" is on; ntfy itself has no confirmation. A topic on a public
server is a password: whoever knows it reads along.

Source: ntfy's documentation, "Publishing" (JSON, actions, limits).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from app.notifier.channel import ChannelKind, Context
from app.notifier.channels.config import ChannelConfig
from app.notifier.connections.http import check, json_request
from app.notifier.memory import preview_json
from app.notifier.messages.words import page
from app.notifier.outcome import Sent
from app.notifier.shorten import shorten, shorten_lines, utf8_bytes
from models.events import Action, Notification

MESSAGE_BYTES_MAX = 4096  # what is longer becomes an attached file
TITLE_BYTES_MAX = 250
ACTIONS_MAX = 3


class NtfyConfig(ChannelConfig):
    """The server and the topic; a token where the topic is protected."""

    secrets = ("topic",)
    optional_secrets = ("token",)

    url: str = "https://ntfy.sh"
    topic_file: str = ""
    topic_env: str = ""
    token_file: str = ""
    token_env: str = ""


@dataclass(frozen=True, slots=True)
class Ntfy:
    """One topic. The address is not used."""

    config: NtfyConfig
    context: Context
    kind: ClassVar[ChannelKind] = ChannelKind.NTFY

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:  # noqa: ARG002
        """Publish one message."""
        topic, token = self.config.secret("topic"), self.config.secret("token")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        document = {"topic": topic, **self._message_body(notification)}
        request = json_request(
            "ntfy", self.config.url, document, headers=headers, secrets=(topic, token)
        )
        answer = await self.context.http.exchange(request)
        check(request, answer, str(answer.document().get("error", "")))
        return Sent(str(answer.document().get("id", "")))

    def preview(self, notification: Notification, address: str) -> str:  # noqa: ARG002
        """The message without its topic."""
        return preview_json(self._message_body(notification))

    async def close(self) -> None:
        """Nothing is open."""

    def _message_body(self, notification: Notification) -> dict[str, Any]:
        templates, links = self.context.templates, self.context.links
        incident = links.incident(notification)
        document = {
            "title": shorten(
                templates.render("title.txt", notification), TITLE_BYTES_MAX, size=utf8_bytes
            ),
            "message": shorten_lines(
                templates.render("push.txt", notification),
                MESSAGE_BYTES_MAX,
                tail=f" {incident}",
                size=utf8_bytes,
            ),
            "priority": _priority(notification),
            "tags": [
                "white_check_mark" if notification.action is Action.RESOLVE else "rotating_light"
            ],
        }
        if incident:
            document["click"] = incident
        if actions := self._actions(notification):
            document["actions"] = actions
        return document

    def _actions(self, notification: Notification) -> list[dict[str, Any]]:
        """At most three buttons: acknowledge, silence, the runbook."""
        links = self.context.links
        if notification.action is Action.RESOLVE:
            return []
        wanted = {
            "Acknowledge": links.acknowledge(notification),
            "Silence": links.silence(notification),
        }
        if notification.action is Action.ACKNOWLEDGE:
            del wanted["Acknowledge"]
        ours = [_button(label, url, acts=links.acts) for label, url in wanted.items() if url]
        runbooks = [
            _button(link.title, link.url, acts=False)
            for link in page(notification, links).links
            if link.title == "Runbook"
        ]
        return [*ours, *runbooks][:ACTIONS_MAX]


def make(config: NtfyConfig, context: Context) -> Ntfy:
    """The channel."""
    return Ntfy(config, context)


def _button(label: str, url: str, *, acts: bool) -> dict[str, Any]:
    """A button that the app posts to by itself if the link acts, else one that opens a page."""
    if acts:
        return {"action": "http", "label": label, "url": url, "method": "POST", "clear": True}
    return {"action": "view", "label": label, "url": url}


def _priority(notification: Notification) -> int:
    """5 rings, 3 is a usual message, 2 makes no sound."""
    if notification.wakes:
        return 5
    return 2 if notification.action in (Action.ACKNOWLEDGE, Action.RESOLVE) else 3
