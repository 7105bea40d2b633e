"""Telegram by long polling: what is pressed and written there is a command, and who did it is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from app.bridge.commands.acts import act_runner
from app.notifier.channels.telegram import TelegramConfig
from app.notifier.connections.http import POLL_BYTES_MAX, HttpClient
from app.notifier.ledger.contacts import Contacts
from app.notifier.ledger.delivery import Rules, Story, Thread
from app.notifier.listeners.listener import keep_listening
from app.notifier.listeners.sent_messages import SentMessages
from app.notifier.listeners.telegram_poll import TelegramPoll
from app.notifier.memory import remember
from app.notifier.runtime.deliverer import Deliverer, Reach
from app.notifier.runtime.records import story_record
from tests.support.asynchronous import asynchronous
from tests.support.receivers.chats import TELEGRAM_TOKEN, TelegramServer
from tests.support.receivers.context import LOCAL
from tests.support.receivers.server import Fault
from tests.support.served_bridge import PARTITIONS
from tests.support.worked_log import TOPICS, WorkedLog

CHAT = {"id": -1001234, "type": "supergroup"}
ANN = {"id": 4711, "is_bot": False, "first_name": "Ann", "last_name": "Lee", "username": "ann"}
BOB = {"id": 4712, "is_bot": False, "first_name": "Bob"}


@dataclass
class World:
    """A chat, a journal with an incident, and what listens between them."""

    log: WorkedLog
    telegram: TelegramServer
    incident: str
    http: HttpClient
    number: int = 0
    task: "asyncio.Task[None] | None" = None

    def start(self) -> None:
        """Begin to listen."""
        poll = _poll(self.telegram, self.log, self.http)
        self.task = asyncio.create_task(keep_listening(poll, lambda: 0.0))

    async def kill(self) -> None:
        """End as kill -9 does."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait({self.task})

    async def press(self, command: str, user: dict[str, Any], message: int = 100) -> None:
        """Press a button, and wait until that is dealt with."""
        data = {"data": f"{command}:{self.incident}", "from": user, "id": str(self.number)}
        at = {"message_id": message, "chat": CHAT}
        await self.happen(callback_query={**data, "message": at})

    async def happen(self, **parts: Any) -> None:
        """Something happens in the chat, and is dealt with."""
        self.number += 1
        self.telegram.update(update_id=self.number, **parts)
        await self.telegram.until_confirmed()

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


class _Owner(SentMessages):
    """That of a notifier which owns the first partition."""

    def owns(self, partition: int) -> bool:
        """Say so."""
        return partition == 0


def _poll(telegram: TelegramServer, log: WorkedLog, http: HttpClient) -> TelegramPoll:
    config = TelegramConfig(token_env="T_BOT", buttons=True, url=telegram.url)
    deliverer = Deliverer(log, TOPICS, PARTITIONS, Reach({}, Contacts([]), Rules({})), lambda: 0)
    messages = _Owner(log, TOPICS.deliveries, PARTITIONS, deliverer)
    runner = act_runner(log, TOPICS, PARTITIONS, 30)
    return TelegramPoll(frozenset({"telegram"}), config, http, runner, messages)


@asynccontextmanager
async def world(*faults: Fault) -> AsyncIterator[World]:
    """A world in which the incident's message is number 100 of the chat."""
    log = WorkedLog()
    log.fire(severity="high")
    incident = log.incidents()[0]
    story = Story(1, {"telegram": Thread(remember(chat=-1001234, message=100))})
    log.put(TOPICS.deliveries, 1, [story_record(("chat/-1001234", incident), story, ())])
    async with TelegramServer() as telegram:
        telegram.faults.extend(faults)
        http = HttpClient(LOCAL, answer_bytes_max=POLL_BYTES_MAX)
        there = World(log, telegram, incident, http)
        there.start()
        try:
            yield there
        finally:
            await there.kill()
            await http.close()


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T_BOT", TELEGRAM_TOKEN)


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
    """In the name of who pressed it, who is told so."""
    await there.press("acknowledge", ANN)

    text = "Ann Lee (@ann, 4711) (via telegram) acknowledged it"
    [toast] = there.telegram.toasts
    assert (there.state(), text in there.texts()) == ("acknowledged", True)
    assert (toast["text"], toast["show_alert"]) == (text, False)


@living
async def test_the_second_is_told_who_was_first(there: World) -> None:
    """By a notice that has to be closed."""
    await there.press("acknowledge", ANN)
    await there.press("acknowledge", BOB)

    toast = there.telegram.toasts[1]
    assert toast["text"].startswith("Not done: Ann Lee (@ann, 4711) (via telegram) acknowledged it")
    assert toast["show_alert"]


@living
async def test_the_chat_hears_of_a_silence(there: World) -> None:
    """In a reply to the incident's message."""
    await there.press("silence_1h", ANN)

    [reply] = there.telegram.messages.values()
    assert reply["text"].startswith("silenced 1 alert until")
    assert reply["reply_parameters"]["message_id"] == 100


@living
async def test_a_reply_is_a_note(there: World) -> None:
    """To a message of ours only, and only a person's."""
    answered = {"message_id": 100, "chat": CHAT}
    message = {"message_id": 7, "chat": CHAT, "from": ANN, "text": "found it"}
    for changes in (
        {"reply_to_message": answered},
        {"reply_to_message": {**answered, "message_id": 5}},
        {"reply_to_message": answered, "from": {**ANN, "is_bot": True}},
        {"reply_to_message": answered, "chat": {"id": -9}},
        {},
    ):
        await there.happen(message={**message, **changes})

    notes = [text for text in there.texts() if "found it" in text]
    assert notes == ["Ann Lee (@ann, 4711) (via telegram): found it"]


@living
async def test_hostile_updates_change_nothing(there: World) -> None:
    """Nothing of what a service sends is trusted, and the next update is heard."""
    before = there.texts()
    await there.press("resolve", ANN, message=99)
    await there.press("destroy", ANN)
    await there.happen(callback_query=[])
    await there.happen(callback_query={"data": {}, "from": 7, "message": {"chat": []}})
    await there.happen(message={"reply_to_message": {"message_id": "x"}, "chat": {"id": {}}})
    there.telegram.updates[:0] = [{"update_id": "x"}]
    assert there.texts() == before
    there.telegram.updates.clear()
    await there.press("resolve", ANN)

    assert there.state() == "resolved"


@living
async def test_an_update_that_comes_again_counts_once(there: World) -> None:
    """After a kill the last poll was not confirmed."""
    await there.press("escalate", ANN)
    await there.kill()
    there.number -= 1
    there.start()
    await there.press("escalate", ANN)

    assert sum("escalated it" in text for text in there.texts()) == 1
    assert "carried out before" in there.telegram.toasts[1]["text"]


@living
async def test_what_the_journal_does_not_take_comes_again(there: World) -> None:
    """It is not confirmed until it is carried out."""
    there.log.away = set(range(PARTITIONS))
    pressing = asyncio.create_task(there.press("resolve", ANN))
    there.log.called.clear()
    await there.log.called.wait()
    there.log.away = set()
    await pressing

    assert there.state() == "resolved"


@pytest.mark.parametrize("fault", [Fault.BROKEN, Fault.HALF_ANSWER])
def test_a_poll_that_fails_is_tried_again(fault: Fault) -> None:
    """Whatever Telegram does."""

    @asynchronous
    async def run() -> None:
        async with world(fault) as there:
            await there.press("acknowledge", ANN)
            assert there.state() == "acknowledged"

    run()
