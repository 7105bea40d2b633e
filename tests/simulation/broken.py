"""What a check raises."""


class Broken(AssertionError):
    """A promise does not hold."""
