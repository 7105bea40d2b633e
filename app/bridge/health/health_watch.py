"""Whether Tocsin is well, as a bridge sees it: for probes, monitors, commands, the page and metrics."""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app import metrics
from app.bridge.connections.responses import logger
from app.bridge.health.partition_counts import PartitionCounts
from app.bridge.health.problems import (
    SILENT_MS,
    Problem,
    ProblemKind,
    behind,
    receivers_down,
    worker_problems,
)
from app.clock import Stopwatch
from app.core.rules.compiled_policy import CompiledPolicy
from app.history.receivers_down import ReceiversDownView
from app.history.view import View
from app.history.worker_watch import PartitionSign, WorkerWatch
from app.settings import Settings
from app.transport.log import LogUnavailable
from models.text.instant import format_instant

LOOK_SECONDS = 3.0  # between two looks that nobody asked for
FRESH_MS = 1000  # for so long a look is not repeated
ANSWER_SECONDS = 4.0  # for a look
BEHIND_MS = 15_000  # a worker appends a tick to each partition every second
HEADER = "Tocsin-Degraded"  # of every answer while something is wrong; commands show it
HEADER_CHARACTERS_MAX = 1000
_UNPRINTABLE = re.compile(r"[^ -~]+")


class HealthWatch:
    """Looks at what workers and notifiers leave in the log, every few seconds and when asked."""

    def __init__(
        self,
        settings: Settings,
        view: View,
        policy: Callable[[], CompiledPolicy],
        stopwatch: Stopwatch | None = None,
    ) -> None:
        """`policy` is asked for today's bounds."""
        self._settings, self._view, self._policy = settings, view, policy
        self._stopwatch = stopwatch or Stopwatch()
        log, topics, partitions = view.log, view.topics, view.partitions
        self._watch = WorkerWatch(log, topics.state, partitions, self._stopwatch)
        self._receivers = ReceiversDownView(log, topics.alerts, partitions)
        self._counts = PartitionCounts(log, topics, partitions, self._stopwatch)
        self._signs: Sequence[PartitionSign] = ()
        self._problems: tuple[Problem, ...] = ()
        self._looked_ms = -FRESH_MS
        self._looking: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was wrong at the last look; empty when nothing was."""
        return self._problems

    async def start(self) -> None:
        """Begin to look by itself."""
        self._watching = asyncio.create_task(self._watch_on())

    async def stop(self) -> None:
        """Look no more."""
        tasks = [task for task in (self._watching, self._looking) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def now(self) -> tuple[Problem, ...]:
        """What is wrong now. It never raises: a log that does not answer is what is wrong then."""
        if self._stopwatch.elapsed_ms() - self._looked_ms < FRESH_MS:
            return self._problems
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await asyncio.shield(self._looking)
        except TimeoutError:
            self._note([_away(f"it has not answered for {ANSWER_SECONDS:g} s")])
        return self._problems

    async def document(self) -> dict[str, Any]:
        """The answer to monitors."""
        problems = await self.now()
        return {
            "status": "degraded" if problems else "well",
            "problems": [problem.document() for problem in problems],
            "partitions": [
                {
                    "partition": sign.partition,
                    "applied_offset": sign.offset,
                    "checkpoint_age_ms": sign.checkpoint_age_ms,
                    "tick_age_ms": sign.tick_age_ms,
                }
                for sign in self._signs
            ],
            "now": format_instant(self._view.log.now_ms()),
        }

    def middleware(self) -> Middleware:
        """Gives each answer a header while something is wrong."""

        @web.middleware
        async def tell_degraded(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await handler(request)
            if self._problems and not response.prepared:
                response.headers[HEADER] = header_text(self._problems)
            return response

        return tell_degraded

    async def _watch_on(self) -> None:
        while True:
            await self.now()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        try:
            self._note(await self._found_problems())
        except LogUnavailable as error:
            self._note([_away(str(error))])
        except Exception:  # noqa: BLE001  a look that fails must not end the watch
            logger.exception("the health of the workers cannot be told")
            self._note([_away("what it answers cannot be read")])

    async def _found_problems(self) -> list[Problem]:
        self._signs = await self._watch.look()
        problems: list[Problem] = []
        # While somebody drives the clock, they decide when time passes.
        if self._settings.clock != "driven":
            silent_ms = max(SILENT_MS, 3 * self._settings.checkpoint_ms)
            bounds = {name: getattr(self._policy().policy.bounds, name) for name in metrics.BOUNDS}
            problems += worker_problems(self._signs, bounds, silent_ms)
            age_ms = self._view.log.now_ms() - await self._view.as_of_ms()
            if age_ms > BEHIND_MS and not _has(problems, ProblemKind.NO_WORKER):
                problems.append(behind(age_ms))
        problems += receivers_down(await self._receivers.names())
        return problems + await self._counts.problems()

    def _note(self, problems: Sequence[Problem]) -> None:
        kinds = {problem.kind for problem in problems}
        for kind in ProblemKind:
            metrics.DEGRADED.labels(kind).set(kind in kinds)
        for sign in self._signs:
            name = str(sign.partition)
            metrics.CHECKPOINT_AGE.labels(name).set(sign.checkpoint_age_ms / 1000)
            metrics.TICK_AGE.labels(name).set(sign.tick_age_ms / 1000)
        known = {problem.kind for problem in self._problems}
        for problem in problems:
            if problem.kind not in known:
                logger.warning("degraded: %s", problem.text)
        if known and not kinds:
            logger.warning("nothing is degraded any more")
        self._problems, self._looked_ms = tuple(problems), self._stopwatch.elapsed_ms()


def header_text(problems: Sequence[Problem]) -> str:
    """The problems as a header's value."""
    text = "; ".join(problem.text for problem in problems)
    return _UNPRINTABLE.sub("?", text)[:HEADER_CHARACTERS_MAX]


def _away(reason: str) -> Problem:
    return Problem(ProblemKind.JOURNAL_AWAY, f"The journal does not answer: {reason}")


def _has(problems: Sequence[Problem], kind: ProblemKind) -> bool:
    return any(problem.kind is kind for problem in problems)
