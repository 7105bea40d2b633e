"""Whether Tocsin itself is well, as far as a view can tell: the line above every page."""

import time
from dataclasses import dataclass

from app.bridge.parts import BridgeParts
from app.history.view import FRESH_SECONDS
from app.transport.log import LogUnavailable
from app.web.words import short_ms


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
            problems = await self._parts.health()
        except LogUnavailable as error:
            return Liveness(now_ms, 0, (f"The journal does not answer: {error}.",))
        age_ms = max(now_ms - as_of_ms, 0)
        return Liveness(now_ms, age_ms, tuple(f"{problem.text}." for problem in problems))
