"""Slack over Socket Mode: what is pressed and written there is a command, and who did it is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from app.bridge.commands.acts import act_runner
from app.notifier.channels.slack import SlackConfig
from app.notifier.connections.http import HttpClient
from app.notifier.ledger.contacts import Contacts
from app.notifier.ledger.delivery import Rules, Story, Thread
from app.notifier.listeners.listener import keep_listening
from app.notifier.listeners.sent_messages import SentMessages
from app.notifier.listeners.slack_socket import SlackSocket
from app.notifier.memory import remember
from app.notifier.outcome import TryAgain
from app.notifier.runtime.deliverer import Deliverer, Reach
from app.notifier.runtime.records import story_record
from tests.support.asynchronous import asynchronous
from tests.support.receivers.context import LOCAL
from tests.support.receivers.server import Fault
from tests.support.receivers.slack import APP_TOKEN, TOKEN, USER, SlackServer, pressed
from tests.support.served_bridge import INCIDENT, PARTITIONS
from tests.support.worked_log import TOPICS, WorkedLog

BOB = {"id": "U2", "username": "bob"}
THREAD = "1744427702.000000"


@dataclass
class World:
    """A workspace, a journal with an incident, and what listens between them."""

    log: WorkedLog
    slack: SlackServer
    incident: str

    def state(self) -> str:
        """The incident's."""
        found = [one for engine in self.log.engines for one in engine.state.incidents.values()]
        return str(found[0].state)

    def texts(self) -> list[str]:
        """What the incident's timeline says."""
        return [
            orjson.loads(record.value or b"")["text"]
            for (topic, _), records in self.log.topics.items()
            for record in records
            if topic == TOPICS.timeline and record.key == self.incident.encode()
        ]


def _socket(slack: SlackServer, log: WorkedLog, http: HttpClient) -> SlackSocket:
    config = SlackConfig(token_env="T_BOT", app_token_env="T_APP", url=f"{slack.url}/api")
    deliverer = Deliverer(log, TOPICS, PARTITIONS, Reach({}, Contacts([]), Rules({})), lambda: 0)
    messages = SentMessages(log, TOPICS.deliveries, PARTITIONS, deliverer)
    runner = act_runner(log, TOPICS, PARTITIONS, 30)
    return SlackSocket(frozenset({"slack"}), config, http, runner, messages)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """A world in which the incident's message was sent by another notifier."""
    log = WorkedLog()
    log.fire(severity="high")
    incident = log.incidents()[0]
    memory = remember(channel="C0OPS", ts=THREAD)
    story = Story(0, {"slack": Thread(memory)})
    log.put(TOPICS.deliveries, 0, [story_record(("chat/#ops", incident), story, ())])
    async with SlackServer() as slack:
        slack.messages[THREAD] = {"channel": "C0OPS", "text": "x"}
        http = HttpClient(LOCAL)
        task = asyncio.create_task(keep_listening(_socket(slack, log, http), lambda: 0.0))
        try:
            await slack.connected()
            yield World(log, slack, incident)
        finally:
            task.cancel()
            await asyncio.wait({task})
            await http.close()


@pytest.fixture(autouse=True)
def _tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T_BOT", TOKEN)
    monkeypatch.setenv("T_APP", APP_TOKEN)


def living(test: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    """The test in a world."""

    @asynchronous
    async def run() -> None:
        async with world() as there:
            await test(there)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@living
async def test_a_button_acts(there: World) -> None:
    """In the name of who pressed it, which the thread hears."""
    await there.slack.send("interactive", pressed("acknowledge", there.incident, USER))

    assert there.state() == "acknowledged"
    assert "ann (U061F7AUR) (via slack) acknowledged it" in there.texts()
    [reply] = [one for one in there.slack.messages.values() if "thread_ts" in one]
    assert reply["text"] == "ann (U061F7AUR) (via slack) acknowledged it"
    assert there.slack.told == []


@living
async def test_the_second_is_told_who_was_first(there: World) -> None:
    """In words that only the second sees."""
    await there.slack.send("interactive", pressed("acknowledge", there.incident, USER))
    await there.slack.send("interactive", pressed("acknowledge", there.incident, BOB, "2"), "e2")

    [told] = there.slack.told
    assert told["user"] == "U2"
    assert told["text"].startswith("Not done: ann (U061F7AUR) (via slack) acknowledged it first")


@living
async def test_an_envelope_that_comes_twice_counts_once(there: World) -> None:
    """Slack sends again what was not acknowledged in time."""
    for name in ("e1", "e2"):
        await there.slack.send("interactive", pressed("escalate", there.incident, USER), name)

    assert sum("escalated it" in text for text in there.texts()) == 1


@living
async def test_the_channel_hears_of_a_silence(there: World) -> None:
    """In the incident's thread."""
    await there.slack.send("interactive", pressed("silence_1h", there.incident, USER))

    [told] = [one for one in there.slack.messages.values() if "silenced" in one["text"]]
    assert (told["thread_ts"], told["text"][:22]) == (THREAD, "silenced 1 alert until")


@living
async def test_a_note_is_asked_for_and_kept(there: World) -> None:
    """The button opens a form, and the form is a note."""
    await there.slack.send("interactive", pressed("note", there.incident, USER))
    [form] = there.slack.forms
    state = {"values": {"note": {"text": {"type": "plain_text_input", "value": "tried it"}}}}
    payload = {"type": "view_submission", "user": USER, "view": {**form["view"], "state": state}}
    answer = await there.slack.send("interactive", {**payload, "trigger_id": "1"}, "e2")

    assert answer is None
    assert "ann (U061F7AUR) (via slack): tried it" in there.texts()


@living
async def test_an_empty_form_says_so(there: World) -> None:
    """Below its field."""
    view = {"callback_id": "note", "private_metadata": there.incident, "state": {}}
    answer = await there.slack.send("interactive", {"type": "view_submission", "view": view})

    assert answer == {"response_action": "errors", "errors": {"note": "the note is empty"}}


@living
async def test_a_reply_in_the_thread_is_a_note(there: World) -> None:
    """Only in the thread of a message of ours, and only a person's."""
    event = {"type": "message", "channel": "C0OPS", "user": "U1", "text": "found it", "ts": "2.0"}
    for number, changes in enumerate(
        (
            {"thread_ts": THREAD},
            {"thread_ts": "9.9"},
            {"thread_ts": THREAD, "bot_id": "B1"},
            {"thread_ts": THREAD, "channel": "C0OTHER"},
        )
    ):
        await there.slack.send("events_api", {"event": {**event, **changes}}, f"e{number}")

    assert [text for text in there.texts() if "found it" in text] == ["U1 (via slack): found it"]


@living
async def test_hostile_envelopes_change_nothing(there: World) -> None:
    """Nothing of what a service sends is trusted, and the next one is heard."""
    before = there.texts()
    hostile: list[tuple[str, dict[str, Any]]] = [
        ("interactive", {}),
        ("interactive", pressed("destroy", there.incident, USER)),
        ("interactive", pressed("resolve", "INC-1", USER)),
        ("interactive", pressed("resolve", INCIDENT, USER)),
        ("interactive", {"type": "block_actions", "actions": [[]], "user": 7, "container": 7}),
        ("events_api", {"event": []}),
        ("events_api", {"event": {"type": "message", "thread_ts": {}, "channel": []}}),
    ]
    for number, (kind, payload) in enumerate(hostile):
        await there.slack.send(kind, payload, f"e{number}")
    socket = await there.slack.connected()
    for text in ("", "[]", "{", '{"type": 7}', '{"type": "interactive"}'):
        await socket.send_str(text)
    assert there.texts() == before
    await there.slack.send("interactive", pressed("resolve", there.incident, USER), "last")

    assert there.state() == "resolved"


@living
async def test_a_connection_that_ends_is_made_again(there: World) -> None:
    """Whether Slack says so or it breaks."""
    for number, end in enumerate((there.slack.drop, there.slack.break_off)):
        await end()
        await there.slack.send("interactive", pressed("note", there.incident, USER), f"e{number}")

    assert there.slack.connections == 3


@living
async def test_what_the_journal_does_not_take_is_not_acknowledged(there: World) -> None:
    """Slack sends it again then; who pressed is told to try again."""
    there.log.away = set(range(PARTITIONS))
    socket = await there.slack.connected()
    payload = pressed("resolve", there.incident, USER)
    await socket.send_json({"type": "interactive", "envelope_id": "lost", "payload": payload})
    told = await there.slack.until_told()
    there.log.away = set()
    await there.slack.send("interactive", payload, "again")

    assert "The journal does not answer" in told["text"]
    assert (there.state(), "lost" in there.slack.acknowledged) == ("resolved", False)


@asynchronous
async def test_a_redirect_is_not_followed() -> None:
    """Nor is anything but an answer of Slack's taken for a connection."""
    log = WorkedLog()
    async with SlackServer() as slack:
        http = HttpClient(LOCAL)
        try:
            slack.faults.append(Fault.REDIRECT)
            with pytest.raises(TryAgain, match=r"Slack at 127\.0\.0\.1"):
                async with http.websocket("Slack", f"{slack.url}/other", 20, 1000):
                    pass
            with pytest.raises(TryAgain, match="answered 403"):
                async with http.websocket("Slack", f"{slack.url}/link?ticket=x", 20, 1000):
                    pass
        finally:
            await http.close()
        assert [one.path for one in slack.requests] == ["/other"]
        assert log.batches == []


@asynchronous
async def test_the_local_slack_speaks_as_the_official_client_expects() -> None:
    """Slack's own library connects to it, hears a button, and acknowledges."""
    heard: list[Any] = []

    async def on_request(client: Any, request: Any) -> None:
        heard.append((request.type, request.payload))
        await client.send_socket_mode_response(SocketModeResponse(request.envelope_id))

    async with SlackServer() as slack:
        web = AsyncWebClient(token=APP_TOKEN, base_url=f"{slack.url}/api/")
        client: Any = SocketModeClient(app_token=APP_TOKEN, web_client=web)
        client.socket_mode_request_listeners.append(on_request)
        await client.connect()
        payload = pressed("resolve", INCIDENT, USER)
        await slack.send("interactive", payload)
        await client.close()

    assert heard == [("interactive", payload)]
