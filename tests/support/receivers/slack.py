"""Slack's web API: keeps messages by channel and timestamp, and checks blocks by the documented limits.

And Socket Mode: a ticket for each connection, envelopes that are sent again until they are
acknowledged.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from tests.support.receivers.server import Received, Server

TOKEN = "xoxb-1111-2222-abcdefghijkl"
APP_TOKEN = "xapp-1-A111-222-abcdef"
USER = {"id": "U061F7AUR", "username": "ann", "name": "ann", "team_id": "T0"}
CHANNELS = {"#ops": "C0OPS", "C0OPS": "C0OPS"}


@dataclass
class SlackServer(Server):
    """`messages` are those of #ops by timestamp; `rings` are the texts that notify the channel's members."""

    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    rings: list[str] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)  # what only one person sees
    forms: list[dict[str, Any]] = field(default_factory=list)
    tickets: set[str] = field(default_factory=set)
    acknowledged: dict[str, Any] = field(default_factory=dict)  # by envelope
    connections: int = 0  # since the beginning
    _sockets: list[web.WebSocketResponse] = field(default_factory=list)
    _connected: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/link":
            return await self._socket(request)
        return await super()._handle(request)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self.tickets:
            return web.Response(status=403)
        self.tickets.discard(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1})
        self._sockets.append(socket)
        self.connections += 1
        self._connected.set()
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                answer = orjson.loads(message.data)
                self.acknowledged[answer["envelope_id"]] = answer.get("payload")
                self._news.set()
        if socket in self._sockets:
            self._sockets.remove(socket)
        return socket

    async def connected(self) -> web.WebSocketResponse:
        """A connection, once there is one."""
        while not self._sockets:
            self._connected.clear()
            await self._connected.wait()
        return self._sockets[-1]

    async def send(self, kind: str, payload: dict[str, Any], name: str = "e1") -> Any:
        """Send an envelope; what its acknowledgement holds, once it is there."""
        socket = await self.connected()
        envelope = {"type": kind, "envelope_id": name, "payload": payload}
        await socket.send_json(envelope)
        async with asyncio.timeout(30):
            while name not in self.acknowledged:
                self._news.clear()
                await self._news.wait()
        return self.acknowledged[name]

    async def until_told(self) -> dict[str, Any]:
        """What somebody was told, once somebody was."""
        async with asyncio.timeout(30):
            while not self.told:
                self._news.clear()
                await self._news.wait()
        return self.told[0]

    async def drop(self) -> None:
        """End all connections, as Slack does every few hours: it says so, and is left."""
        for socket in list(self._sockets):
            self._sockets.remove(socket)
            await socket.send_json({"type": "disconnect", "reason": "refresh_requested"})

    async def break_off(self) -> None:
        """Break all connections."""
        for socket in list(self._sockets):
            self._sockets.remove(socket)
            await socket.close()

    def _answer_call(self, method: str, document: dict[str, Any]) -> web.Response | None:
        """The answer to what has no channel of #ops to write to; None for all else."""
        match method:
            case "apps.connections.open":
                ticket = f"t{self.connections}-{len(self.requests)}"
                self.tickets.add(ticket)
                address = self.url.replace("http", "ws", 1)
                return web.json_response({"ok": True, "url": f"{address}/link?ticket={ticket}"})
            case "views.open":
                self.forms.append(document)
                return web.json_response({"ok": True, "view": {"id": f"V{len(self.forms)}"}})
            case "chat.postEphemeral":
                self.told.append(document)
                self._news.set()
                return web.json_response({"ok": True, "message_ts": "1.0"})
            case _:
                return None

    def answer(self, received: Received) -> web.Response:
        """Slack says in a 200 what went wrong."""
        is_json = "json" in received.headers.get("content-type", "")
        document = received.json() if is_json else received.form()
        method = received.path.removeprefix("/api/")
        token = APP_TOKEN if method == "apps.connections.open" else TOKEN
        if received.headers.get("authorization") != f"Bearer {token}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        if (called := self._answer_call(method, document)) is not None:
            return called
        error = self._error(received, document)
        if error:
            return web.json_response({"ok": False, "error": error})
        if received.path == "/api/chat.update":
            self.messages[document["ts"]] |= document
            return web.json_response({"ok": True, "channel": "C0OPS", "ts": document["ts"]})
        ts = f"1744427702.{len(self.messages):06d}"
        self.messages[ts] = document
        if not document.get("thread_ts") or document.get("reply_broadcast"):
            self.rings.append(document["text"])
        return web.json_response({"ok": True, "channel": "C0OPS", "ts": ts})

    def rate_limited(self) -> web.Response:
        """As Slack answers it."""
        return web.json_response(
            {"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "7"}
        )

    def _error(self, received: Received, document: dict[str, Any]) -> str:
        if "charset=utf-8" not in received.headers["content-type"]:
            return "missing_charset"
        if document["channel"] not in CHANNELS:
            return "channel_not_found"
        if received.path == "/api/chat.update" and document["ts"] not in self.messages:
            return "message_not_found"
        if len(document["text"]) > 40_000:
            return "msg_too_long"
        return "invalid_blocks" if list(block_errors(document.get("blocks", []))) else ""


def pressed(action_id: str, incident: str, user: dict[str, str], at: str = "1") -> dict[str, Any]:
    """The payload of a button, as Slack documents it."""
    action = {
        "action_id": action_id,
        "block_id": f"incident:{incident}",
        "text": {"type": "plain_text", "text": "x"},
        "value": incident,
        "type": "button",
        "action_ts": f"174442780{at}.123456",
    }
    container = {"type": "message", "message_ts": "1744427702.000000", "channel_id": "C0OPS"}
    return {
        "type": "block_actions",
        "user": user,
        "trigger_id": "12466734323.1395872398",
        "container": container,
        "actions": [action],
    }


def block_errors(blocks: list[dict[str, Any]]) -> Iterator[str]:
    """What of the Block Kit reference the blocks break."""
    if len(blocks) > 50:
        yield f"{len(blocks)} blocks, at most 50"
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(set(ids)) != len(ids) or any(len(name) > 255 for name in ids):
        yield "a block_id is there twice, or too long"
    for block in blocks:
        match block["type"]:
            case "header":
                yield from _text_errors(block["text"], "plain_text", 150)
            case "section":
                yield from _text_errors(block["text"], "mrkdwn", 3000)
            case "context":
                if not 1 <= len(block["elements"]) <= 10:
                    yield "a context has 1 to 10 elements"
                for element in block["elements"]:
                    yield from _text_errors(element, "mrkdwn", 3000)
            case "actions":
                yield from _action_errors(block["elements"])
            case other:
                yield f"unknown block {other}"


def _text_errors(text: dict[str, Any], kind: str, size_max: int) -> Iterator[str]:
    if text["type"] != kind or not 1 <= len(text["text"]) <= size_max:
        yield f"a text of {len(text['text'])} characters, at most {size_max}, or not {kind}"


def _action_errors(elements: list[dict[str, Any]]) -> Iterator[str]:
    if not 1 <= len(elements) <= 25:
        yield "an actions block has 1 to 25 elements"
    names = [element["action_id"] for element in elements]
    if len(set(names)) != len(names) or any(len(name) > 255 for name in names):
        yield "an action_id is there twice, or too long"
    for element in elements:
        yield from _text_errors(element["text"], "plain_text", 75)
        if len(element.get("value", "")) > 2000 or len(element.get("url", "")) > 3000:
            yield "a value or URL is too long"
        if element.get("style", "primary") not in ("primary", "danger"):
            yield "no such style"
