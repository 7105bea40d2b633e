"""What comes back from Telegram (`getUpdates`): buttons, and replies to an incident's message.

Source: Telegram's Bot API (Update, CallbackQuery, Message).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.notifier.replies.act import Act, ActCommand, make_act


@dataclass(frozen=True, slots=True)
class TelegramAct:
    """An act, and the id of the button's press, which `answerCallbackQuery` wants; empty for a reply."""

    act: Act
    callback_id: str = ""


def parse_update(
    update: dict[str, Any], incident_of: Callable[[int, int], str | None]
) -> TelegramAct | None:
    """What an update did; None for what is none of ours. Raises BadReply.

    `incident_of` knows the incident of a message by its chat and id.
    """
    key = f"telegram-{_number(update, 'update_id')}"
    if query := _document(update, "callback_query"):
        return _parse_button(query, key, incident_of)
    if message := _document(update, "message"):
        return _parse_reply(message, key, incident_of)
    return None


def message_of(update: dict[str, Any]) -> tuple[int, int]:
    """Chat and id of the message that a button is below, or that is answered; zeros where there is none."""
    if query := _document(update, "callback_query"):
        message = _document(query, "message")
        return _number(_document(message, "chat"), "id"), _number(message, "message_id")
    message = _document(update, "message")
    answered = _document(message, "reply_to_message")
    return _number(_document(message, "chat"), "id"), _number(answered, "message_id")


def _parse_button(
    query: dict[str, Any], key: str, incident_of: Callable[[int, int], str | None]
) -> TelegramAct | None:
    """A button counts only below a message of ours, and for that message's incident."""
    name, _, incident = str(query.get("data", "")).partition(":")
    message = _document(query, "message")
    known = incident_of(_number(_document(message, "chat"), "id"), _number(message, "message_id"))
    if known is None or known != incident:
        return None
    act = make_act(name, incident, _name(_document(query, "from")), "telegram", key)
    return TelegramAct(act, str(query.get("id", "")))


def _parse_reply(
    message: dict[str, Any], key: str, incident_of: Callable[[int, int], str | None]
) -> TelegramAct | None:
    sender, text = _document(message, "from"), message.get("text")
    answered = _document(message, "reply_to_message")
    if not answered or sender.get("is_bot") or not isinstance(text, str) or not text.strip():
        return None
    chat = _number(_document(message, "chat"), "id")
    incident = incident_of(chat, _number(answered, "message_id"))
    if incident is None:
        return None
    return TelegramAct(make_act(ActCommand.NOTE, incident, _name(sender), "telegram", key, text))


def _name(user: dict[str, Any]) -> str:
    """`Ann Lee (@ann, 4711)`: names can be changed, and are there twice, so the id is with it."""
    parts = [user.get("first_name"), user.get("last_name")]
    name = " ".join(part for part in parts if isinstance(part, str))
    username = user.get("username")
    known = f"@{username}, " if isinstance(username, str) else ""
    return f"{name} ({known}{_number(user, 'id')})".strip()


def _document(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _number(document: dict[str, Any], name: str) -> int:
    value = document.get(name)
    return value if isinstance(value, int) else 0
