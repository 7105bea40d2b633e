"""Scenarios played into a log through real workers: many partitions, ticks, effects topics, checkpoints; no broker, no waiting.

What the engines say depends on the journal only, so a played scenario is the same each time,
positions and all.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import orjson

from app.core.rules.compiled_policy import CompiledPolicy
from app.settings import Settings
from app.transport.log import Log, NewRecord, StoredRecord
from app.worker.worker import PartitionPipe, Worker
from models.journal import TICK
from models.topics import Topics, partition_of

WALK_MS = 30_000  # between two ticks, where nothing happens
WALK_STEPS_MAX = 120  # of a gap, however long


class Player:
    """A worker that owns every partition of a log. `set_ms` moves the log's clock."""

    def __init__(
        self, log: Log, config: Settings, policy: CompiledPolicy, set_ms: Callable[[int], None]
    ) -> None:
        self.log, self.config, self.topics = log, config, Topics(config.prefix)
        self._set_ms = set_ms
        self._worker = Worker(config, policy, log, self.topics)
        self._now_ms = 0

    async def start(self) -> None:
        """Take all partitions over."""
        await self.log.ensure_topics(self.topics.specs(self.config.partitions))
        for partition in range(self.config.partitions):
            await self._worker.take_over(partition, 1)
        await self.settled()

    @property
    def pipes(self) -> Iterable[PartitionPipe]:
        """The partitions."""
        return self._worker.pipes.values()

    async def play(self, records: Iterable[StoredRecord]) -> None:
        """Append the records at their times, each where it belongs, and let all come of them that comes of them."""
        for record in records:
            await self.walk_to(record.timestamp)
            value = self._named(record.value or b"")
            if value.startswith(b'{"policy"'):
                await self._worker.use(CompiledPolicy(orjson.loads(value)["document"]))
            else:
                for partition in self._targets(record):
                    await self.append(partition, [NewRecord(record.key, value, record.headers)])
            await self.settled()

    async def append(self, partition: int, records: Sequence[NewRecord]) -> int:
        """Append to the journal; the first offset."""
        return await self.log.append(self.topics.journal, partition, records)

    async def walk_to(self, at_ms: int) -> None:
        """Let time pass, with ticks."""
        if not self._now_ms:
            self._now_ms = at_ms
        gap_ms, start_ms = at_ms - self._now_ms, self._now_ms
        steps = min(-(-gap_ms // WALK_MS), WALK_STEPS_MAX)
        for number in range(1, steps + 1):
            self._now_ms = start_ms + gap_ms * number // steps
            self._set_ms(self._now_ms)
            await self.tick()
        self._set_ms(self._now_ms)

    async def tick(self) -> None:
        """A tick for each partition, and all that comes of it."""
        for partition in range(self.config.partitions):
            await self.append(partition, [NewRecord(None, TICK)])
        await self.settled()

    async def settled(self) -> None:
        """Apply what is in the journal, and what comes of it, until there is nothing more."""
        busy = True
        while busy:
            busy = False
            for partition, pipe in list(self._worker.pipes.items()):
                records = await self.log.read(
                    self.topics.journal, partition, pipe.engine.applied_offset + 1
                )
                if records:
                    busy = True
                    message = SimpleNamespace(
                        value=records, partition=partition, ack=lambda _: None
                    )
                    await pipe.accept(message)
            for pipe in self.pipes:
                while pipe.settled_offset < pipe.engine.applied_offset:  # noqa: ASYNC110  the pipe tells nobody
                    await asyncio.sleep(0)

    async def stop(self) -> None:
        """A checkpoint of everything."""
        await self._worker.settle()
        self._worker.release()

    def _targets(self, record: StoredRecord) -> Sequence[int]:
        value = record.value or b""
        if value.startswith((b'{"silence"', b'{"policy"', b'{"tick"')):
            return range(self.config.partitions)
        if value.startswith((b'{"command"', b'{"receipt"')):
            name = self._known(orjson.loads(value)["incident"])
            return [
                number
                for number, pipe in self._worker.pipes.items()
                if name in pipe.engine.state.incidents
            ][:1]
        return [partition_of(record.key or b"", self.config.partitions)]

    def _named(self, value: bytes) -> bytes:
        """The record with the incident's id as it is here.

        In a scenario's file it is that of a single partition.
        """
        if not value.startswith((b'{"command"', b'{"receipt"')):
            return value
        document: dict[str, Any] = orjson.loads(value)
        return orjson.dumps(document | {"incident": self._known(document["incident"])})

    def _known(self, name: str) -> str:
        """The incident that was opened in the same second."""
        second = name.rsplit("-", 1)[0]
        known = [
            one
            for pipe in self.pipes
            for one in pipe.engine.state.incidents
            if one.startswith(second)
        ]
        return known[0] if known else name
