"""A circuit for each receiver: one that does not answer is left alone for a while, and then tried with one delivery.

Pure: time is an argument in milliseconds, randomness a number from 0 to 1.
"""

from dataclasses import dataclass

FAILURES_MAX = 5  # one after the other, until a receiver is left alone
OPEN_MS = 10_000  # for the first time; twice as long after each trial that fails
OPEN_MS_MAX = 5 * 60_000
AT_ONCE = 4  # deliveries that a receiver gets at the same time


@dataclass(slots=True)
class Circuit:
    """Whether a receiver may be sent something now."""

    failures: int = 0  # one after the other
    sending: int = 0  # deliveries under way
    open_until_ms: int = 0
    down_since_ms: int = 0  # when the circuit was opened; 0 while it is closed
    paused_until_ms: int = 0  # the receiver has asked for it (Retry-After)
    trials: int = 0  # that have failed since then

    @property
    def open(self) -> bool:
        """Whether the receiver counts as down."""
        return self.down_since_ms > 0

    def allows(self, now_ms: int) -> bool:
        """Whether one more delivery may begin."""
        if now_ms < max(self.paused_until_ms, self.open_until_ms):
            return False
        return self.sending < (1 if self.open else AT_ONCE)

    def next_ms(self, now_ms: int) -> int | None:
        """When it is worth asking again, if a time decides that."""
        at_ms = max(self.paused_until_ms, self.open_until_ms)
        return at_ms if at_ms > now_ms else None

    def answered(self) -> None:
        """The receiver has answered, be it that it refused."""
        self.failures = self.trials = 0
        self.open_until_ms = self.down_since_ms = 0

    def failed(self, now_ms: int, jitter: float) -> None:
        """The receiver did not answer, or not usefully."""
        self.failures += 1
        if self.failures >= FAILURES_MAX and now_ms >= self.open_until_ms:
            self.down_since_ms = self.down_since_ms or now_ms
            self.open_until_ms = now_ms + backoff_ms(self.trials, jitter, OPEN_MS, OPEN_MS_MAX)
            self.trials += 1

    def pause(self, until_ms: int) -> None:
        """The receiver asks for a pause."""
        self.paused_until_ms = max(self.paused_until_ms, until_ms)


def backoff_ms(tries: int, jitter: float, first_ms: int, most_ms: int) -> int:
    """How long to wait after so many failures: twice as long each time, from half of that to all of it by the jitter."""
    full_ms = min(most_ms, first_ms * 2 ** min(tries, 30))
    return int(full_ms * (0.5 + 0.5 * jitter))
