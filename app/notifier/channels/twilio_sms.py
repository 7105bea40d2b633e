"""SMS by Twilio.

A message of signs that GSM has is sent in segments of 153, any other in segments of 67. Each segment is paid for, so that
a message is cut to `segments_max`; the link to the incident stays. Source: Twilio's "Messages resource" (1,600
characters), GSM 03.38 (alphabet, segments).
"""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from app.notifier.channel import ChannelKind, Context
from app.notifier.channels.twilio import TwilioConfig, create, phone_number
from app.notifier.outcome import Sent
from app.notifier.shorten import shorten, utf16_units
from models.events import Notification
from models.text.sanitize import REPLACEMENT

BODY_MAX = 1600
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("^{}\\[~]|€")
_GSM_ONE, _GSM_EACH, _UCS_ONE, _UCS_EACH = 160, 153, 70, 67


class TwilioSmsConfig(TwilioConfig):
    """The account, and how many segments a message may have."""

    segments_max: int = Field(default=3, ge=1, le=10)


@dataclass(frozen=True, slots=True)
class TwilioSms:
    """One number that sends. The address is the phone's number."""

    config: TwilioSmsConfig
    context: Context
    kind: ClassVar[ChannelKind] = ChannelKind.TWILIO_SMS

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:  # noqa: ARG002
        """Send one SMS."""
        sender = "MessagingServiceSid" if self.config.from_.startswith("MG") else "From"
        form = {
            "To": phone_number(address),
            sender: self.config.from_,
            "Body": self._body(notification),
        }
        message = await create(self.context.http, self.config, "Messages", form)
        return Sent(str(message["sid"]))

    def preview(self, notification: Notification, address: str) -> str:  # noqa: ARG002
        """The text, and how many segments it has."""
        body = self._body(notification)
        return f"{body}\n({segments(body)} of at most {self.config.segments_max} segments)"

    async def close(self) -> None:
        """Nothing is open."""

    def _body(self, notification: Notification) -> str:
        text = self.context.templates.render("sms.txt", notification).replace(REPLACEMENT, "?")
        link = self.context.links.short(notification)
        return fit(text, f" {link}" if link else "", self.config.segments_max)


def make(config: TwilioSmsConfig, context: Context) -> TwilioSms:
    """The channel."""
    return TwilioSms(config, context)


def segments(text: str) -> int:
    """How many segments the text is sent in."""
    septets = gsm_septets(text)
    if septets is not None:
        return 1 if septets <= _GSM_ONE else -(-septets // _GSM_EACH)
    units = utf16_units(text)
    return 1 if units <= _UCS_ONE else -(-units // _UCS_EACH)


def gsm_septets(text: str) -> int | None:
    """The length in GSM's alphabet, or None if the text has a sign that is not in it."""
    if not all(sign in _GSM or sign in _GSM_TWICE for sign in text):
        return None
    return len(text) + sum(sign in _GSM_TWICE for sign in text)


def fit(text: str, tail: str, segments_max: int) -> str:
    """Text and tail in at most this many segments: the text is cut, the tail is not."""
    whole = text + tail
    if segments(whole) <= segments_max and len(whole) <= BODY_MAX:
        return whole
    item, each = (_UCS_ONE, _UCS_EACH) if gsm_septets(whole) is None else (_GSM_ONE, _GSM_EACH)
    room = min(item if segments_max == 1 else each * segments_max, BODY_MAX)
    return shorten(whole, room, tail=tail, size=lambda cut: gsm_septets(cut) or utf16_units(cut))
