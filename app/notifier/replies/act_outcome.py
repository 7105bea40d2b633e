"""What came of an act, and what carries acts out."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from app.notifier.replies.act import Act


class ActStatus(StrEnum):
    """How an act ended."""

    DONE = "done"
    WAITS = "waits"  # it is in the journal, and nobody has said what came of it
    REFUSED = "refused"
    UNKNOWN = "unknown"  # there is no such incident


@dataclass(frozen=True, slots=True)
class ActOutcome:
    """What came of an act, in a sentence for whoever did it."""

    status: ActStatus
    text: str

    @property
    def reply(self) -> str:
        """The same for a chat, where nothing else shows that it was not done."""
        is_done = self.status in (ActStatus.DONE, ActStatus.WAITS)
        return self.text if is_done else f"Not done: {self.text}"


class ActHandler(Protocol):
    """What carries an act out: a bridge's own, or one of the notifier's process."""

    async def carry_out(self, act: Act) -> ActOutcome:
        """Carry it out. Raises LogUnavailable; then nothing may be assumed kept."""
