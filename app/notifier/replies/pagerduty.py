"""What comes back from PagerDuty: webhooks v3, with their signature.

Only what a person did counts. What our own events did comes back with the integration as its
agent, and what PagerDuty did by itself with none: without this rule each would go to and fro
without end.

Source: PagerDuty's developer documentation, "Webhooks Overview" (v3) and "Verifying Signatures".
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import orjson

from app.notifier.replies.act import Act, ActCommand, BadReply, make_act

BODY_MAX = 256 * 1024
SIGNATURE_HEADER = "X-PagerDuty-Signature"
_VERSION = "v1="
_SIGNATURES_MAX = 20
_COMMANDS = {
    "incident.acknowledged": ActCommand.ACKNOWLEDGE,
    "incident.resolved": ActCommand.RESOLVE,
    "incident.reopened": ActCommand.REOPEN,
    "incident.reassigned": ActCommand.ASSIGN,
    "incident.delegated": ActCommand.ASSIGN,
}


def is_signed(body: bytes, header: str, secrets: Sequence[str]) -> bool:
    """Whether one of the header's signatures is of one of the secrets; there are two of each while one is changed."""
    signatures = [part.strip() for part in header.split(",", _SIGNATURES_MAX)[:_SIGNATURES_MAX]]
    valid = False
    for secret in secrets:
        expected = f"{_VERSION}{hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"
        for signature in signatures:
            valid |= bool(secret) and hmac.compare_digest(signature.encode(), expected.encode())
    return valid


def parse_webhook(body: bytes) -> Act | None:
    """What a person did in PagerDuty with an incident of ours; None for all else. Raises BadReply."""
    event = _event(body)
    command = _COMMANDS.get(str(event.get("event_type")))
    agent, data = event.get("agent"), event.get("data")
    if command is None or not isinstance(agent, dict) or not isinstance(data, dict):
        return None
    if agent.get("type") != "user_reference":
        return None
    incident, episode = _key(data)
    if not episode:
        return None  # an incident that somebody opened in PagerDuty
    text = _assignees(data) if command is ActCommand.ASSIGN else ""
    if command is ActCommand.ASSIGN and not text:
        return None
    by, key = str(agent.get("summary", "")), f"pagerduty-{event.get('id')}"
    return make_act(command, incident, by, "pagerduty", key, text)


def _event(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body) if len(body) <= BODY_MAX else None
    except orjson.JSONDecodeError:
        document = None
    event = document.get("event") if isinstance(document, dict) else None
    if not isinstance(event, dict):
        raise BadReply("the body is no webhook of PagerDuty (version 3)")
    return event


def _key(data: dict[str, Any]) -> tuple[str, str]:
    """Incident and episode in our dedup key, which PagerDuty calls the incident's key."""
    incident, slash, episode = str(data.get("incident_key", "")).rpartition("/")
    return (incident, episode) if slash and episode.isascii() and episode.isdigit() else ("", "")


def _assignees(data: dict[str, Any]) -> str:
    people = data.get("assignees")
    people = people if isinstance(people, list) else []
    return ", ".join(str(who.get("summary", "")) for who in people if isinstance(who, dict))
