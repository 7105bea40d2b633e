"""Slack's web API: keeps messages by channel and timestamp, and checks blocks by the documented limits."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.receivers.server import Received, Server

TOKEN = "xoxb-1111-2222-abcdefghijkl"
CHANNELS = {"#ops": "C0OPS", "C0OPS": "C0OPS"}


@dataclass
class SlackServer(Server):
    """`messages` are those of #ops by timestamp; `rings` are the texts that notify the channel's members."""

    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    rings: list[str] = field(default_factory=list)

    def answer(self, received: Received) -> web.Response:
        """Slack says in a 200 what went wrong."""
        document = received.json()
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
        if received.headers.get("authorization") != f"Bearer {TOKEN}":
            return "invalid_auth"
        if "charset=utf-8" not in received.headers["content-type"]:
            return "missing_charset"
        if document["channel"] not in CHANNELS:
            return "channel_not_found"
        if received.path == "/api/chat.update" and document["ts"] not in self.messages:
            return "message_not_found"
        if len(document["text"]) > 40_000:
            return "msg_too_long"
        return "invalid_blocks" if list(block_errors(document.get("blocks", []))) else ""


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
