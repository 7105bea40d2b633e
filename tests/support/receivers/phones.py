"""Services that ring phones: ntfy, Pushover, Twilio. Each refuses what the real one refuses, and notes what rings."""

import base64
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

from aiohttp import web

from tests.support.receivers.server import Received, Server

TOPIC, NTFY_TOKEN = "ops-8f1c2a", "tk_0123456789"
PUSHOVER_TOKEN, PUSHOVER_USER = "azGDORePK8gMaC0QOYAMyEEuzJnyUi", "uQiRzpo4DXghDmr9QzzfQu27cmVRsG"
ACCOUNT_SID, TWILIO_TOKEN = "AC" + "0" * 32, "twilio-auth-token"


@dataclass
class NtfyServer(Server):
    """`rings` are the titles with priority 5."""

    rings: list[str] = field(default_factory=list)

    def answer(self, received: Received) -> web.Response:
        """The message with its id."""
        if received.headers.get("authorization") != f"Bearer {NTFY_TOKEN}":
            return web.json_response({"code": 40301, "http": 403, "error": "forbidden"}, status=403)
        message = received.json()
        error = ""
        if message["topic"] != TOPIC or received.path != "/":
            error = "invalid request: topic invalid"
        elif len(message.get("actions", [])) > 3:
            error = "invalid request: actions invalid, too many actions"
        elif not 1 <= message["priority"] <= 5:
            error = "invalid request: priority invalid"
        if error:
            return web.json_response({"code": 40000, "http": 400, "error": error}, status=400)
        if message["priority"] == 5:
            self.rings.append(message["title"])
        return web.json_response(
            {"id": f"msg{len(self.requests)}", "event": "message", "topic": TOPIC}
        )


@dataclass
class PushoverServer(Server):
    """`ringing` are the receipts that are repeated, with their tag; `rings` are all that ever rang."""

    ringing: dict[str, str] = field(default_factory=dict)
    rings: list[str] = field(default_factory=list)

    def answer(self, received: Received) -> web.Response:
        """The receipt of an emergency, or how many were cancelled."""
        document = received.json()
        if document.get("token") != PUSHOVER_TOKEN:
            return _invalid("application token is invalid")
        if received.path.startswith("/1/receipts/cancel_by_tag/"):
            tag = received.path.rpartition("/")[2].removesuffix(".json")
            canceled = [receipt for receipt, its in self.ringing.items() if its == tag]
            for receipt in canceled:
                del self.ringing[receipt]
            return web.json_response({"status": 1, "canceled": len(canceled), "request": "r"})
        if errors := _pushover_errors(document):
            return _invalid(*errors)
        answer: dict[str, Any] = {"status": 1, "request": f"request{len(self.requests)}"}
        if document["priority"] == 2:
            answer["receipt"] = f"receipt{len(self.requests)}"
            self.ringing[answer["receipt"]] = document["tags"]
            self.rings.append(document["title"])
        return web.json_response(answer)


def _invalid(*errors: str) -> web.Response:
    return web.json_response({"status": 0, "request": "r", "errors": errors}, status=400)


def _pushover_errors(document: dict[str, Any]) -> list[str]:
    errors = []
    if document.get("user") != PUSHOVER_USER:
        errors.append("user identifier is not a valid user")
    if not 1 <= len(document["message"]) <= 1024:
        errors.append("message is too long or cannot be blank")
    if (
        len(document["title"]) > 250
        or len(document.get("url", "")) > 512
        or len(document.get("url_title", "")) > 100
    ):
        errors.append("title or url is too long")
    if document["priority"] == 2 and not (document["retry"] >= 30 and document["expire"] <= 10800):
        errors.append("retry or expire is out of its range")
    return errors


@dataclass
class TwilioServer(Server):
    """`messages` are the forms of SMS, `calls` those of calls."""

    messages: list[dict[str, str]] = field(default_factory=list)
    calls: list[dict[str, str]] = field(default_factory=list)

    def answer(self, received: Received) -> web.Response:
        """The resource that was made."""
        credentials = base64.b64encode(f"{ACCOUNT_SID}:{TWILIO_TOKEN}".encode()).decode()
        if received.headers.get("authorization") != f"Basic {credentials}":
            return _twilio_error(401, 20003, "Authenticate")
        form = received.form()
        resource = received.path.removeprefix(f"/2010-04-01/Accounts/{ACCOUNT_SID}/")
        if form["To"] == "+15005550001":
            return _twilio_error(400, 21211, "Invalid 'To' Phone Number")
        if resource == "Messages.json":
            if len(form["Body"]) > 1600:
                return _twilio_error(
                    400, 21617, "The concatenated message body exceeds the 1600 character limit"
                )
            self.messages.append(form)
            return web.json_response(
                {"sid": f"SM{len(self.messages)}", "status": "queued"}, status=201
            )
        if len(form["Twiml"]) > 4000:
            return _twilio_error(
                400, 21218, "Twiml size exceeded maximum allowed value of 4000 characters"
            )
        ET.fromstring(form["Twiml"])
        self.calls.append(form)
        return web.json_response({"sid": f"CA{len(self.calls)}", "status": "queued"}, status=201)


def _twilio_error(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message, "status": status}, status=status)
