"""What the engine reads of a journal record."""

from typing import Any, Protocol

import orjson

from models.reason import BadInput, Reason


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


def parse_record(value: bytes) -> dict[str, Any]:
    """The object that a record's value is. Raises BadInput."""
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise BadInput(Reason.MALFORMED, f"the record is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadInput(
            Reason.MALFORMED, f"the record is {type(document).__name__}, must be an object"
        )
    return document


def text_of_key(key: bytes | None) -> str:
    """A correlation key as text."""
    return (key or b"").decode(errors="replace")


def unknown_kind(kind: str) -> BadInput:
    """Why a record is refused whose first key names no kind."""
    kinds = (
        "alert, alerts, tick, command, silence, receipt, policy, refused, resubmitted, signal, "
        "suppression, member, expected or page"
    )
    return BadInput(Reason.UNKNOWN_KIND, f"the record's first key is {kind!r}, must be {kinds}")
