"""What comes back from Telegram."""

from typing import Any

import pytest

from app.notifier.replies.act import Act, ActCommand, BadReply
from app.notifier.replies.telegram import TelegramAct, parse_update
from tests.support.notifications import OPENED

INCIDENT = OPENED.incident
ANN = {"id": 4711, "is_bot": False, "first_name": "Ann", "last_name": "Lee", "username": "ann"}
CHAT = {"id": -1001234, "type": "supergroup"}


def pressed(data: str, message_id: int = 100, **changes: Any) -> dict[str, Any]:
    """The update of a button, as Telegram documents it."""
    message = {"message_id": message_id, "chat": CHAT, "date": 1744427702}
    query = {"id": "99", "from": ANN, "message": message, "chat_instance": "1", "data": data}
    return {"update_id": 10000, "callback_query": {**query, **changes}}


def written(**changes: Any) -> dict[str, Any]:
    """The update of a reply to the incident's message."""
    answered = {"message_id": 100, "chat": CHAT}
    message = {
        "message_id": 120,
        "from": ANN,
        "chat": CHAT,
        "text": "restarted it",
        "reply_to_message": answered,
    }
    return {"update_id": 10001, "message": {**message, **changes}}


def incident_of(chat: int, message: int) -> str | None:
    """The incident of the one message that is known."""
    return INCIDENT if (chat, message) == (-1001234, 100) else None


@pytest.mark.parametrize("name", ["acknowledge", "resolve", "escalate", "silence_1h"])
def test_a_button_is_an_act(name: str) -> None:
    """With who pressed it, and the id that Telegram wants an answer to."""
    by = "Ann Lee (@ann, 4711)"
    act = Act(ActCommand(name), INCIDENT, by, "telegram", "telegram-10000")

    assert parse_update(pressed(f"{name}:{INCIDENT}"), incident_of) == TelegramAct(act, "99")


def test_a_reply_is_a_note() -> None:
    """To the incident of the message that it answers."""
    by = "Ann Lee (@ann, 4711)"
    act = Act(ActCommand.NOTE, INCIDENT, by, "telegram", "telegram-10001", "restarted it")

    assert parse_update(written(), incident_of) == TelegramAct(act)


@pytest.mark.parametrize(
    "update",
    [
        {},
        {"update_id": 1, "edited_message": {}},
        pressed(f"resolve:{INCIDENT}", message_id=101),
        pressed("resolve:INC-20260412T031502Z-OTHER"),
        pressed(f"resolve:{INCIDENT}", message=None),
        pressed(""),
        written(reply_to_message=None),
        written(reply_to_message={"message_id": 7}),
        written(text=None),
        written(text="  "),
        written(**{"from": {**ANN, "is_bot": True}}),
    ],
)
def test_what_is_none_of_ours_is_nothing(update: dict[str, Any]) -> None:
    """A button counts below its own incident's message only, and what bots write is no note."""
    assert parse_update(update, incident_of) is None


def test_an_unknown_command_is_told() -> None:
    """In one line."""
    with pytest.raises(BadReply, match=r"^'destroy' is no command$"):
        parse_update(pressed(f"destroy:{INCIDENT}"), incident_of)
