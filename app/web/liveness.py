"""Whether Tocsin itself is well, as far as a view can tell: the line above every page."""

import time
from dataclasses import dataclass

from app.bridge.parts import BridgeParts
from app.history.view import FRESH_SECONDS
from app.transport.log import LogUnavailable
from app.web.words import short_ms

STALE_MS = 15_000  # a worker appends a tick to each partition every second


@dataclass(frozen=True, slots=True)
class Liveness:
    """How old the view is. `problems` are sentences; empty when all is well."""

    now_ms: int
    age_ms: int
    problems: tuple[str, ...]

    @property
    def words(self) -> str:
        """One sentence for whoever looks at the page."""
        if self.problems:
            return " ".join(self.problems)
        return f"Tocsin is well. This view is {short_ms(self.age_ms)} old."


class LivenessView:
    """Asks the journal at most once a second."""

    def __init__(self, parts: BridgeParts) -> None:
        self._parts = parts
        self._known: Liveness | None = None
        self._asked = -FRESH_SECONDS

    async def now(self) -> Liveness:
        """How it is now. It never raises: a page says so when the journal is away."""
        if self._known is None or time.monotonic() - self._asked >= FRESH_SECONDS:
            self._known = await self._look()
            self._asked = time.monotonic()
        return self._known

    async def _look(self) -> Liveness:
        log = self._parts.log
        now_ms = log.now_ms()
        try:
            as_of_ms = await self._parts.board.view.as_of_ms()
            silent = await self._silent_partitions(now_ms)
        except LogUnavailable as error:
            return Liveness(now_ms, 0, (f"The journal does not answer: {error}.",))
        age_ms = max(now_ms - as_of_ms, 0)
        problems = []
        if age_ms > STALE_MS:
            problems.append(f"This view is {short_ms(age_ms)} old: the workers are behind.")
        if silent:
            count = self._parts.settings.partitions
            longest_ms = max(silent)
            since = f"for {short_ms(longest_ms)}" if longest_ms else "yet"
            problems.append(
                f"No worker has reported {since} in {len(silent)} of {count} partitions."
            )
        problems += [f"{warning[:1].upper()}{warning[1:]}." for warning in self._parts.warnings()]
        return Liveness(now_ms, age_ms, tuple(problems))

    async def _silent_partitions(self, now_ms: int) -> list[int]:
        """For how long nothing was appended to the partitions that have no ticks. 0 is never."""
        log, topic = self._parts.log, self._parts.topics.journal
        silent = []
        for partition in range(self._parts.settings.partitions):
            end = await log.end_offset(topic, partition)
            records = await log.read(topic, partition, end - 1, 1) if end else []
            if not records:
                silent.append(0)
            elif now_ms - records[0].timestamp > STALE_MS:
                silent.append(now_ms - records[0].timestamp)
        return silent
