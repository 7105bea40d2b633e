"""The long tail of services, through the library `apprise` (`pip install tocsin[apprise]`): sends only.

The library connects by itself, so that our rules for private addresses, redirects and sizes do not hold here, and it says
only whether a message was sent. Its URL is a secret, since it holds the service's passwords.
"""

import asyncio
import importlib
import logging
from dataclasses import dataclass
from typing import Any, ClassVar

from app.notifier.channel import ChannelKind, Context
from app.notifier.channels.config import ChannelConfig
from app.notifier.outcome import Refused, Sent, TryAgain
from models.events import Action, Notification

TIMEOUT_S = 30.0
_LOOKALIKES = str.maketrans(
    {"<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", "@": "\N{FULLWIDTH COMMERCIAL AT}"}
)


class AppriseConfig(ChannelConfig):
    """A URL as apprise documents it for the service."""

    secrets = ("url",)

    url_file: str = ""
    url_env: str = ""


@dataclass(frozen=True, slots=True)
class Apprise:
    """One URL. The address is not used."""

    config: AppriseConfig
    context: Context
    timeout_s: float = TIMEOUT_S
    kind: ClassVar[ChannelKind] = ChannelKind.APPRISE

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:  # noqa: ARG002
        """Hand the message to the library."""
        library = _library()
        service = library.Apprise()
        if not service.add(self.config.secret("url")):
            raise Refused("apprise does not know the URL of this receiver")
        kind = (
            library.NotifyType.SUCCESS
            if notification.action is Action.RESOLVE
            else library.NotifyType.FAILURE
        )
        title, body = self._texts(notification)
        try:
            async with asyncio.timeout(self.timeout_s):
                sent = await service.async_notify(
                    body=body, title=title, notify_type=kind, body_format=library.NotifyFormat.TEXT
                )
        except TimeoutError:
            raise TryAgain(f"apprise gave no answer within {self.timeout_s:g} s") from None
        if not sent:
            raise TryAgain("apprise could not send the message; it does not say why")
        return Sent()

    def preview(self, notification: Notification, address: str) -> str:  # noqa: ARG002
        """Title and text."""
        return "\n".join(self._texts(notification))

    async def close(self) -> None:
        """Nothing is open."""

    def _texts(self, notification: Notification) -> tuple[str, str]:
        """Title and body. We do not know the service's markup, so what often is markup becomes a sign that looks like it."""
        templates = self.context.templates
        title, _, body = templates.render("body.txt", notification).partition("\n")
        return title.translate(_LOOKALIKES), body.translate(_LOOKALIKES)


def make(config: AppriseConfig, context: Context) -> Apprise:
    """The channel."""
    return Apprise(config, context)


def _library() -> Any:
    """The library. It logs URLs with passwords in them, so its log and its client's are silenced."""
    try:
        library = importlib.import_module("apprise")
    except ImportError:
        raise Refused(
            "the channel apprise needs its library: pip install 'tocsin[apprise]'"
        ) from None
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return library
