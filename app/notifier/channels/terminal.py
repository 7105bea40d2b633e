"""The terminal: each message as one line, for who has no receivers yet."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from app.notifier.channel import ChannelKind, Context
from app.notifier.config import ChannelConfig
from app.notifier.outcome import Sent
from app.notifier.words import one_line
from models.events import Action, Notification

_SIGNS = {Action.ACKNOWLEDGE: "ACK ", Action.RESOLVE: "DONE", Action.UPDATE: "EDIT", Action.INFORM: "INFO"}


class TerminalConfig(ChannelConfig):
    """There is nothing to set."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """Standard output, or what `write` is."""

    config: TerminalConfig
    context: Context
    write: Callable[[str], object] = sys.stdout.write
    kind: ClassVar[ChannelKind] = ChannelKind.TERMINAL

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:  # noqa: ARG002
        """Print one line."""
        self.write(f"{self.preview(notification, address)}\n")
        return Sent()

    def preview(self, notification: Notification, address: str) -> str:
        """The line: time, what would happen, channel and address, the message."""
        sign = "RING" if notification.wakes else _SIGNS.get(notification.action, "POST")
        target = one_line(f"{notification.channel} {address}")
        return f"{notification.at[11:19]} {sign} {target}: {self.context.templates.render('line.txt', notification)}"

    async def close(self) -> None:
        """Nothing is open."""


def make(config: TerminalConfig, context: Context) -> Terminal:
    """The channel."""
    return Terminal(config, context)
