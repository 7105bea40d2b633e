"""What was refused, with its reason, its position and its bytes, so that nothing is lost silently."""

import base64
from typing import Any

from app.core.state.turn import Turn
from models.effect import EFFECT_ID, Stream
from models.journal import text_of
from models.reason import BadInput, Reason
from models.text.truncate import truncate

VALUE_BYTES_MAX = (
    1024 * 1024
)  # of what was refused; as JSON text it may be six times as long, and has to fit a record
MESSAGE_CHARACTERS_MAX = 8192
BY_CHARACTERS_MAX = 1024


def dead_letter(turn: Turn, refusal: BadInput, value: bytes, topic: str = "journal") -> None:
    """Leave a dead letter for the journal record of this turn."""
    turn.count("deadletters")
    turn.count(f"deadletters.{refusal.reason}")
    body = letter_of(refusal, topic, turn.partition, turn.offset, value)
    turn.emit(Stream.DEADLETTER, None, "DeadLettered", body)


def pass_on(turn: Turn, reason: str, body: Any) -> None:
    """Leave the dead letter of a raw record, which the ingest agent refused."""
    if not isinstance(body, dict):
        raise BadInput(
            Reason.MALFORMED,
            f"a refused record's letter is {type(body).__name__}, must be an object",
        )
    if reason not in list(Reason):
        raise BadInput(
            Reason.MALFORMED,
            f"a record is refused as {reason!r:.60}, must be one of {', '.join(Reason)}",
        )
    turn.count("deadletters")
    turn.count(f"deadletters.{reason}")
    turn.emit(Stream.DEADLETTER, None, "DeadLettered", body)


def on_resubmitted(turn: Turn, document: dict[str, Any]) -> None:
    """A dead letter was sent again, and taken.

    Whoever reads the topic need not look at it any more. Raises BadInput.
    """
    name, by = text_of(document, "resubmitted"), text_of(document, "by")
    if not EFFECT_ID.fullmatch(name):
        raise BadInput(
            Reason.MALFORMED,
            f"resubmitted is {name!r:.60}, must be a dead letter's id, such as 0-15-0",
        )
    turn.emit(
        Stream.DEADLETTER,
        None,
        "Resubmitted",
        {"letter": name, "by": truncate(by, BY_CHARACTERS_MAX)},
    )


def letter_of(
    refusal: BadInput, topic: str, partition: int, offset: int, value: bytes
) -> dict[str, Any]:
    """A dead letter's body: why, from where, and the bytes (as text where they are UTF-8, else in base64).

    Of a value that is too long it has the beginning, and `bytes` says how long it is: the whole
    stands at its position.
    """
    try:
        value.decode()
        text, encoding = (
            value[:VALUE_BYTES_MAX].decode(errors="ignore"),
            "utf-8",
        )  # no half character at its end
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(value[:VALUE_BYTES_MAX]).decode(), "base64"
    body = {
        "reason": refusal.reason,
        "message": truncate(refusal.message, MESSAGE_CHARACTERS_MAX),
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "encoding": encoding,
        "value": text,
    }
    return body if len(value) <= VALUE_BYTES_MAX else body | {"bytes": len(value)}
