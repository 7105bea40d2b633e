"""Why an input was refused: a closed list that metrics, dead letters and HTTP answers share."""

from enum import StrEnum


class Reason(StrEnum):
    """The reasons, as users meet them in `tocsin.deadletter` and in HTTP answers."""

    MALFORMED = "malformed"  # not JSON, or not the shape that was promised
    TOO_LARGE = "too_large"  # body, labels or a value over its bound
    NO_LABELS = "no_labels"  # an alert without any label has no identity
    BAD_LABEL = "bad_label"  # a label name or value that is not a string, or not Unicode
    BAD_TIME = "bad_time"  # a time that is not RFC 3339, or ends before it starts
    UNSUPPORTED_VERSION = "unsupported_version"
    UNKNOWN_KIND = "unknown_kind"  # a journal record of a kind this version does not know
    UNKNOWN_INCIDENT = "unknown_incident"
    UNKNOWN_TASK = "unknown_task"
    UNKNOWN_NAME = "unknown_name"  # a contact, team or step that the policy does not have
    ILLEGAL_TRANSITION = "illegal_transition"  # for example: acknowledge a closed incident
    REPEATED = "repeated"  # a button, a link or a service's event that was carried out before
    BOUND_REACHED = "bound_reached"  # a limit of the policy's `bounds`
    POISON = "poison"  # a fault of ours: the record, or a deadline, made the engine raise (`app.core.state.poison`)


class BadInput(Exception):
    """Somebody else's fault: refused with a reason, counted, dead-lettered, never fatal.

    `message` says what was found, what was expected, and where; `part` is what of a larger input
    was refused.
    """

    def __init__(self, reason: Reason, message: str, part: bytes | None = None) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.part = part
