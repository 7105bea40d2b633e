"""What comes back from Slack: buttons, the form for a note, replies in an incident's thread.

The same payloads come by Socket Mode (as `payload` of an envelope) and by HTTP (as the form's
`payload`). Source: Slack's "Interaction payloads" (block_actions, view_submission) and "message
event".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.notifier.replies.act import Act, ActCommand, BadReply, incident_id, make_act

NOTE_VIEW, NOTE_BLOCK, NOTE_INPUT = "note", "note", "text"
NOTE_MAX = 2000  # characters that the form takes; Slack allows 3,000
_SUBTYPES_OF_PEOPLE = frozenset({"", "thread_broadcast", "file_share"})


@dataclass(frozen=True, slots=True)
class NoteWanted:
    """Somebody pressed Note: open `view` with `views.open` and this trigger, which is good for three seconds."""

    incident: str
    trigger_id: str
    view: dict[str, Any]


def parse_interaction(payload: dict[str, Any]) -> Act | NoteWanted | None:
    """What a button or a form did; None for what is none of ours, such as a button that is a link. Raises BadReply."""
    match payload.get("type"):
        case "block_actions":
            return _parse_button(payload)
        case "view_submission":
            return _parse_form(payload)
        case _:
            return None


def parse_message(
    event: dict[str, Any], incident_of: Callable[[str, str], str | None]
) -> Act | None:
    """A note, if the event is what a person wrote in an incident's thread. Raises BadReply.

    `incident_of` knows the incident of a message by its channel and timestamp.
    """
    subtype = event.get("subtype", "")
    known = isinstance(subtype, str) and subtype in _SUBTYPES_OF_PEOPLE
    written = event.get("type") == "message" and known
    user, text, thread = _text(event, "user"), _text(event, "text"), _text(event, "thread_ts")
    if not written or event.get("bot_id") or not user or not thread or not text.strip():
        return None
    channel, written_ts = _text(event, "channel"), _text(event, "ts")
    incident = incident_of(channel, thread)
    if incident is None or written_ts == thread:
        return None
    key = f"slack-{channel}-{written_ts}"
    return make_act(ActCommand.NOTE, incident, user, "slack", key, _unescape(text))


def note_view(incident: str) -> dict[str, Any]:
    """The form that asks for a note."""
    return {
        "type": "modal",
        "callback_id": NOTE_VIEW,
        "private_metadata": incident,
        "title": {"type": "plain_text", "text": "Note"},
        "submit": {"type": "plain_text", "text": "Add"},
        "close": {"type": "plain_text", "text": "Cancel"},
        "blocks": [
            {
                "type": "input",
                "block_id": NOTE_BLOCK,
                "label": {"type": "plain_text", "text": f"Note on {incident}"},
                "element": {
                    "type": "plain_text_input",
                    "action_id": NOTE_INPUT,
                    "multiline": True,
                    "max_length": NOTE_MAX,
                },
            }
        ],
    }


def _parse_button(payload: dict[str, Any]) -> Act | NoteWanted | None:
    actions = payload.get("actions")
    action = actions[0] if isinstance(actions, list) and actions else None
    if not isinstance(action, dict) or "value" not in action:
        return None  # a button that opens a page has no value
    name, incident = _text(action, "action_id"), _text(action, "value")
    if name == ActCommand.NOTE:
        known = incident_id(incident)
        return NoteWanted(known, _text(payload, "trigger_id"), note_view(known))
    key = f"slack-{_text(action, 'action_ts')}-{_user_id(payload)}"
    return make_act(name, incident, _user(payload), "slack", key)


def _parse_form(payload: dict[str, Any]) -> Act | None:
    view = payload.get("view")
    if not isinstance(view, dict) or view.get("callback_id") != NOTE_VIEW:
        return None
    text: Any = view.get("state")
    for name in ("values", NOTE_BLOCK, NOTE_INPUT, "value"):
        text = text.get(name) if isinstance(text, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise BadReply("the note is empty")
    key = f"slack-{_text(view, 'id')}"
    incident = _text(view, "private_metadata")
    return make_act(ActCommand.NOTE, incident, _user(payload), "slack", key, text)


def _user(payload: dict[str, Any]) -> str:
    """The name of who acts, with the id: names can be changed, and are there twice."""
    user = payload.get("user")
    user = user if isinstance(user, dict) else {}
    name = _text(user, "username") or _text(user, "name")
    return f"{name} ({_text(user, 'id')})" if name else _text(user, "id")


def _user_id(payload: dict[str, Any]) -> str:
    user = payload.get("user")
    return _text(user, "id") if isinstance(user, dict) else ""


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
