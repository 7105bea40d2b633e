"""What comes back from PagerDuty: signatures, and whose doing an event is."""

import hashlib
import hmac
from typing import Any

import orjson
import pytest

from app.notifier.replies.act import Act, ActCommand, BadReply
from app.notifier.replies.pagerduty import is_signed, parse_webhook
from tests.support.notifications import OPENED

SECRET = "hmac-secret-of-the-subscription"
ANN = {"id": "PLH1HKV", "type": "user_reference", "summary": "Ann Lee", "html_url": "https://x"}
INTEGRATION = {"id": "P1", "type": "inbound_integration_reference", "summary": "Tocsin"}
BOB = {"id": "PTUXL6G", "type": "user_reference", "summary": "Bob"}


def webhook(event_type: str, agent: Any = ANN, **changes: Any) -> bytes:
    """The body of a webhook, as PagerDuty documents it."""
    data = {
        "id": "PGR0VU2",
        "type": "incident",
        "number": 2,
        "status": "acknowledged",
        "incident_key": OPENED.dedup_key,
        "title": "x",
        "assignees": [BOB],
        **changes,
    }
    event = {
        "id": "5ac64822-4adc-4fda-ade0-410becf0de4f",
        "event_type": event_type,
        "resource_type": "incident",
        "occurred_at": "2026-04-12T03:30:00.169Z",
        "agent": agent,
        "client": {"name": "PagerDuty"},
        "data": data,
    }
    return orjson.dumps({"event": event})


def signed(body: bytes, secret: str = SECRET) -> str:
    """PagerDuty's signature of a body."""
    return f"v1={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


@pytest.mark.parametrize(
    ("event_type", "command", "text"),
    [
        ("incident.acknowledged", ActCommand.ACKNOWLEDGE, ""),
        ("incident.resolved", ActCommand.RESOLVE, ""),
        ("incident.reopened", ActCommand.REOPEN, ""),
        ("incident.reassigned", ActCommand.ASSIGN, "Bob"),
        ("incident.delegated", ActCommand.ASSIGN, "Bob"),
    ],
)
def test_what_a_person_does_there_is_an_act(
    event_type: str, command: ActCommand, text: str
) -> None:
    """With who did it, and the event's id as its key."""
    key = "pagerduty-5ac64822-4adc-4fda-ade0-410becf0de4f"

    act = parse_webhook(webhook(event_type))

    assert act == Act(command, OPENED.incident, "Ann Lee", "pagerduty", key, text)


@pytest.mark.parametrize(
    "body",
    [
        webhook("incident.acknowledged", INTEGRATION),
        webhook("incident.resolved", INTEGRATION),
        webhook("incident.resolved", None),
        webhook("incident.triggered"),
        webhook("incident.annotated"),
        webhook("service.updated"),
        webhook("pagey.ping", None),
        webhook("incident.acknowledged", incident_key="d3640fbd41094207a1c11e58e46b1662"),
        webhook("incident.acknowledged", incident_key=None),
        webhook("incident.acknowledged", incident_key="/"),
        webhook("incident.reassigned", assignees=[]),
        webhook("incident.reassigned", assignees=None),
    ],
)
def test_all_else_is_nothing(body: bytes) -> None:
    """What our own events did above all: it would go to and fro without end."""
    assert parse_webhook(body) is None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"event": 1}', b"\xff", b'{"event":' * 100_000]
)
def test_what_is_no_webhook_is_told(body: bytes) -> None:
    """Whatever it is."""
    with pytest.raises(BadReply, match=r"^the body is no webhook of PagerDuty"):
        parse_webhook(body)


def test_a_key_of_another_tool_is_told() -> None:
    """One that looks like ours and is not."""
    with pytest.raises(BadReply, match="is no incident id"):
        parse_webhook(webhook("incident.resolved", incident_key="disk/1"))


def test_a_signature_is_of_one_of_the_secrets() -> None:
    """While a secret is changed there are two signatures, and two secrets."""
    body = webhook("incident.resolved")
    both = f"{signed(body, 'old-secret')},{signed(body)}"

    assert is_signed(body, signed(body), [SECRET])
    assert is_signed(body, both, [SECRET])
    assert is_signed(body, signed(body, "old-secret"), [SECRET, "old-secret"])


@pytest.mark.parametrize(
    "header",
    [
        "",
        "v1=",
        "v1",
        "é",
        signed(b"other"),
        signed(b"{}").upper(),
        signed(b"{}")[3:],
        "," * 10_000,
    ],
)
def test_a_wrong_signature_is_none(header: str) -> None:
    """Whatever it is."""
    assert not is_signed(b"{}", header, [SECRET])


def test_without_a_secret_nothing_is_signed() -> None:
    """An empty secret signs nothing, though anybody could."""
    assert not is_signed(b"{}", signed(b"{}", ""), [""])
    assert not is_signed(b"{}", signed(b"{}"), [])
