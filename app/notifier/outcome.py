"""How an attempt to send a message ends."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver accepted the message."""

    receiver_id: str = ""  # the receiver's own id: a dedup key, a Message-ID, a message's timestamp
    memory: str = ""  # JSON of the channel, handed back with the incident's next message


class Refused(Exception):
    """The receiver will never accept this message. The text is one inert line without a secret."""


class TryAgain(Exception):
    """The attempt failed and a later one may succeed. The text is one inert line without a secret."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
