"""What an operator can tell Tocsin to do with an incident."""

from enum import StrEnum


class Command(StrEnum):
    """The commands, as they stand in the journal, in URLs and in the command line."""

    ACKNOWLEDGE = "acknowledge"
    ASSIGN = "assign"  # to a person, and to another team where it belongs there
    ASSESS = "assess"  # genuine or a false positive, and what is struck
    NOTE = "note"
    ROOT_CAUSE = "root-cause"  # the root cause
    MITIGATE = "mitigate"
    UPDATE = "update"  # what to tell those who wait, with the time by which it should be over
    COMPLAINT = "complaint"  # of customers
    ESCALATE = "escalate"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    CLOSE = "close"  # without waiting for the settle time
    MERGE = "merge"  # it becomes part of another incident
    SPLIT = "split"  # it stands alone again
    DONE = "done"  # with a follow-up task


class Verdict(StrEnum):
    """What an assessment can say."""

    GENUINE = "genuine"
    FALSE_POSITIVE = "false-positive"
