"""What is wrong although the worker works: the clock that stamps the journal, or a backlog.

A backlog is measured by the ticks: how long ago the worker appended the newest one that was
applied. No clock that somebody sets is asked.
"""

import logging
import uuid
from collections.abc import Iterable, Mapping
from typing import Protocol

from app import metrics
from app.clock import Stopwatch, system_ms
from app.core.engine import Engine
from models.journal import encode_tick
from models.text.duration import format_ms

BACKLOG_MS = 10_000  # more is told

logger = logging.getLogger("tocsin.health")


class Owned(Protocol):
    """A partition that is worked on (`app.worker.worker.PartitionPipe`)."""

    @property
    def engine(self) -> Engine:
        """Its engine."""


class Health:
    """Watches the partitions that one run of a worker owns."""

    def __init__(self, stopwatch: Stopwatch | None = None) -> None:
        self._run, self._stopwatch = uuid.uuid4().hex, stopwatch or Stopwatch()
        self._ticking = False
        self._since: dict[int, int] = {}  # partition -> when it was looked at first
        self._backlogs: dict[int, int] = {}
        self._wrong: dict[int, int] = {}
        self._tick_offsets: dict[int, int] = {}  # of the newest tick, by partition

    def next_tick(self) -> bytes:
        """The value of the worker's next tick."""
        self._ticking = True
        return encode_tick(self._run, self._stopwatch.elapsed_ms())

    def ticked(self, offsets: Mapping[int, int]) -> None:
        """Ticks are in the journal, at these offsets."""
        self._tick_offsets.update(offsets)
        for partition in offsets:
            metrics.TICK_TIME.labels(str(partition)).set_to_current_time()

    def observe(self, owned: Mapping[int, Owned]) -> None:
        """Look at the partitions: set the metrics, and log what is wrong."""
        elapsed_ms = self._stopwatch.elapsed_ms()
        self._backlogs, self._wrong = {}, {}
        self._since = {item: self._since.get(item, elapsed_ms) for item in owned}
        for partition, pipe in owned.items():
            clock = pipe.engine.state.clock
            # Before its first tick of this run is applied, it waits since it was taken over.
            applied_ms = clock.elapsed_ms if clock.run == self._run else self._since[partition]
            backlog_ms = max(elapsed_ms - applied_ms, 0) if self._ticking else 0
            metrics.BACKLOG.labels(str(partition)).set(backlog_ms / 1000)
            metrics.CLOCK_WRONG.labels(str(partition)).set(clock.wrong_by_ms / 1000)
            lag = self._tick_offsets.get(partition, -1) - pipe.engine.applied_offset
            metrics.LAG.labels(str(partition)).set(max(lag, 0))
            behind_ms = system_ms() - pipe.engine.state.now_ms if self._ticking else 0
            metrics.BEHIND.labels(str(partition)).set(behind_ms / 1000)
            if backlog_ms > BACKLOG_MS:
                self._backlogs[partition] = backlog_ms
            if clock.wrong_by_ms:
                self._wrong[partition] = clock.wrong_by_ms
        for text in self.warnings():
            logger.warning("%s", text)

    def warnings(self) -> list[str]:
        """What is wrong, a sentence each; empty when nothing is."""
        return [*_clock_texts(self._wrong.values()), *_backlog_texts(self._backlogs)]

    def forget(self) -> None:
        """The partitions are somebody else's now."""
        self._backlogs, self._wrong = {}, {}
        self._tick_offsets.clear()


def _clock_texts(wrong: Iterable[int]) -> list[str]:
    worst_ms = max(wrong, key=abs, default=0)
    if not worst_ms:
        return []
    side = "ahead" if worst_ms > 0 else "behind"
    return [
        (
            f"the clock that stamps the journal is {format_ms(abs(worst_ms) // 1000 * 1000)} {side};"
            " time goes on by the worker's own clock: set the machine's clock right"
        )
    ]


def _backlog_texts(backlogs: Mapping[int, int]) -> list[str]:
    if not backlogs:
        return []
    worst = max(backlogs, key=lambda partition: backlogs[partition])
    late = format_ms(backlogs[worst] // 1000 * 1000)
    return [f"decisions are {late} late: partition {worst} has a backlog of journal records"]
