"""Slack, by its web API: one message an incident, changed as the incident changes, and everything else in its thread.

A change of a message and a reply in a thread notify nobody. What has to wake somebody is therefore a reply that is also
shown in the channel (`reply_broadcast`). Slack has no key for what comes twice: after a kill between its answer and our
record a reply can be there twice, the message cannot if its memory was kept.

Sources of the limits: Slack's "Block Kit reference" and "chat.postMessage".
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from app.notifier.channel import ChannelKind, Context
from app.notifier.channels.config import ChannelConfig
from app.notifier.channels.slack_blocks import message_blocks, message_text
from app.notifier.connections.http import Answer, Request, check, error_text, json_request
from app.notifier.memory import preview_json, recall, remember
from app.notifier.messages.formats import escape_slack
from app.notifier.outcome import Refused, Sent, TryAgain
from app.notifier.shorten import shorten
from models.events import Notification

REPLY_MAX = 4000  # characters that Slack recommends for a text; it cuts at 40,000
_TEMPORARY = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
    }
    | {"message_limit_exceeded", "team_added_to_org"}
)
_MESSAGE_GONE = frozenset(
    {
        "message_not_found",
        "cant_update_message",
        "edit_window_closed",
        "thread_not_found",
        "cannot_reply_to_message",
    }
)


class SlackConfig(ChannelConfig):
    """The bot's token (`xoxb-`, scope chat:write), and the app's (`xapp-`) if its buttons come back by Socket Mode."""

    secrets = ("token",)
    optional_secrets = ("app_token",)

    token_file: str = ""
    token_env: str = ""
    app_token_file: str = ""
    app_token_env: str = ""
    url: str = "https://slack.com/api"

    @property
    def has_buttons(self) -> bool:
        """Whether a button is heard; without Socket Mode buttons are links."""
        return bool(self.app_token_file or self.app_token_env)


class _Gone(Exception):
    """The incident's message is not there any more, or cannot be changed."""


@dataclass(frozen=True, slots=True)
class Slack:
    """One workspace. The address is a channel: `#ops` or its id."""

    config: SlackConfig
    context: Context
    kind: ClassVar[ChannelKind] = ChannelKind.SLACK

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:  # noqa: ARG002
        """Post the incident's message, or change it and reply in its thread."""
        kept = recall(memory)
        channel, message_ts = str(kept.get("channel", "")), str(kept.get("ts", ""))
        if channel and message_ts:
            try:
                await self._call(
                    "chat.update",
                    {**self._message_body(notification), "channel": channel, "ts": message_ts},
                )
                reply = await self._call(
                    "chat.postMessage", self._reply(notification, channel, message_ts)
                )
            except _Gone:
                pass  # somebody deleted it, so it is posted anew
            else:
                return Sent(str(reply.get("ts", "")), memory)
        posted = await self._call(
            "chat.postMessage", {**self._message_body(notification), **_QUIET, "channel": address}
        )
        posted_ts = str(posted.get("ts", ""))
        return Sent(posted_ts, remember(channel=str(posted.get("channel", "")), ts=posted_ts))

    def preview(self, notification: Notification, address: str) -> str:
        """The message, whose blocks Slack's Block Kit Builder shows."""
        return preview_json({"channel": address, **self._message_body(notification)})

    async def close(self) -> None:
        """Nothing is open."""

    def _message_body(self, notification: Notification) -> dict[str, Any]:
        blocks = message_blocks(notification, self.context, buttons=self.config.has_buttons)
        return {"text": message_text(notification, self.context), "blocks": blocks}

    def _reply(self, notification: Notification, channel: str, thread_ts: str) -> dict[str, Any]:
        text = self.context.templates.render("thread.slack", notification)
        return {
            "channel": channel,
            "thread_ts": thread_ts,
            "reply_broadcast": notification.wakes,
            "text": shorten(text, REPLY_MAX, tail=f" {escape_slack(notification.incident)}"),
            **_QUIET,
        }

    async def _call(self, method: str, document: dict[str, Any]) -> dict[str, Any]:
        """Slack's answer. Raises _Gone, Refused and TryAgain: Slack says in a 200 what went wrong."""
        token = self.config.secret("token")
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json; charset=utf-8",
        }
        request = json_request(
            "Slack", f"{self.config.url}/{method}", document, headers=headers, secrets=(token,)
        )
        answer = await self.context.http.exchange(request)
        return _accepted(request, method, answer)


_QUIET = {"unfurl_links": False, "unfurl_media": False, "parse": "none"}


def make(config: SlackConfig, context: Context) -> Slack:
    """The channel."""
    return Slack(config, context)


def _accepted(request: Request, method: str, answer: Answer) -> dict[str, Any]:
    document = answer.document()
    error = str(document.get("error", ""))
    check(request, answer, error)
    if document.get("ok") is True:
        return document
    if not error:
        raise TryAgain(f"Slack's answer to {method} cannot be read")
    if error in _MESSAGE_GONE:
        raise _Gone
    message = f"Slack refused {method}: {error_text(request, error)}"
    raise TryAgain(message) if error in _TEMPORARY else Refused(message)
