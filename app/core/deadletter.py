"""What was refused, with its reason, its position and its bytes, so that nothing is lost silently."""

import base64
from typing import Any

from app.core.turn import Turn
from models.effect import Stream
from models.reason import BadInput, Reason


def dead_letter(turn: Turn, refusal: BadInput, value: bytes, topic: str = "journal") -> None:
    """Leave a dead letter for the journal record of this turn."""
    turn.count("deadletters")
    turn.count(f"deadletters.{refusal.reason}")
    body = letter(refusal, topic, turn.partition, turn.offset, value)
    turn.emit(Stream.DEADLETTER, None, "DeadLettered", body)


def pass_on(turn: Turn, reason: str, body: Any) -> None:
    """Leave the dead letter of a raw record, which the ingest agent refused."""
    if not isinstance(body, dict):
        raise BadInput(Reason.MALFORMED, f"a refused record's letter is {type(body).__name__}, must be an object")
    turn.count("deadletters")
    turn.count(f"deadletters.{reason}")
    turn.emit(Stream.DEADLETTER, None, "DeadLettered", body)


def letter(refusal: BadInput, topic: str, partition: int, offset: int, value: bytes) -> dict[str, Any]:
    """A dead letter's body: why, from where, and the bytes (as text where they are UTF-8, else in base64)."""
    try:
        text, encoding = value.decode(), "utf-8"
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(value).decode(), "base64"
    return {
        "reason": refusal.reason,
        "message": refusal.message,
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "encoding": encoding,
        "value": text,
    }
