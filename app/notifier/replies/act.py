"""What somebody did with an incident outside of Tocsin, and through what."""

import re
from dataclasses import dataclass
from enum import StrEnum

from app.notifier.shorten import one_line

_INCIDENT = re.compile(
    r"[A-Z]{2,8}-[0-9]{8}T[0-9]{6}Z-[0-9A-Z]{3,20}(-[0-9]{1,6})?"
)  # as models.incident makes them
BY_MAX, TEXT_MAX = 100, 2000  # characters


class ActCommand(StrEnum):
    """What can be done from outside. `view` changes nothing."""

    VIEW = "view"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    ESCALATE = "escalate"
    ASSIGN = "assign"  # `text` is to whom
    SILENCE_1H = "silence_1h"
    NOTE = "note"  # `text` is the note


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that somebody did. Each text is one inert line."""

    command: ActCommand
    incident: str
    by: str  # the person's name, as the service has it
    through: str  # slack, telegram, pagerduty, link
    key: str  # the same when the service tells it again
    text: str = ""


class BadReply(Exception):
    """What came back is not what the service sends. The text is one inert line."""


class LinkExpired(BadReply):
    """A link that was good once."""


def incident_id(text: str) -> str:
    """The text if it has the shape of an incident's id. Raises BadReply."""
    if _INCIDENT.fullmatch(text) is None:
        raise BadReply(f"{one_line(text, 60)!r} is no incident id")
    return text


def make_act(command: str, incident: str, by: str, through: str, key: str, text: str = "") -> Act:
    """The act with its texts made inert. Raises BadReply for an unknown command or no incident id."""
    try:
        known = ActCommand(command)
    except ValueError:
        raise BadReply(f"{one_line(command, 40)!r} is no command") from None
    return Act(
        known,
        incident_id(incident),
        one_line(by, BY_MAX) or "somebody",
        through,
        one_line(key, 200),
        one_line(text, TEXT_MAX),
    )
