"""Pushover: a push to a person's phones, which rings until it is confirmed.

What wakes has the emergency priority: Pushover repeats it each minute until somebody confirms it, at most for an hour. An
acknowledgement or an end in Tocsin stops that: each emergency carries the incident as its tag, by which it is cancelled.

Sources: Pushover's "Message API" (limits, priorities) and "Receipts API" (cancelling by tag).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field

from app.notifier.channel import ChannelKind, Context
from app.notifier.channels.config import ChannelConfig
from app.notifier.connections.http import check, json_request
from app.notifier.memory import preview_json
from app.notifier.outcome import Sent
from app.notifier.shorten import shorten, shorten_lines
from models.events import Action, Notification

MESSAGE_MAX, TITLE_MAX, URL_MAX = 1024, 250, 512  # characters


class PushoverConfig(ChannelConfig):
    """The application's token, the key of a user or group, and how an emergency is repeated."""

    secrets = ("token", "user")

    token_file: str = ""
    token_env: str = ""
    user_file: str = ""
    user_env: str = ""
    retry_s: int = Field(default=60, ge=30, le=10800)
    expire_s: int = Field(default=3600, ge=30, le=10800)
    url: str = "https://api.pushover.net"


@dataclass(frozen=True, slots=True)
class Pushover:
    """One user or group. The address is not used."""

    config: PushoverConfig
    context: Context
    kind: ClassVar[ChannelKind] = ChannelKind.PUSHOVER

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:  # noqa: ARG002
        """Stop what rings if it is acknowledged or over, then send the message."""
        token, user = self.config.secret("token"), self.config.secret("user")
        if notification.action in (Action.ACKNOWLEDGE, Action.RESOLVE):
            await self._post(
                f"receipts/cancel_by_tag/{notification.incident}.json",
                {"token": token},
                (token, user),
            )
        document = {"token": token, "user": user, **self._message_body(notification)}
        answer = await self._post("messages.json", document, (token, user))
        return Sent(str(answer.get("receipt") or answer.get("request") or ""))

    def preview(self, notification: Notification, address: str) -> str:  # noqa: ARG002
        """The message without token and user."""
        return preview_json(self._message_body(notification))

    async def close(self) -> None:
        """Nothing is open."""

    async def _post(
        self, path: str, document: dict[str, Any], secrets: tuple[str, ...]
    ) -> dict[str, Any]:
        request = json_request("Pushover", f"{self.config.url}/1/{path}", document, secrets=secrets)
        answer = await self.context.http.exchange(request)
        errors = answer.document().get("errors")
        check(request, answer, ", ".join(map(str, errors)) if isinstance(errors, list) else "")
        return answer.document()

    def _message_body(self, notification: Notification) -> dict[str, Any]:
        incident = self.context.links.incident(notification)
        message = shorten_lines(
            self.context.templates.render("push.txt", notification), MESSAGE_MAX
        )
        document: dict[str, Any] = {
            "title": shorten(self.context.templates.render("title.txt", notification), TITLE_MAX),
            "message": message or notification.incident,
            "timestamp": int(datetime.fromisoformat(notification.at).timestamp()),
            "priority": _priority(notification),
        }
        if notification.wakes:
            emergency = {
                "retry": self.config.retry_s,
                "expire": self.config.expire_s,
                "tags": notification.incident,
            }
            document |= emergency
        if incident and len(incident) <= URL_MAX:
            document |= {"url": incident, "url_title": "Incident"}
        return document


def make(config: PushoverConfig, context: Context) -> Pushover:
    """The channel."""
    return Pushover(config, context)


def _priority(notification: Notification) -> int:
    """2 rings until it is confirmed, 0 is a usual message, -1 makes no sound."""
    if notification.wakes:
        return 2
    return -1 if notification.action in (Action.ACKNOWLEDGE, Action.RESOLVE) else 0
