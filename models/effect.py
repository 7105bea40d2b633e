"""What the engine wants done: records for the effects topics, each with an id made of its cause.

An effect's id is `partition-offset-number`: the journal record that caused it and the effect's number within that
record. Positions only grow within a partition, so a consumer that drops what is not past the last position it has seen
of that partition sees each effect once, whatever happened to the worker.
"""

from dataclasses import dataclass
from enum import StrEnum

POSITION_HEADER = "position"


class Stream(StrEnum):
    """Where an effect goes. All but JOURNAL keep the partition number of their cause."""

    INCIDENTS = "incidents"
    ESCALATIONS = "escalations"
    NOTIFICATIONS = "notifications"
    TIMELINE = "timeline"
    FOLLOWUPS = "followups"
    SILENCES = "silences"
    DEADLETTER = "deadletter"
    JOURNAL = "journal"  # an actor's message; its key chooses the partition


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """The place of an effect in a partition's order of causes."""

    offset: int
    number: int

    def header(self) -> tuple[str, bytes]:
        """The Kafka header that carries it on every effect."""
        return (POSITION_HEADER, f"{self.offset}-{self.number}".encode())


def position_from(headers: tuple[tuple[str, bytes], ...]) -> Position | None:
    """The position in an effect record's headers, or None."""
    for name, value in headers:
        if name == POSITION_HEADER:
            offset, number = value.decode().split("-")
            return Position(int(offset), int(number))
    return None


@dataclass(frozen=True, slots=True)
class Effect:
    """One record to be sent. `value` is JSON and holds the id, the time and the policy's fingerprint."""

    stream: Stream
    key: bytes | None
    value: bytes
    position: Position
