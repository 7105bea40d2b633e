"""Stopwatches that a test moves."""

from app.clock import Stopwatch


class HandStopwatch(Stopwatch):
    """It shows what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0

    def elapsed_ms(self) -> int:
        """What the test says."""
        return self.now_ms


class LeapingStopwatch(HandStopwatch):
    """It is 20 s later whenever somebody looks."""

    def elapsed_ms(self) -> int:
        """As it says."""
        self.now_ms += 20_000
        return self.now_ms
