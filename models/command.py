"""What an operator can tell Tocsin to do with an incident."""

from enum import StrEnum


class Command(StrEnum):
    """The commands, as they stand in the journal, in URLs and in the command line."""

    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    ESCALATE = "escalate"
    NOTE = "note"
