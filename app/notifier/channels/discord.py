"""Discord, by a channel's webhook: one message an incident, changed as the incident changes.

A webhook cannot reply, and a changed message notifies nobody. What wakes, acknowledges or resolves is therefore a short
message as well. Nobody is mentioned: `allowed_mentions` is empty.

Source: Discord's developer documentation, "Webhook" (execute, edit), "Message" (embed limits), "Rate Limits".
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from app.notifier.channel import ChannelKind, Context
from app.notifier.channels.config import ChannelConfig
from app.notifier.connections.http import RETRY_AFTER_MAX_S, Answer, check, json_request
from app.notifier.memory import preview_json, recall, remember
from app.notifier.messages.formats import escape_markdown
from app.notifier.outcome import Sent, TryAgain
from app.notifier.shorten import shorten, shorten_lines, utf16_units
from models.events import Action, Notification

CONTENT_MAX, TITLE_MAX, DESCRIPTION_MAX, EMBED_MAX = 2000, 256, 4096, 6000
UNKNOWN_MESSAGE = 10008
COLORS = {"P0": 0xD92D20, "P1": 0xF97316, "P2": 0xEAB308, "P3": 0x3B82F6}
GREEN = 0x16A34A


class DiscordConfig(ChannelConfig):
    """The webhook's URL, which is a secret."""

    secrets = ("url",)

    url_file: str = ""
    url_env: str = ""


@dataclass(frozen=True, slots=True)
class Discord:
    """One channel. The address is not used: a webhook belongs to a channel."""

    config: DiscordConfig
    context: Context
    kind: ClassVar[ChannelKind] = ChannelKind.DISCORD

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:  # noqa: ARG002
        """Post the incident's message, or change it and tell what happened."""
        url = self.config.secret("url").partition("?")[0].rstrip("/")
        message_id = str(recall(memory).get("message", ""))
        if message_id.isdecimal():
            changed = await self._call(
                "PATCH", f"{url}/messages/{message_id}", url, self._message_body(notification)
            )
            if changed is not None:
                if _is_told(notification):
                    await self._call(
                        "POST", f"{url}?wait=true", url, self._short_message(notification)
                    )
                return Sent(message_id, memory)
        posted = await self._call("POST", f"{url}?wait=true", url, self._message_body(notification))
        posted_id = str((posted or {}).get("id", ""))
        return Sent(posted_id, remember(message=posted_id))

    def preview(self, notification: Notification, address: str) -> str:  # noqa: ARG002
        """The message."""
        return preview_json(self._message_body(notification))

    async def close(self) -> None:
        """Nothing is open."""

    def _message_body(self, notification: Notification) -> dict[str, Any]:
        templates, links = self.context.templates, self.context.links
        incident = links.incident(notification)
        title = shorten(
            escape_markdown(templates.render("title.txt", notification)),
            TITLE_MAX,
            size=utf16_units,
        )
        footer = f"{notification.incident}, episode {notification.episode}"
        room = min(DESCRIPTION_MAX, EMBED_MAX - utf16_units(title + footer))
        body = templates.render("body.discord", notification)
        embed = {
            "title": title,
            "description": shorten_lines(body, room, tail=f" {incident}", size=utf16_units),
            "color": GREEN
            if notification.action is Action.RESOLVE
            else COLORS.get(notification.severity, COLORS["P0"]),
            "timestamp": notification.at,
            "footer": {"text": footer},
        }
        if incident:
            embed["url"] = incident
        return {"embeds": [embed], "allowed_mentions": {"parse": []}}

    def _short_message(self, notification: Notification) -> dict[str, Any]:
        title = escape_markdown(self.context.templates.render("title.txt", notification))
        text = f"{title}\n{self.context.templates.render('thread.discord', notification)}"
        return {
            "content": shorten_lines(text, CONTENT_MAX, size=utf16_units),
            "allowed_mentions": {"parse": []},
        }

    async def _call(
        self, method: str, url: str, secret: str, document: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Discord's message, or None if the one to change is not there. Raises Refused and TryAgain."""
        request = json_request(
            "Discord", url, document, method=method, secrets=(secret, _token(secret))
        )
        answer = await self.context.http.exchange(request)
        message = answer.document()
        if answer.status == 404 and message.get("code") == UNKNOWN_MESSAGE:
            return None
        try:
            check(request, answer, str(message.get("message", "")))
        except TryAgain as error:
            raise TryAgain(str(error), _retry_after_s(answer) or error.retry_after_s) from None
        if "id" not in message:
            raise TryAgain("Discord's answer cannot be read")
        return message


def make(config: DiscordConfig, context: Context) -> Discord:
    """The channel."""
    return Discord(config, context)


def _is_told(notification: Notification) -> bool:
    """Whether a change of the message is not enough."""
    return notification.wakes or notification.action is not Action.UPDATE


def _token(url: str) -> str:
    return url.rpartition("/")[2]


def _retry_after_s(answer: Answer) -> float | None:
    """Discord says it in fractions of a second in the body."""
    seconds = answer.document().get("retry_after")
    return (
        min(float(seconds), RETRY_AFTER_MAX_S)
        if isinstance(seconds, int | float) and seconds > 0
        else None
    )
