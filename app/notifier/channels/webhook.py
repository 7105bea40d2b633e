"""A webhook, for whatever programs an installation has: signed by the Standard Webhooks convention, in one of two shapes.

`standard` is the notification as docs/EVENTS.md describes it, in an envelope with type and time. `alertmanager` is the
body that Alertmanager posts to its webhooks (version 4), so that what reads those reads these. Labels are passed on as
they are: a program compares them, and JSON keeps them apart from the rest.

Sources: the Standard Webhooks specification; Alertmanager's documentation of `webhook_config`.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self

import orjson
from pydantic import model_validator

from app.notifier.channel import ChannelKind, Context
from app.notifier.channels.alertmanager_shape import alertmanager_messages
from app.notifier.channels.config import ChannelConfig
from app.notifier.connections.http import Request
from app.notifier.episodes import episode_key, known_episodes, open_episodes
from app.notifier.memory import preview_json, remember
from app.notifier.outcome import Sent, TryAgain
from models.events import Action, Notification

_PREFIX = "whsec_"
_KEY_BYTES_MIN = 16


class WebhookFormat(StrEnum):
    """The shapes of a body."""

    STANDARD = "standard"
    ALERTMANAGER = "alertmanager"


class WebhookConfig(ChannelConfig):
    """Where to post. `secret` signs (`whsec_` and base64), and `token` is sent as a bearer token."""

    optional_secrets = ("secret", "token")

    url: str
    format: WebhookFormat = WebhookFormat.STANDARD
    secret_file: str = ""
    secret_env: str = ""
    token_file: str = ""
    token_env: str = ""

    @model_validator(mode="after")
    def _standard_is_signed(self) -> Self:
        if self.format is WebhookFormat.STANDARD and not (self.secret_file or self.secret_env):
            raise ValueError("format standard needs secret_file or secret_env, since it is signed")
        return self


@dataclass(frozen=True, slots=True)
class Webhook:
    """One URL."""

    config: WebhookConfig
    context: Context
    now_s: Callable[[], float] = time.time  # a signature holds when it was made
    kind: ClassVar[ChannelKind] = ChannelKind.WEBHOOK

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:
        """Post each body. The id in the signature is the message's, so that a receiver can drop what comes twice."""
        bodies = self._bodies(notification, address, memory)
        for number, document in enumerate(bodies):
            message_id = key if len(bodies) == 1 else f"{key}.{number}"
            await self.context.http.post(self._request(orjson.dumps(document), message_id))
        return Sent(key, remember(open=_still_open(notification, memory)))

    def preview(self, notification: Notification, address: str) -> str:
        """The bodies."""
        bodies = self._bodies(notification, address, remember(open=[episode_key(notification)]))
        return (
            "\n".join(map(preview_json, bodies))
            if bodies
            else "nothing: this shape has no such message"
        )

    async def close(self) -> None:
        """Nothing is open."""

    def _bodies(
        self, notification: Notification, address: str, memory: str
    ) -> list[dict[str, Any]]:
        match self.config.format:
            case WebhookFormat.STANDARD:
                return [_standard(notification)]
            case WebhookFormat.ALERTMANAGER:
                known = known_episodes(memory) or []
                keys = _alertmanager_keys(notification, known, open_episodes(notification, memory))
                return alertmanager_messages(
                    notification, address, keys, self.context.links.public_url
                )

    def _request(self, body: bytes, message_id: str) -> Request:
        secret, token = self.config.secret("secret"), self.config.secret("token")
        headers = {"Content-Type": "application/json"}
        if secret:
            headers |= signature(secret, message_id, int(self.now_s()), body)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return Request("the webhook", self.config.url, body, headers, secrets=(secret, token))


def make(config: WebhookConfig, context: Context) -> Webhook:
    """The channel."""
    return Webhook(config, context)


def signature(secret: str, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks. Raises TryAgain if the secret is none."""
    signed = b".".join((message_id.encode(), str(at_s).encode(), body))
    digest = hmac.new(_signing_key(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _signing_key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < _KEY_BYTES_MIN:
        raise TryAgain(
            f"the webhook's secret must be {_PREFIX} and at least {_KEY_BYTES_MIN} bytes in base64"
        )
    return key


def _standard(notification: Notification) -> dict[str, Any]:
    return {
        "type": f"incident.{notification.kind}",
        "timestamp": notification.at,
        "data": asdict(notification),
    }


def _alertmanager_keys(
    notification: Notification, known: list[str], opened: list[str]
) -> list[str]:
    """The episodes that a message in Alertmanager's shape is posted for. It knows no acknowledgement, and no quiet message."""
    own = episode_key(notification)
    match notification.action:
        case Action.TRIGGER:
            return [own]
        case Action.UPDATE:
            return [own] if own in known else []
        case Action.RESOLVE:
            return opened
        case Action.ACKNOWLEDGE | Action.INFORM:
            return []


def _still_open(notification: Notification, memory: str) -> list[str]:
    match notification.action:
        case Action.TRIGGER:
            return open_episodes(notification, memory)
        case Action.RESOLVE:
            return []
        case Action.ACKNOWLEDGE | Action.UPDATE | Action.INFORM:
            return known_episodes(memory) or []
