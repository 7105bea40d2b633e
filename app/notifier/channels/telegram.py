"""Telegram: one message an incident, changed as the incident changes, with replies for what happened.

A changed message notifies nobody, so each notification after the first is a reply as well; one that need not wake comes
without sound. Source: Telegram's Bot API (sendMessage, editMessageText, InlineKeyboardButton).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from app.notifier.channel import ChannelKind, Context
from app.notifier.channels.config import ChannelConfig
from app.notifier.connections.http import RETRY_AFTER_MAX_S, Answer, check, json_request
from app.notifier.memory import preview_json, recall, remember
from app.notifier.messages.formats import escape_telegram
from app.notifier.messages.words import safe_url
from app.notifier.outcome import Refused, Sent, TryAgain
from app.notifier.shorten import one_line, shorten_lines, utf16_units
from models.events import Action, Notification

TEXT_MAX = 4096  # UTF-16 units once the markup is taken away; we count with it
CALLBACK_BYTES_MAX = 64
BUTTONS = (
    ("acknowledge", "Acknowledge"),
    ("resolve", "Resolve"),
    ("escalate", "Escalate"),
    ("silence_1h", "Silence 1h"),
)


class TelegramConfig(ChannelConfig):
    """The bot's token. `buttons`: Tocsin hears the bot's buttons; else they are links."""

    secrets = ("token",)

    token_file: str = ""
    token_env: str = ""
    buttons: bool = False
    url: str = "https://api.telegram.org"


class _Gone(Exception):
    """The incident's message is not there any more, or cannot be changed."""


@dataclass(frozen=True, slots=True)
class Telegram:
    """One bot. The address is a chat's id or @name, with `/TOPIC` behind it for a topic of a forum."""

    config: TelegramConfig
    context: Context
    kind: ClassVar[ChannelKind] = ChannelKind.TELEGRAM

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:  # noqa: ARG002
        """Post the incident's message, or change it and reply to it."""
        target = _target(address)
        message_id = recall(memory).get("message")
        if isinstance(message_id, int):
            try:
                changed = {
                    "chat_id": target["chat_id"],
                    "message_id": message_id,
                    **self._message_body(notification),
                }
                await self._call("editMessageText", changed)
            except _Gone:
                pass  # somebody deleted it, so it is posted anew
            else:
                replied = await self._call(
                    "sendMessage", {**target, **self._reply(notification, message_id)}
                )
                return Sent(str(replied.get("message_id", "")), memory)
        sound = {"disable_notification": not notification.wakes}
        posted = await self._call(
            "sendMessage", {**target, **self._message_body(notification), **sound}
        )
        posted_id, chat = posted.get("message_id"), posted.get("chat")
        chat_id = chat.get("id") if isinstance(chat, dict) else None
        return Sent(str(posted_id), remember(chat=chat_id, message=posted_id))

    def preview(self, notification: Notification, address: str) -> str:
        """The message."""
        return preview_json({**_target(address), **self._message_body(notification)})

    async def close(self) -> None:
        """Nothing is open."""

    def _message_body(self, notification: Notification) -> dict[str, Any]:
        templates = self.context.templates
        title = f"<b>{escape_telegram(templates.render('title.txt', notification))}</b>"
        text = f"{title}\n{templates.render('body.telegram', notification)}"
        return {
            **self._text(text, notification),
            "reply_markup": {"inline_keyboard": self._buttons(notification)},
        }

    def _reply(self, notification: Notification, message_id: int) -> dict[str, Any]:
        return {
            **self._text(
                self.context.templates.render("thread.telegram", notification), notification
            ),
            "reply_parameters": {"message_id": message_id, "allow_sending_without_reply": True},
            "disable_notification": not notification.wakes,
        }

    def _text(self, text: str, notification: Notification) -> dict[str, Any]:
        tail = f" {escape_telegram(self.context.links.incident(notification) or notification.incident)}"
        return {
            "text": shorten_lines(text, TEXT_MAX, tail=tail, size=utf16_units),
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
        }

    def _buttons(self, notification: Notification) -> list[list[dict[str, str]]]:
        """Rows of at most two buttons: commands if they are heard, else links."""
        if notification.action is Action.RESOLVE:
            return []
        acknowledged = notification.action is Action.ACKNOWLEDGE
        links = self.context.links
        if self.config.buttons:
            wanted = [
                {"text": title, "callback_data": f"{name}:{notification.incident}"}
                for name, title in BUTTONS
                if not (acknowledged and name == "acknowledge")
            ]
            buttons = [
                button
                for button in wanted
                if len(button["callback_data"].encode()) <= CALLBACK_BYTES_MAX
            ]
        else:
            pages = {"" if acknowledged else "Acknowledge": links.acknowledge(notification)}
            pages["Silence"] = links.silence(notification)
            buttons = [
                {"text": title, "url": url}
                for title, url in pages.items()
                if title and safe_url(url)
            ]
        return [buttons[first : first + 2] for first in range(0, len(buttons), 2)]

    async def _call(self, method: str, document: dict[str, Any]) -> dict[str, Any]:
        """The `result`. Raises _Gone, Refused and TryAgain."""
        token = self.config.secret("token")
        request = json_request(
            "Telegram", f"{self.config.url}/bot{token}/{method}", document, secrets=(token,)
        )
        answer = await self.context.http.exchange(request)
        result = answer.document()
        description = str(result.get("description", ""))
        if "message is not modified" in description:
            return {}
        if "message to edit not found" in description or "message can't be edited" in description:
            raise _Gone
        try:
            check(request, answer, description)
        except TryAgain as error:
            raise TryAgain(str(error), _retry_after_s(answer) or error.retry_after_s) from None
        if not isinstance(result.get("result"), dict):
            raise TryAgain(f"Telegram's answer to {method} cannot be read")
        return dict(result["result"])


def make(config: TelegramConfig, context: Context) -> Telegram:
    """The channel."""
    return Telegram(config, context)


def _target(address: str) -> dict[str, Any]:
    """Where to send: `-1001234`, `@name`, `-1001234/17`."""
    chat, _, topic = address.strip().partition("/")
    if not chat or (topic and not topic.isdecimal()):
        raise Refused(
            f"{one_line(address, 100)!r} must be a chat's id or @name, and may have /TOPIC behind it"
        )
    target: dict[str, Any] = {"chat_id": int(chat) if chat.lstrip("-").isdecimal() else chat}
    if topic:
        target["message_thread_id"] = int(topic)
    return target


def _retry_after_s(answer: Answer) -> float | None:
    parameters = answer.document().get("parameters")
    seconds = parameters.get("retry_after") if isinstance(parameters, dict) else None
    return (
        min(float(seconds), RETRY_AFTER_MAX_S) if isinstance(seconds, int) and seconds > 0 else None
    )
