"""A receiver of messages, as its actor knows it."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Receiver:
    """What an actor knows of the messages to one receiver through one channel."""

    sent_ms: list[int] = field(
        default_factory=list
    )  # the newest, as many as go out before a digest
    digest_ms: int = 0  # when the digest goes out; 0 when nothing waits
    counts: dict[str, int] = field(default_factory=dict)  # kind and severity -> messages that wait
    incidents: list[str] = field(default_factory=list)  # of the first ones
    # Names of what was over before a message named it, of the first ones, and how many there are more.
    ended: list[str] = field(default_factory=list)
    ended_omitted: int = 0
    tasks: list[str] = field(default_factory=list)  # that are due, of the first ones
    body: dict[str, str] = field(default_factory=dict)  # where it goes
