"""The one error of the read side."""


class NotKept(Exception):
    """What is asked for is not there, or not any more; the message says what there is instead."""
