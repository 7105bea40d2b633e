"""Feeding a partition's journal to an engine of its own, a batch at a time, at full speed or at a pace."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from app.core.engine import Engine
from app.core.state.poison import Poison
from app.history.applier import Applier
from app.history.checkpoints import apply_changes
from app.history.source import Source
from app.history.state_at import Start
from app.transport.log import StoredRecord
from models.effect import Effect

T = TypeVar("T")

READ_RECORDS = (
    50_000  # of a read, some 35 MB of a usual journal; to begin a read costs more than to go on
)
SLEEP_SECONDS = 0.5  # between two looks at whether a record is due


class Pace:
    """The speed at which records are given out.

    `speed` times as fast as they came, counted from `first_ms`.
    """

    def __init__(self, speed: float, first_ms: int) -> None:
        self._speed = speed
        self._first_ms = first_ms
        self._began = time.monotonic()

    async def due(self, records: Sequence[StoredRecord]) -> int:
        """How many of the records are due, once at least one is."""
        while True:
            now_ms = self._first_ms + (time.monotonic() - self._began) * 1000 * self._speed
            count = next(
                (number for number, record in enumerate(records) if record.timestamp > now_ms),
                len(records),
            )
            if count:
                return count
            left_s = (records[0].timestamp - now_ms) / 1000 / self._speed
            await asyncio.sleep(min(left_s, SLEEP_SECONDS))


class Feeding:
    """An engine for a partition, and the journal that it is given.

    `poisons` counts what made it raise.
    """

    def __init__(self, source: Source, partition: int, start: Start) -> None:
        self.partition = partition
        self.poisons = 0
        self._source = source
        self._items = dict(start.items)
        self._applier = Applier(
            start.engine(partition), self._restore_engine, self._read_journal, self._on_poison
        )

    async def use(self, act: Callable[[Engine], T]) -> T:
        """Do something with the engine that applies what comes next (`Applier.use`)."""
        return await self._applier.use(act)

    @property
    def engine(self) -> Engine:
        """The engine; another one after a fault."""
        return self._applier.engine

    @property
    def size(self) -> int:
        """How many items its state had when they were last worked out."""
        return len(self._items)

    def items(self) -> dict[bytes, bytes]:
        """The changelog's items as of the last record applied, the meta record last."""
        apply_changes(self._items, self.engine.checkpoint())
        return self._items

    async def run(
        self, end: int, batch: int, pace: Pace | None = None
    ) -> AsyncIterator[tuple[Sequence[StoredRecord], Sequence[Effect]]]:
        """Apply what follows, up to the offset `end`.

        Batches of at most so many records, and their effects.
        """
        while (offset := self.engine.applied_offset + 1) < end:
            records = await self._source.journal(self.partition, offset, end, READ_RECORDS)
            start = 0
            while start < len(records):
                chunk = records[start : start + batch]
                if pace is not None:
                    chunk = chunk[: await pace.due(chunk)]
                yield chunk, await self._applier.apply(chunk)
                start += len(chunk)
            if self.poisons:  # so that the next one costs no second replay from the start
                self.items()

    async def _read_journal(self, offset: int) -> list[StoredRecord]:
        return await self._source.log.read(
            self._source.topics.journal, self.partition, offset, READ_RECORDS
        )

    async def _restore_engine(self) -> Engine:
        return Start(self._items, -1).engine(self.partition)

    def _on_poison(self, _: Poison) -> None:
        self.poisons += 1
