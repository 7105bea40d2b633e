"""Slack's Socket Mode: buttons, the form for a note, and replies in an incident's thread.

It needs no public port: we connect to Slack. Each envelope is acknowledged once the journal has what
it asks for; Slack sends again what was not, and the engine counts it once.

Source: Slack's "Using Socket Mode" (apps.connections.open, envelopes, disconnect).
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from app.notifier.channels.slack import SlackConfig
from app.notifier.connections.http import Answer, HttpClient, check, error_text, json_request
from app.notifier.listeners.sent_messages import SentMessages
from app.notifier.messages.formats import escape_slack
from app.notifier.outcome import Refused, TryAgain
from app.notifier.replies.act import Act, ActCommand, BadReply
from app.notifier.replies.act_outcome import ActHandler, ActOutcome, ActStatus
from app.notifier.replies.slack import NOTE_BLOCK, NoteWanted, parse_interaction, parse_message
from app.notifier.shorten import one_line
from app.transport.log import LogUnavailable

MESSAGE_BYTES_MAX = 1024 * 1024  # an envelope holds the message that the button is below
HEARTBEAT_S = 20.0
UNDER_WAY_MAX = 20  # envelopes; the next ones wait in the connection
NOT_KEPT = "The journal does not answer. Nothing was done. Try again."

logger = logging.getLogger("tocsin.notifier")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where somebody acted: a channel, the incident's message there, and who."""

    channel: str
    thread: str
    user: str


@dataclass(slots=True)
class SlackSocket:
    """One Slack app. `receivers` are those of the receivers file that send with it."""

    receivers: frozenset[str]
    config: SlackConfig
    http: HttpClient
    handler: ActHandler
    messages: SentMessages
    name: str = "Slack"
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def listen(self, on_connected: Callable[[], None]) -> None:
        """Take envelopes until Slack ends the connection. Raises TryAgain and Refused."""
        opened = await self._call("apps.connections.open", {}, "app_token")
        url = str(opened.get("url", ""))
        async with self.http.websocket("Slack", url, HEARTBEAT_S, MESSAGE_BYTES_MAX) as socket:
            try:
                await self._take(socket, on_connected)
            finally:
                if self._tasks:
                    await asyncio.wait(self._tasks, timeout=5)
                for task in self._tasks:
                    task.cancel()

    async def _take(
        self, socket: aiohttp.ClientWebSocketResponse, on_connected: Callable[[], None]
    ) -> None:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            envelope = _document(message.data)
            match envelope.get("type"):
                case "hello":
                    on_connected()
                case "disconnect":
                    return
                case "interactive" | "events_api" if isinstance(envelope.get("envelope_id"), str):
                    while len(self._tasks) >= UNDER_WAY_MAX:
                        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                    task = asyncio.create_task(self._handle(socket, envelope))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                case _:
                    pass
        raise TryAgain("Slack: the connection broke")

    async def _handle(self, socket: aiohttp.ClientWebSocketResponse, envelope: Document) -> None:
        """Carry an envelope out and acknowledge it. What the journal did not take is not acknowledged."""
        payload = envelope.get("payload")
        payload = payload if isinstance(payload, dict) else {}
        try:
            answer = await self._answer(str(envelope["type"]), payload)
        except LogUnavailable:
            await self._tell(_place(payload), NOT_KEPT)
            return
        except Exception:
            logger.exception("Slack: an envelope of type %s", one_line(str(envelope["type"]), 40))
            return
        acknowledgement: Document = {"envelope_id": envelope["envelope_id"]}
        if answer:
            acknowledgement["payload"] = answer
        try:
            await socket.send_str(orjson.dumps(acknowledgement).decode())
        except (ConnectionError, aiohttp.ClientError) as error:
            logger.info("Slack: an acknowledgement did not go out: %s", type(error).__name__)

    async def _answer(self, kind: str, payload: Document) -> Document:
        """Carry it out; what the acknowledgement has to say beside that."""
        try:
            act: Act | NoteWanted | None = (
                await self._reply(payload.get("event"))
                if kind == "events_api"
                else parse_interaction(payload)
            )
        except BadReply as error:
            return _form_error(payload, str(error))
        if isinstance(act, NoteWanted):
            await self._open_form(act)
        elif act is not None:
            outcome = await self.handler.carry_out(act)
            if payload.get("type") == "view_submission":
                return {} if _is_kept(outcome) else _form_error(payload, outcome.text)
            await self._tell_outcome(payload, act, outcome)
        return {}

    async def _reply(self, event: object) -> Act | None:
        """A note, if the event is a reply in an incident's thread."""
        if not isinstance(event, dict) or not event.get("thread_ts"):
            return None
        channel, thread = str(event.get("channel", "")), str(event["thread_ts"])
        known = await self.messages.incident_of(
            self.receivers,
            thread,
            lambda memory: (memory.get("channel"), memory.get("ts")) == (channel, thread),
        )
        return parse_message(event, lambda *_: known)

    async def _open_form(self, wanted: NoteWanted) -> None:
        document = {"trigger_id": wanted.trigger_id, "view": wanted.view}
        try:
            await self._call("views.open", document, "token")
        except (TryAgain, Refused) as error:
            logger.warning("Slack: the form for a note did not open: %s", error)

    async def _tell_outcome(self, payload: Document, act: Act, outcome: ActOutcome) -> None:
        """Tell the thread what was done, and whoever acted what was not.

        The notifier tells of it, too, but not in each channel.
        """
        place = _place(payload)
        if outcome.status is not ActStatus.DONE:
            await self._tell(place, outcome.reply)
        elif act.command is not ActCommand.NOTE:
            await self._tell(place, outcome.text, everybody=True)

    async def _tell(self, place: _Place, text: str, *, everybody: bool = False) -> None:
        if not place.channel or not (place.user or everybody):
            return
        document = {"channel": place.channel, "text": escape_slack(one_line(text))}
        if place.thread:
            document["thread_ts"] = place.thread
        method = "chat.postMessage" if everybody else "chat.postEphemeral"
        if not everybody:
            document["user"] = place.user
        try:
            await self._call(method, document, "token")
        except (TryAgain, Refused) as error:
            logger.warning("Slack: somebody is not told what came of it: %s", error)

    async def _call(self, method: str, document: Document, secret: str) -> Document:
        """Slack's answer. Raises Refused and TryAgain."""
        token = self.config.secret(secret)
        request = json_request(
            "Slack",
            f"{self.config.url}/{method}",
            document,
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json; charset=utf-8",
            },
            secrets=(token,),
        )
        answer: Answer = await self.http.exchange(request)
        result = answer.document()
        error = str(result.get("error", ""))
        check(request, answer, error)
        if result.get("ok") is not True:
            raise TryAgain(f"Slack refused {method}: {error_text(request, error) or 'no reason'}")
        return result


def _is_kept(outcome: ActOutcome) -> bool:
    return outcome.status in (ActStatus.DONE, ActStatus.WAITS)


def _form_error(payload: Document, text: str) -> Document:
    """What a form shows; nothing where there is none."""
    if payload.get("type") != "view_submission":
        return {}
    return {"response_action": "errors", "errors": {NOTE_BLOCK: one_line(text, 200)}}


def _place(payload: Document) -> _Place:
    container, event = payload.get("container"), payload.get("event")
    if isinstance(event, dict):
        return _Place(*(str(event.get(name, "")) for name in ("channel", "thread_ts", "user")))
    container = container if isinstance(container, dict) else {}
    user = payload.get("user")
    user = user if isinstance(user, dict) else {}
    thread = container.get("thread_ts") or container.get("message_ts") or ""
    return _Place(str(container.get("channel_id", "")), str(thread), str(user.get("id", "")))


def _document(text: str) -> Document:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}
