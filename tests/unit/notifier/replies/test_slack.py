"""What comes back from Slack."""

from typing import Any

import pytest

from app.notifier.replies.act import Act, ActCommand, BadReply
from app.notifier.replies.slack import NoteWanted, note_view, parse_interaction, parse_message
from tests.support.notifications import HOSTILE, OPENED
from tests.support.receivers.slack import block_errors

INCIDENT = OPENED.incident
USER = {"id": "U061F7AUR", "username": "ann", "name": "ann", "team_id": "T0"}


def pressed(action_id: str, **changes: Any) -> dict[str, Any]:
    """The payload of a button, as Slack documents it."""
    action = {
        "action_id": action_id,
        "block_id": f"incident:{INCIDENT}",
        "text": {"type": "plain_text", "text": "x"},
        "value": INCIDENT,
        "type": "button",
        "action_ts": "1744427800.123456",
        **changes,
    }
    return {
        "type": "block_actions",
        "user": USER,
        "trigger_id": "12466734323.1395872398",
        "container": {"type": "message", "message_ts": "1744427702.000000", "channel_id": "C0OPS"},
        "actions": [action],
    }


def submitted(text: str | None) -> dict[str, Any]:
    """The payload of the form for a note."""
    state = {"values": {"note": {"text": {"type": "plain_text_input", "value": text}}}}
    view = {"id": "V123", "callback_id": "note", "private_metadata": INCIDENT, "state": state}
    return {"type": "view_submission", "user": USER, "view": view}


def incident_of(channel: str, ts: str) -> str | None:
    """The incident of the one message that is known."""
    return INCIDENT if (channel, ts) == ("C0OPS", "1744427702.000000") else None


@pytest.mark.parametrize("name", ["acknowledge", "resolve", "escalate", "silence_1h"])
def test_a_button_is_an_act(name: str) -> None:
    """With who pressed it, and a key for a second delivery."""
    act = parse_interaction(pressed(name))

    key = "slack-1744427800.123456-U061F7AUR"
    assert act == Act(ActCommand(name), INCIDENT, "ann (U061F7AUR)", "slack", key)


def test_the_note_button_opens_a_form() -> None:
    """The form holds the incident, and is sent within three seconds."""
    wanted = parse_interaction(pressed("note"))

    assert wanted == NoteWanted(INCIDENT, "12466734323.1395872398", note_view(INCIDENT))
    assert list(block_errors([])) == []


def test_a_form_is_a_note() -> None:
    """Its text is one inert line."""
    act = parse_interaction(submitted("tried\n a restart \x1b[31m"))

    text = "tried a restart \N{REPLACEMENT CHARACTER}[31m"
    assert act == Act(ActCommand.NOTE, INCIDENT, "ann (U061F7AUR)", "slack", "slack-V123", text)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"type": "shortcut"},
        {"type": "block_actions"},
        {"type": "block_actions", "actions": []},
        {"type": "block_actions", "actions": ["x"]},
        {"type": "block_actions", "actions": [{"action_id": "open_silence"}]},
        {"type": "view_submission", "view": {"callback_id": "other"}},
        {"type": "view_submission"},
    ],
)
def test_what_is_none_of_ours_is_nothing(payload: dict[str, Any]) -> None:
    """Links, forms of others, other payloads."""
    assert parse_interaction(payload) is None


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (pressed("destroy"), "'destroy' is no command"),
        (pressed("resolve", value="INC-1"), "'INC-1' is no incident id"),
        (pressed("note", value=HOSTILE), "is no incident id"),
        (pressed("resolve", value=7), "'' is no incident id"),
        (submitted(" "), "the note is empty"),
        (submitted(None), "the note is empty"),
    ],
)
def test_what_is_wrong_is_told(payload: dict[str, Any], message: str) -> None:
    """In one inert line."""
    with pytest.raises(BadReply, match=message) as caught:
        parse_interaction(payload)

    assert str(caught.value).isprintable()


MESSAGE = {
    "type": "message",
    "channel": "C0OPS",
    "user": "U061F7AUR",
    "text": "a &lt;b&gt; &amp; c",
    "ts": "1744427900.000100",
    "thread_ts": "1744427702.000000",
}


def test_a_reply_in_the_thread_is_a_note() -> None:
    """As it was written."""
    act = parse_message(MESSAGE, incident_of)

    key = "slack-C0OPS-1744427900.000100"
    assert act == Act(ActCommand.NOTE, INCIDENT, "U061F7AUR", "slack", key, "a <b> & c")


@pytest.mark.parametrize(
    "changes",
    [
        {"bot_id": "B1"},
        {"subtype": "message_changed"},
        {"subtype": "bot_message"},
        {"thread_ts": None},
        {"thread_ts": "1.0"},
        {"ts": "1744427702.000000"},
        {"user": None},
        {"text": " "},
        {"type": "reaction_added"},
    ],
)
def test_what_is_no_reply_of_a_person_is_nothing(changes: dict[str, Any]) -> None:
    """Our own replies above all, or each note would be told and noted for ever."""
    assert parse_message({**MESSAGE, **changes}, incident_of) is None
