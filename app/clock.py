"""The embedded journal's clock: the system's, or one that the demo and the tests drive."""

import time
from collections.abc import Callable


def system_ms() -> int:
    """Milliseconds since 1970 by this machine."""
    return time.time_ns() // 1_000_000


class Clock:
    """Milliseconds since 1970, which never go back. It follows the system until `set` takes it over."""

    def __init__(self, system: Callable[[], int] = system_ms) -> None:
        self._system = system
        self._base_ms = 0
        self._since_ms = 0
        self._speed = 1.0

    def now_ms(self) -> int:
        """The time."""
        if not self._since_ms:
            return self._system()
        return self._base_ms + int((self._system() - self._since_ms) * self._speed)

    def set(self, now_ms: int, speed: float = 0.0) -> None:
        """Move the time to `now_ms`; from there it runs at `speed` times real time, or stands still.

        The first call may go anywhere, the later ones only on. Raises ValueError.
        """
        if self._since_ms and now_ms < self.now_ms():
            raise ValueError(f"now_ms is {now_ms}, which is before the journal's time {self.now_ms()}: time never goes back")
        self._base_ms, self._since_ms, self._speed = now_ms, self._system(), speed
