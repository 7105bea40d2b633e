"""Chats: Telegram, Discord, Mattermost, Teams. Each refuses what the real one refuses, and keeps what it was told."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import orjson
from aiohttp import web

from tests.support.receivers.server import Received, Server

TELEGRAM_TOKEN = "123456789:AAExampleToken"
DISCORD_PATH = "/api/webhooks/1234/discord-webhook-token"
MATTERMOST_PATH = "/hooks/mattermost-hook-key"
TEAMS_PATH = "/workflows/abc/triggers/manual/paths/invoke?sig=teams-signature"


def utf16(text: str) -> int:
    """How Telegram and Discord count."""
    return len(text.encode("utf-16-le")) // 2


@dataclass
class TelegramServer(Server):
    """`messages` by id; `rings` are the texts that came with sound.

    `updates` are those that no poll has confirmed; a poll waits for one as long as it says.
    """

    messages: dict[int, dict[str, Any]] = field(default_factory=dict)
    rings: list[str] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    toasts: list[dict[str, Any]] = field(default_factory=list)  # answers to presses
    polls: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _polled: asyncio.Event = field(default_factory=asyncio.Event)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        """A poll waits; all else is answered at once."""
        if not request.path.endswith("/getUpdates") or self.faults:
            return await super()._handle(request)
        if not request.path.startswith(f"/bot{TELEGRAM_TOKEN}/"):
            return _telegram_error(401, "Unauthorized")
        document = await request.json()
        self.polls += 1
        self.updates = [one for one in self.updates if one["update_id"] >= document["offset"]]
        self._polled.set()
        if not self.updates:
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(document["timeout"]):
                    while not self.updates and not self._closing.is_set():
                        await self._news.wait()
                        self._news.clear()
        return web.json_response({"ok": True, "result": self.updates[: document["limit"]]})

    def update(self, **parts: Any) -> None:
        """Something happens in a chat."""
        self.updates.append(parts)
        self._news.set()

    async def until_confirmed(self) -> None:
        """Return once a poll has confirmed all updates."""
        async with asyncio.timeout(30):
            while self.updates:
                self._polled.clear()
                await self._polled.wait()

    def answer(self, received: Received) -> web.Response:
        """The message, or what is wrong."""
        document = received.json()
        prefix = f"/bot{TELEGRAM_TOKEN}/"
        if not received.path.startswith(prefix):
            return _telegram_error(401, "Unauthorized")
        if received.path == f"{prefix}answerCallbackQuery":
            self.toasts.append(document)
            return web.json_response({"ok": True, "result": True})
        if document["chat_id"] == -1:
            return _telegram_error(403, "Forbidden: bot was kicked from the group chat")
        if error := _telegram_text_error(document):
            return _telegram_error(400, f"Bad Request: {error}")
        if received.path == f"{prefix}editMessageText":
            known = self.messages.get(document["message_id"])
            if known is None:
                return _telegram_error(400, "Bad Request: message to edit not found")
            if all(known.get(name) == document.get(name) for name in ("text", "reply_markup")):
                return _telegram_error(
                    400,
                    "Bad Request: message is not modified: specified new message content is ...",
                )
            known |= document
            return web.json_response({"ok": True, "result": {"message_id": document["message_id"]}})
        message_id = len(self.messages) + 100
        self.messages[message_id] = document
        if not document["disable_notification"]:
            self.rings.append(document["text"])
        chat = {"id": document["chat_id"], "type": "supergroup"}
        return web.json_response({"ok": True, "result": {"message_id": message_id, "chat": chat}})

    def rate_limited(self) -> web.Response:
        """Telegram says when in the body."""
        document = {
            "ok": False,
            "error_code": 429,
            "description": "Too Many Requests: retry after 11",
            "parameters": {"retry_after": 11},
        }
        return web.json_response(document, status=429)


class _Html(HTMLParser):
    """Checks what Telegram's parser accepts: its few tags, closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.wrong |= tag not in ("b", "i", "a", "code", "pre") or (tag == "a") != bool(attrs)

    def handle_endtag(self, tag: str) -> None:
        self.wrong |= not self.open or self.open.pop() != tag


def _telegram_text_error(document: dict[str, Any]) -> str:
    if not 1 <= utf16(document["text"]) <= 4096:
        return "message is too long"
    parser = _Html()
    parser.feed(document["text"])
    if parser.wrong or parser.open:
        return "can't parse entities"
    for row in document.get("reply_markup", {}).get("inline_keyboard", []):
        for button in row:
            if not 1 <= len(button.get("callback_data", "x").encode()) <= 64:
                return "BUTTON_DATA_INVALID"
    return ""


def _telegram_error(code: int, description: str) -> web.Response:
    return web.json_response(
        {"ok": False, "error_code": code, "description": description}, status=code
    )


@dataclass
class DiscordServer(Server):
    """`messages` by id, as they are now."""

    messages: dict[str, dict[str, Any]] = field(default_factory=dict)

    def answer(self, received: Received) -> web.Response:
        """The message, or what is wrong."""
        path, _, query = received.path.partition("?")
        if not path.startswith(DISCORD_PATH):
            return web.json_response({"code": 10015, "message": "Unknown Webhook"}, status=404)
        document = received.json()
        if _discord_wrong(document):
            return web.json_response({"code": 50035, "message": "Invalid Form Body"}, status=400)
        if received.method == "PATCH":
            message_id = path.rpartition("/")[2]
            if message_id not in self.messages:
                return web.json_response({"code": 10008, "message": "Unknown Message"}, status=404)
        else:
            if query != "wait=true":
                return web.Response(status=204)
            message_id = str(len(self.messages) + 1000)
        self.messages[message_id] = document
        return web.json_response({"id": message_id})

    def rate_limited(self) -> web.Response:
        """Discord says when in the body, too, and more exactly."""
        document = {"message": "You are being rate limited.", "retry_after": 0.65, "global": False}
        return web.json_response(document, status=429, headers={"Retry-After": "1"})


def _discord_wrong(document: dict[str, Any]) -> bool:
    embeds = document.get("embeds", [])
    total = 0
    for embed in embeds:
        lengths = [
            utf16(text) for text in (embed["title"], embed["description"], embed["footer"]["text"])
        ]
        total += sum(lengths)
        if lengths[0] > 256 or lengths[1] > 4096 or lengths[2] > 2048:
            return True
    empty = not embeds and not document.get("content")
    return empty or len(embeds) > 10 or total > 6000 or utf16(document.get("content", "")) > 2000


@dataclass
class MattermostServer(Server):
    """`posts` as they came."""

    posts: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, received: Received) -> web.Response:
        """`ok`, which is no JSON."""
        if received.path != MATTERMOST_PATH:
            message = {
                "id": "web.incoming_webhook.invalid.app_error",
                "message": "Invalid webhook.",
                "status_code": 400,
            }
            return web.json_response(message, status=400)
        self.posts.append(received.json())
        return web.Response(text="ok")


@dataclass
class TeamsServer(Server):
    """`cards` as they came."""

    cards: list[dict[str, Any]] = field(default_factory=list)
    old_answer: str = ""

    def answer(self, received: Received) -> web.Response:
        """202 and nothing, as a workflow answers."""
        if received.path != TEAMS_PATH:
            return web.json_response(
                {"error": {"code": "DirectApiAuthorizationRequired"}}, status=401
            )
        if self.old_answer:
            return web.Response(text=self.old_answer)
        if len(received.body) > 28 * 1024:
            return web.Response(status=413)
        document = orjson.loads(received.body)
        self.cards.append(document["attachments"][0]["content"])
        return web.Response(status=202)
