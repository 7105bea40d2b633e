"""PagerDuty's Events API v2: de-duplicates by dedup_key, rings for a new alert, drops what belongs to none.

Its webhooks v3, too: what a person, or an event of ours, does to an incident there is sent, signed.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import ClientSession, web

from tests.support.receivers.server import Received, Server

ROUTING_KEY = "R0123456789abcdef0123456789abcde"
WEBHOOK_SECRET = "hmac-secret-of-the-subscription"
ANN = {"id": "PLH1HKV", "type": "user_reference", "summary": "Ann Lee", "html_url": "https://x"}
INTEGRATION = {"id": "P1", "type": "inbound_integration_reference", "summary": "Tocsin"}
_EVENTS = {"acknowledged": "incident.acknowledged", "resolved": "incident.resolved"}


@dataclass
class PagerDutyServer(Server):
    """`rings` holds the key of each alert that rang, `alerts` the state of each known key."""

    rings: list[str] = field(default_factory=list)
    alerts: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    webhooks: list[bytes] = field(default_factory=list)  # that are to be sent

    def answer(self, received: Received) -> web.Response:
        """202, or 400 with the list of what is wrong."""
        event = received.json()
        errors = list(_errors(event))
        if errors:
            invalid = {
                "status": "invalid event",
                "message": "Event object is invalid",
                "errors": errors,
            }
            return web.json_response(invalid, status=400)
        key, action = event["dedup_key"], event["event_action"]
        state = self.alerts.get(key, "resolved")
        self.log.append(f"{action} {key}")
        if action == "trigger" and state == "resolved":
            self.rings.append(key)
            self.alerts[key] = "triggered"
        elif action != "trigger" and state != "resolved":
            self.alerts[key] = f"{action}d"
            if state != self.alerts[key]:
                self.webhooks.append(webhook(_EVENTS[self.alerts[key]], key, INTEGRATION))
        accepted = {"status": "success", "message": "Event processed", "dedup_key": key}
        return web.json_response(accepted, status=202)

    def act(self, key: str, state: str, person: dict[str, str]) -> None:
        """A person acknowledges or resolves an incident in PagerDuty."""
        if self.alerts[key] != state:
            self.alerts[key] = state
            self.webhooks.append(webhook(_EVENTS[state], key, person))

    async def send_webhooks(self, url: str) -> list[dict[str, Any]]:
        """Send what is to be sent, signed; the answers."""
        answers = []
        async with ClientSession() as session:
            while self.webhooks:
                body = self.webhooks.pop(0)
                async with session.post(url, data=body, headers=signed_headers(body)) as response:
                    answers.append(await response.json())
        return answers


def webhook(event_type: str, key: str, agent: Any = ANN, **changes: Any) -> bytes:
    """The body of a webhook, as PagerDuty documents it. The same changes give the same event."""
    data = {"id": "PGR0VU2", "type": "incident", "number": 2, "incident_key": key, **changes}
    name = hashlib.sha256(orjson.dumps([event_type, agent, data])).hexdigest()[:32]
    event = {
        "id": name,
        "event_type": event_type,
        "resource_type": "incident",
        "occurred_at": "2026-04-12T03:30:00.169Z",
        "agent": agent,
        "client": {"name": "PagerDuty"},
        "data": data,
    }
    return orjson.dumps({"event": event})


def signed_headers(body: bytes, secret: str = WEBHOOK_SECRET) -> dict[str, str]:
    """The headers of a webhook."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-PagerDuty-Signature": f"v1={digest}"}


def _errors(event: dict[str, object]) -> "list[str]":
    """What PagerDuty would not take, by its documentation."""
    errors = []
    if event.get("routing_key") != ROUTING_KEY:
        errors.append("'routing_key' is invalid")
    if event.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        errors.append("'event_action' is invalid")
    key = event.get("dedup_key")
    if not isinstance(key, str) or not 0 < len(key) <= 255:
        errors.append("'dedup_key' is missing or too long")
    if event.get("event_action") == "trigger":
        payload = event.get("payload")
        payload = payload if isinstance(payload, dict) else {}
        errors += [
            f"'payload.{name}' is missing or blank"
            for name in ("summary", "source")
            if not payload.get(name)
        ]
        if payload.get("severity") not in ("critical", "error", "warning", "info"):
            errors.append(
                "'payload.severity' is invalid (must be one of 'critical', 'warning', 'error' or 'info')"
            )
        if len(str(payload.get("summary"))) > 1024:
            errors.append("'payload.summary' is too long")
    return errors
