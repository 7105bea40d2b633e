"""The engine as it was before any record, from the nearest state that is known.

That is an engine that was used a moment ago, a snapshot on this machine, a checkpoint of the
changelog, or the beginning of the journal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.poison import Poison
from app.history.feeder import Feeding
from app.history.not_retained import NotRetained
from app.history.snapshots import SnapshotIndex
from app.history.source import Source
from app.history.state_at import Start, beginning, checkpoint_before, unknown_before
from app.transport.log import StoredRecord

T = TypeVar("T")

SNAPSHOT_RECORDS = 25_000  # between two snapshots
SNAPSHOT_SHARE = 15  # records for each thing in a snapshot: so it costs less than a fifth
NEAR_RECORDS = 60_000  # a state so near is near enough, and the changelog need not be read
# What news costs more than a repeat to be applied again, and a record of the changelog to be read.
NEWS_COST, CHANGELOG_COST = 100, 10
BATCH_RECORDS = 5000  # that are applied between two looks at whether a snapshot is due


@dataclass(slots=True)
class Reached:
    """An engine on its way. `note` says what is not known about its state; empty is nothing."""

    feeding: Feeding
    snapshot_offset: int
    note: str = ""

    @property
    def applied_offset(self) -> int:
        """The last record that it has applied."""
        return self.feeding.engine.applied_offset


class NearestState:
    """Brings a partition's engine to any offset. Engines are kept: a later offset goes on there."""

    def __init__(
        self,
        source: Source,
        policy: Callable[[], CompiledPolicy],
        index: SnapshotIndex | None = None,
    ) -> None:
        """`policy` is asked for where the log says none; `index` has the snapshots."""
        self._source = source
        self._policy = policy
        self._index = index
        self._reached: dict[int, Reached] = {}

    async def use(self, partition: int, offset: int, act: Callable[[Engine], T]) -> tuple[T, str]:
        """Use the engine that has applied all before an offset; and what is not known about it.

        A record that makes it raise is skipped, as the worker does. Raises NotRetained.
        """
        reached = await self._nearest_engine(partition, offset)
        try:
            await self._work_up_to(reached, partition, offset)
            result = await reached.feeding.use(act)
        except Poison as poison:
            raise NotRetained(
                f"the state at {partition}:{offset} cannot be worked out: {poison}"
            ) from poison
        self._reached[partition] = reached
        return result, reached.note

    async def _work_up_to(self, reached: Reached, partition: int, offset: int) -> None:
        end = min(offset, await self._source.log.end_offset(self._source.topics.journal, partition))
        async for records, _ in reached.feeding.run(end, BATCH_RECORDS):
            # Seldom on the way, and where the way was long also at its end: the next question may
            # be about the same time.
            passed = records[-1].offset - reached.snapshot_offset
            if passed < SNAPSHOT_RECORDS or self._index is None or reached.note:
                continue
            if records[-1].offset == offset - 1 or passed >= SNAPSHOT_SHARE * reached.feeding.size:
                self._index.save(partition, records[-1], reached.feeding.items())
                reached.snapshot_offset = records[-1].offset

    async def _nearest_engine(self, partition: int, offset: int) -> Reached:
        """The nearest engine at or before the one that is wanted."""
        reached = self._reached.pop(partition, None)
        if reached is not None and reached.applied_offset >= offset:
            reached = None
        if reached is not None and offset - reached.applied_offset < NEAR_RECORDS:
            return reached
        oldest = await self._source.log.start_offset(self._source.topics.journal, partition)
        start = await self._from_index(partition, offset)
        if await self._is_changelog_worth_reading(partition, oldest, offset, start):
            checkpoint = await checkpoint_before(self._source, partition, oldest, offset)
            start = _later(start, checkpoint)
            await self._save_snapshot(partition, start)
        if reached is not None and (start is None or reached.applied_offset > start.offset):
            return reached
        note = ""
        if start is None and oldest:
            start = unknown_before(partition, oldest, self._policy())
            note = (
                f"the journal keeps {partition}:{oldest} and after, "
                "so what was known before that is missing here"
            )
        start = start or await beginning(self._source, partition, self._policy)
        return Reached(Feeding(self._source, partition, start), start.offset, note)

    async def _is_changelog_worth_reading(
        self, partition: int, oldest: int, offset: int, start: Start | None
    ) -> bool:
        """Whether nothing else is known, or it takes less time to read than it saves."""
        if start is None and oldest > 0:
            return True
        records = offset - (start.offset + 1 if start else oldest)
        topics = self._source.topics
        kept = await self._number_kept(topics.state, partition)
        # Each news leaves an event of its alert.
        news = min(await self._number_kept(topics.alerts, partition), records)
        if kept * CHANGELOG_COST < news * NEWS_COST - NEAR_RECORDS:
            return True
        return records > NEAR_RECORDS and kept < records

    async def _number_kept(self, topic: str, partition: int) -> int:
        log = self._source.log
        return await log.end_offset(topic, partition) - await log.start_offset(topic, partition)

    async def _save_snapshot(self, partition: int, start: Start | None) -> None:
        """Keep what was read from the changelog.

        It took long, and the next question may be about the same time.
        """
        if start is not None and self._index is not None and start.offset >= 0:
            record = await self._record(partition, start.offset)
            if record is not None:
                self._index.save(partition, record, dict(start.items))

    async def _from_index(self, partition: int, offset: int) -> Start | None:
        if self._index is None:
            return None
        for known in self._index.offsets(partition, offset):
            record = await self._record(partition, known)
            items = self._index.load(partition, record) if record is not None else None
            if items is not None:
                return Start(items, known)
        return None

    async def _record(self, partition: int, offset: int) -> StoredRecord | None:
        """A record of the journal, while it is kept."""
        log, journal = self._source.log, self._source.topics.journal
        records = await log.read(journal, partition, offset, 1)
        return records[0] if records and records[0].offset == offset else None


def _later(start: Start | None, other: Start | None) -> Start | None:
    if start is None or other is None:
        return start or other
    return start if start.offset >= other.offset else other
