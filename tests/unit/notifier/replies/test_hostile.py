"""Whatever a service sends: an act, nothing, or BadReply."""

from contextlib import suppress
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from app.notifier.replies.act import Act, BadReply
from app.notifier.replies.one_tap import OneTap
from app.notifier.replies.pagerduty import parse_webhook
from app.notifier.replies.slack import NoteWanted, parse_interaction, parse_message
from app.notifier.replies.telegram import message_of, parse_update
from tests.support.notifications import OPENED

WORDS = (
    *("type", "message", "block_actions", "view_submission", "actions", "action_id", "value"),
    *("user", "id", "view", "callback_id", "note", "state", "values", "text", "subtype", "bot_id"),
    *("channel", "thread_ts", "ts", "callback_query", "data", "from", "chat", "message_id"),
    *("reply_to_message", "update_id", "first_name", "event", "event_type", "incident.resolved"),
    *("agent", "user_reference", "summary", "incident_key", "assignees", "incident.reassigned"),
    *(OPENED.incident, OPENED.dedup_key, f"resolve:{OPENED.incident}", "resolve", ""),
)
TEXTS = st.sampled_from(WORDS) | st.text(max_size=5)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**40) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=8),
    max_leaves=40,
)
OBJECTS = st.dictionaries(TEXTS, DOCUMENTS, max_size=10)


def _is_inert(act: object) -> bool:
    match act:
        case Act(by=by, text=text, key=key):
            return (by + text + key).isprintable()
        case NoteWanted(incident=incident):
            return incident == OPENED.incident
        case _:
            return act is None


@given(OBJECTS, st.sampled_from(["block_actions", "view_submission", "message"]))
def test_slack(document: dict[str, Any], kind: str) -> None:
    """Interactions and messages."""
    typed = {**document, "type": kind}
    with suppress(BadReply):
        assert _is_inert(parse_interaction(typed))
    with suppress(BadReply):
        assert _is_inert(parse_message(typed, lambda *_: OPENED.incident))


@given(OBJECTS)
def test_telegram(document: dict[str, Any]) -> None:
    """Updates."""
    message_of(document)
    with suppress(BadReply):
        parsed = parse_update(document, lambda *_: OPENED.incident)
        assert parsed is None or _is_inert(parsed.act)


@given(OBJECTS)
def test_pagerduty(document: dict[str, Any]) -> None:
    """Events of webhooks."""
    with suppress(BadReply):
        assert _is_inert(parse_webhook(orjson.dumps({"event": document})))


@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda raw: raw.decode("latin-1")))
def test_links(token: str) -> None:
    """Tokens: nobody guesses one."""
    with suppress(BadReply):
        raise AssertionError(OneTap(b"a secret of enough bytes").read(token, 0))
