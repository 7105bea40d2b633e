"""What the engine reads of a journal record."""

from typing import Any, Protocol


class JournalRecord(Protocol):
    """What the engine reads of a record: aiokafka's ConsumerRecord and our StoredRecord fit."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> int:
        """When it was appended, in milliseconds since 1970."""

    @property
    def key(self) -> Any:
        """The correlation key in bytes, or None."""

    @property
    def value(self) -> Any:
        """The record in bytes, or None."""

    @property
    def headers(self) -> Any:
        """Pairs of name and bytes."""
