"""The embedded journal's clock: the system's, or one that the demo and the tests drive."""

import time
from collections.abc import Callable


def system_ms() -> int:
    """Milliseconds since 1970 by this machine."""
    return time.time_ns() // 1_000_000


class Clock:
    """Milliseconds since 1970, which never go back.

    It follows the system, unless it is `driven`: then it stands at `begins_ms` until the first
    `set`.
    """

    def __init__(
        self, system: Callable[[], int] = system_ms, *, driven: bool = False, begins_ms: int = 0
    ) -> None:
        self._system = system
        self._base_ms = begins_ms
        self._since_ms = system() if driven else 0  # 0 while it follows the system
        self._speed = 0.0

    @property
    def is_driven(self) -> bool:
        """Whether somebody has set how time passes."""
        return bool(self._since_ms)

    @property
    def stands_still(self) -> bool:
        """Whether time passes only when it is `set`."""
        return bool(self._since_ms) and not self._speed

    def now_ms(self) -> int:
        """The time."""
        if not self._since_ms:
            return self._system()
        return self._base_ms + int((self._system() - self._since_ms) * self._speed)

    def set(self, now_ms: int, speed: float = 0.0) -> None:
        """Move the time to `now_ms`; from there it runs at `speed` times real time, or stands still.

        Raises ValueError when that would be back.
        """
        if now_ms < self.now_ms():
            raise ValueError(
                f"now_ms is {now_ms}, which is before the journal's time {self.now_ms()}: time never goes back"
            )
        self._base_ms, self._since_ms, self._speed = now_ms, self._system(), speed


class Stopwatch:
    """Milliseconds since it was made, by a clock that nobody sets.

    The time in which the machine slept counts where the system tells it (Linux).
    """

    def __init__(self) -> None:
        self._clock_id = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        self._begun_ns = time.clock_gettime_ns(self._clock_id)

    def elapsed_ms(self) -> int:
        """For how long it has run."""
        return (time.clock_gettime_ns(self._clock_id) - self._begun_ns) // 1_000_000
