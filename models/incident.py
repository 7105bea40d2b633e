"""An incident's states and its id."""

from datetime import UTC, datetime
from enum import StrEnum

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class State(StrEnum):
    """Where an incident is in its life (`app.core.state.lifecycle` has the table)."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = (
        "resolved"  # all alerts ended, or an operator said so; waiting to see that it stays quiet
    )
    CLOSED = "closed"


def incident_id(prefix: str, at_ms: int, partition: int, offset: int, number: int) -> str:
    """`INC-20260412T031502Z-00K3F`: the class' prefix, the UTC time, and the cause.

    The suffix is the journal position of the cause: two digits of partition and the offset, in base
    36. `number` counts the incidents which that one record opened before this one, and is shown
    from the second on.
    """
    at = datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    more = f"-{number}" if number else ""
    return f"{prefix}-{at}-{incident_suffix(partition, offset)}{more}"


def incident_suffix(partition: int, offset: int) -> str:
    """The part of an incident's id that tells the journal position of its cause."""
    return f"{_base36(partition):0>2}{_base36(offset)}"


def partition_from_id(text: str) -> int:
    """The journal partition that an incident lives in.

    Raises ValueError when the text is not an incident id.
    """
    parts = text.split("-")
    if len(parts) not in (3, 4) or len(parts[2]) < 3 or not set(parts[2]) <= set(_DIGITS):
        raise ValueError(f"{text!r} is not an incident id such as INC-20260412T031502Z-00K3F")
    return int(parts[2][:2], 36)


def position_from_id(text: str) -> tuple[int, int]:
    """The partition and the offset of the record that opened the incident.

    Raises ValueError as above.
    """
    return partition_from_id(text), int(text.split("-")[2][2:], 36)


def opened_ms_of_id(text: str) -> int:
    """When the incident opened, to the second, in milliseconds since 1970.

    Raises ValueError as above.
    """
    partition_from_id(text)
    opened = datetime.strptime(text.split("-")[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return int(opened.timestamp()) * 1000


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits
