"""The one error of the read side."""

from models.errors import TocsinError


class NotRetained(TocsinError):
    """What is asked for is not there, or not any more; the message says what there is instead."""
