"""A call by Twilio, which reads the message twice.

Only what wakes is a call. Nobody is called to hear that an incident is acknowledged, over or unchanged.

Sources: Twilio's "Calls resource" (Twiml, 4,000 characters) and "TwiML Voice: Say".
"""

from dataclasses import dataclass
from typing import ClassVar
from xml.sax.saxutils import escape

from app.notifier.channel import ChannelKind, Context
from app.notifier.channels.twilio import TwilioConfig, create, phone_number
from app.notifier.outcome import Sent
from app.notifier.shorten import shorten
from models.events import Notification
from models.text.sanitize import REPLACEMENT

TWIML_MAX = 4000
_SPOKEN_MAX = 700  # characters, about a minute; with each escaped, twice, still below TWIML_MAX


class TwilioVoiceConfig(TwilioConfig):
    """The account."""


@dataclass(frozen=True, slots=True)
class TwilioVoice:
    """One number that calls. The address is the phone's number."""

    config: TwilioVoiceConfig
    context: Context
    kind: ClassVar[ChannelKind] = ChannelKind.TWILIO_VOICE

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:  # noqa: ARG002
        """Call, if it wakes."""
        if not notification.wakes:
            return Sent()
        form = {
            "To": phone_number(address),
            "From": self.config.from_,
            "Twiml": self._twiml(notification),
        }
        call = await create(self.context.http, self.config, "Calls", form)
        return Sent(str(call["sid"]))

    def preview(self, notification: Notification, address: str) -> str:  # noqa: ARG002
        """The TwiML."""
        return (
            self._twiml(notification)
            if notification.wakes
            else "nothing: nobody is called for what does not wake"
        )

    async def close(self) -> None:
        """Nothing is open."""

    def _twiml(self, notification: Notification) -> str:
        text = self.context.templates.render("voice.txt", notification).replace(REPLACEMENT, " ")
        return twiml(text)


def make(config: TwilioVoiceConfig, context: Context) -> TwilioVoice:
    """The channel."""
    return TwilioVoice(config, context)


def twiml(text: str) -> str:
    """The document that says the text twice. Nothing in the text is markup."""
    for spoken_max in (_SPOKEN_MAX, _SPOKEN_MAX // 2, _SPOKEN_MAX // 4):
        spoken = f"<Say>{escape(shorten(text, spoken_max))}</Say>"
        document = f'<Response>{spoken}<Pause length="1"/>{spoken}</Response>'
        if len(document) <= TWIML_MAX:
            break
    return document
