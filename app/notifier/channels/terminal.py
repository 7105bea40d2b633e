"""The terminal: each message as one readable line on standard error. It is what `tocsin up` does without a receivers file."""

import sys
from dataclasses import dataclass
from typing import ClassVar

from app.notifier.channel import ChannelKind, Context
from app.notifier.channels.config import ChannelConfig
from app.notifier.messages.words import text_of
from app.notifier.outcome import Sent
from models.events import Action, Notification
from models.text.sanitize import inert

LINE_MAX = 300  # characters
_WORDS = {
    Action.TRIGGER: "PAGE",
    Action.ACKNOWLEDGE: "acknowledged",
    Action.RESOLVE: "resolved",
    Action.UPDATE: "update",
    Action.INFORM: "note",
}


class TerminalConfig(ChannelConfig):
    """It has no settings."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """Standard error of the notifier's process."""

    kind: ClassVar[ChannelKind] = ChannelKind.TERMINAL

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:  # noqa: ARG002  the protocol
        """Print the line."""
        sys.stderr.write(f"{self.preview(notification, address)}\n")
        sys.stderr.flush()
        return Sent()

    def preview(self, notification: Notification, address: str) -> str:
        """The line."""
        return line_of(notification, address)

    async def close(self) -> None:
        """Nothing is open."""


def make(_: TerminalConfig, __: Context) -> Terminal:
    """The channel."""
    return Terminal()


def line_of(notification: Notification, address: str) -> str:
    """What would be sent, to whom and why, in one line without a sign that a terminal would obey."""
    word = _WORDS[notification.action]
    if notification.action is Action.TRIGGER and not notification.wakes:
        word = "message"
    whom = f"{notification.channel} {address}"
    if notification.receiver and notification.receiver != address:
        whom += f" ({notification.receiver})"
    step = notification.next_step.say if notification.next_step is not None else ""
    parts = [
        f"{notification.at[11:19]} {word} to {whom}: [{notification.severity}] {notification.title}",
        text_of(notification),
        f"Next: {step}" if step else "",
        notification.incident,
    ]
    line = inert(". ".join(part.rstrip(".") for part in parts if part))
    return line if len(line) <= LINE_MAX else f"{line[: LINE_MAX - 3]}..."
