"""Whether the workers work, for who is not in their process: what their checkpoints show.

A worker writes a checkpoint of each of its partitions about once a second, and the checkpoint says
which tick was applied last. Ages are measured by a clock that nobody sets, from the moment at which
a change was seen. So the clocks of other machines do not matter, and a process that has just begun
to watch knows nothing for a while.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.clock import Stopwatch
from app.history.checkpoints import newest_meta
from app.transport.log import Readable


@dataclass(frozen=True, slots=True)
class PartitionSign:
    """What is known of the worker of one partition. Ages are in milliseconds."""

    partition: int
    offset: int  # the last journal offset applied; -1 when there is no checkpoint yet
    checkpoint_age_ms: int  # since the newest checkpoint was seen, or since the watch began
    tick_age_ms: int  # since the newest tick was seen in it; 0 where ticks tell no run
    clock_wrong_by_ms: int  # by how much the clock that stamps the journal is ahead
    sizes: Mapping[str, int] = field(default_factory=dict)  # by the policy's bound


@dataclass(slots=True)
class _Seen:
    """The newest checkpoint of a partition, and when it and its tick were seen first."""

    meta: bytes | None
    tick: tuple[str, int]
    checkpoint_ms: int
    tick_ms: int


class WorkerWatch:
    """Looks at the changelog's partitions whenever it is told to."""

    def __init__(
        self, log: Readable, topic: str, partitions: int, stopwatch: Stopwatch | None = None
    ) -> None:
        """`topic` is that of the state."""
        self._log, self._topic, self._partitions = log, topic, partitions
        self._stopwatch = stopwatch or Stopwatch()
        self._seen: dict[int, _Seen] = {}

    async def look(self) -> list[PartitionSign]:
        """What the partitions show now. Raises LogUnavailable."""
        metas = [
            await newest_meta(self._log, self._topic, partition)
            for partition in range(self._partitions)
        ]
        now_ms = self._stopwatch.elapsed_ms()
        return [self._note(partition, meta, now_ms) for partition, meta in enumerate(metas)]

    def _note(self, partition: int, meta: bytes | None, now_ms: int) -> PartitionSign:
        document: dict[str, Any] = orjson.loads(meta) if meta else {}
        run, elapsed_ms, _, wrong_by_ms, *_ = document.get("clock", ("", 0, 0, 0))
        tick = (run, elapsed_ms)
        seen = self._seen.setdefault(partition, _Seen(meta, tick, now_ms, now_ms))
        if meta != seen.meta:
            seen.meta, seen.checkpoint_ms = meta, now_ms
        if tick != seen.tick or not run:
            seen.tick, seen.tick_ms = tick, now_ms
        return PartitionSign(
            partition,
            document.get("offset", -1),
            now_ms - seen.checkpoint_ms,
            now_ms - seen.tick_ms,
            wrong_by_ms,
            document.get("sizes", {}),
        )
