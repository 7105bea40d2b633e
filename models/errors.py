"""The base of the errors that a command tells in one line: somebody else's to mend, not a fault of ours."""


class TocsinError(Exception):
    """The message says what was found, what was expected, and where.

    `hint` says what to try. It is empty when the message says it already.
    """

    hint: str = ""
