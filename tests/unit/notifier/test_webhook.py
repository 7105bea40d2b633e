"""Webhooks: the signature, with the official library as an oracle, and Alertmanager's shape."""

import base64
from dataclasses import asdict, replace
from datetime import UTC, datetime

import orjson
import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook as Official

from app.notifier.channel import Context
from app.notifier.channels.webhook import Webhook, WebhookConfig, WebhookFormat, make, signature
from app.notifier.outcome import TryAgain
from tests.support.asynchronous import asynchronous
from tests.support.notifications import (
    ACKNOWLEDGED,
    CRASH,
    INFORMED,
    OPENED,
    RESOLVED,
    UPDATED,
    hostile,
)
from tests.support.receivers.context import local_context
from tests.support.receivers.server import Server

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("HOOK_TOKEN", "token-of-the-hook")


def channel(
    server: Server, context: Context, form: WebhookFormat = WebhookFormat.STANDARD
) -> Webhook:
    """A channel to the server."""
    return make(
        WebhookConfig(url=f"{server.url}/hook", format=form, secret_env="HOOK_SECRET"), context
    )


@asynchronous
async def test_the_official_library_verifies_a_message() -> None:
    """Signature, time and id are as the convention says, and the body is the whole notification."""
    async with Server() as server, local_context() as context:
        sent = await channel(server, context).send(hostile(), "", "", "3-1042-2")

    request = server.requests[0]
    document = Official(SECRET).verify(request.body, request.headers)
    assert request.headers["webhook-id"] == sent.receiver_id == "3-1042-2"
    assert document == {
        "type": "incident.opened",
        "timestamp": OPENED.at,
        "data": orjson.loads(orjson.dumps(asdict(hostile()))),
    }


def test_a_signature_is_the_official_one() -> None:
    """For the same id, time and body the official library makes the same signature."""
    at = datetime(2026, 4, 12, 3, 15, 2, tzinfo=UTC)

    headers = signature(SECRET, "1-2-3", int(at.timestamp()), b'{"a": "\xc3\xa9"}')

    assert headers["webhook-signature"] == Official(SECRET).sign("1-2-3", at, '{"a": "é"}')


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "whsec_***", "plain text"])
def test_a_secret_that_is_none_signs_nothing(secret: str) -> None:
    """A short or malformed secret is told, without showing it."""
    with pytest.raises(
        TryAgain, match=r"^the webhook's secret must be whsec_ and at least 16 bytes in base64$"
    ):
        signature(secret, "id", 1, b"")


def test_the_standard_format_needs_a_secret() -> None:
    """An unsigned message of this format cannot be configured."""
    with pytest.raises(ValidationError, match="format standard needs secret_file or secret_env"):
        WebhookConfig(url="https://x.example")


@asynchronous
async def test_alertmanagers_shape() -> None:
    """The whole body of a trigger, as Alertmanager would post it, with a bearer token."""
    config = WebhookConfig(url="", format=WebhookFormat.ALERTMANAGER, token_env="HOOK_TOKEN")
    async with Server() as server, local_context() as context:
        hook = make(config.model_copy(update={"url": server.url}), context)
        await hook.send(replace(OPENED, alerts_omitted=2), "ops-primary", "", "id")

    request = server.requests[0]
    assert request.headers["authorization"] == "Bearer token-of-the-hook"
    assert "webhook-signature" not in request.headers
    assert request.json() == {
        "version": "4",
        "groupKey": '{}:{incident="INC-20260412T031502Z-00K3F/1"}',
        "truncatedAlerts": 2,
        "status": "firing",
        "receiver": "ops-primary",
        "groupLabels": {"incident": "INC-20260412T031502Z-00K3F"},
        "commonLabels": CRASH.labels,
        "commonAnnotations": CRASH.annotations,
        "externalURL": "https://tocsin.example.org",
        "alerts": [
            {
                "status": "firing",
                "labels": CRASH.labels,
                "annotations": CRASH.annotations,
                "startsAt": "2026-04-12T03:15:02.000Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": CRASH.generator_url,
                "fingerprint": CRASH.fingerprint,
            }
        ],
    }


@asynchronous
async def test_alertmanagers_shape_has_fewer_messages() -> None:
    """It has no acknowledgement and no quiet message; each episode that was opened is resolved."""
    again = replace(OPENED, episode=2, dedup_key=f"{OPENED.incident}/2")
    over = replace(RESOLVED, episode=2, dedup_key=f"{OPENED.incident}/2", alerts=OPENED.alerts)
    async with Server() as server, local_context() as context:
        hook, memory = channel(server, context, WebhookFormat.ALERTMANAGER), ""
        for notification in (UPDATED, OPENED, UPDATED, ACKNOWLEDGED, INFORMED, again, over):
            memory = (await hook.send(notification, "ops", memory, notification.id)).memory

    bodies = [request.json() for request in server.requests]
    assert [
        (body["groupKey"][-3:-2], body["status"], body["alerts"][0]["endsAt"]) for body in bodies
    ] == [
        ("1", "firing", "0001-01-01T00:00:00Z"),
        ("1", "firing", "0001-01-01T00:00:00Z"),
        ("2", "firing", "0001-01-01T00:00:00Z"),
        ("1", "resolved", RESOLVED.at),
        ("2", "resolved", RESOLVED.at),
    ]
    ids = [request.headers["webhook-id"] for request in server.requests]
    assert ids[-2:] == [f"{RESOLVED.id}.0", f"{RESOLVED.id}.1"]


@asynchronous
async def test_a_message_without_alerts_has_one_in_alertmanagers_shape() -> None:
    """What reads Alertmanager's webhooks finds an alert in each."""
    async with Server() as server, local_context() as context:
        await channel(server, context, WebhookFormat.ALERTMANAGER).send(
            replace(OPENED, alerts=(), common_labels={}), "ops", "", "id"
        )

    body = server.requests[0].json()
    assert body["alerts"][0]["labels"]["alertname"] == OPENED.title
    assert body["commonLabels"] == {
        "alertname": OPENED.title,
        "severity": "P0",
        "component": "checkout",
    }


@asynchronous
async def test_a_preview_is_the_body() -> None:
    """What would be posted, and that nothing would."""
    async with Server() as server, local_context() as context:
        assert (
            orjson.loads(channel(server, context).preview(OPENED, ""))["type"] == "incident.opened"
        )
        hook = channel(server, context, WebhookFormat.ALERTMANAGER)

        assert orjson.loads(hook.preview(OPENED, "ops"))["receiver"] == "ops"
        assert hook.preview(ACKNOWLEDGED, "ops") == "nothing: this shape has no such message"
