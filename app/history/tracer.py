"""What came of a journal record, step by step: the engine is brought to where it was, and applies the record again.

Where it was is found from the nearest state before that: a snapshot (`app.history.snapshots`), a
checkpoint of the changelog that compaction has not thinned, or the beginning of the partition; from
there the partition's records are applied. What the engine says again has to be what it said then:
that is compared with the topics.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.poison import DueTimer
from app.history.archive import Archive
from app.history.nearest_state import NearestState
from app.history.snapshots import SnapshotIndex
from app.history.timers import Timer, timers_at
from app.transport.log import StoredRecord
from models.effect import Effect, Stream


@dataclass(slots=True)
class TraceStep:
    """A part of what happened when a record was applied.

    A timer that it moved the time past, or the record itself.
    """

    timers: list[Timer]  # empty for the record itself; several of one incident may be due at once
    effects: list[Effect]


@dataclass(slots=True)
class Trace:
    """All that happened.

    `note` says what is not certain about it; it is empty when the whole journal was applied.
    """

    record: StoredRecord
    steps: list[TraceStep] = field(default_factory=list)
    counted: dict[str, int] = field(
        default_factory=dict
    )  # by how much the engine's counts grew by the record itself
    policy: CompiledPolicy | None = None
    note: str = ""

    def step_of(self, number: int) -> TraceStep | None:
        """The step that left the effect of this number."""
        return next(
            (
                step
                for step in self.steps
                if any(item.position.number == number for item in step.effects)
            ),
            None,
        )

    def effect(self, number: int) -> Effect | None:
        """The effect of this number."""
        effects = (effect for step in self.steps for effect in step.effects)
        return next((item for item in effects if item.position.number == number), None)

    @property
    def own(self) -> list[Effect]:
        """The effects of the record itself.

        Not what it says of alerts, which may be of deadlines before it.
        """
        effects = self.steps[-1].effects if self.steps else []
        return [item for item in effects if item.stream is not Stream.ALERTS]

    def reason_of(self, fingerprint: str) -> str:
        """Why nobody was notified of an alert, as the record's event of `tocsin.alerts` says; empty if it says nothing."""
        effects = self.steps[-1].effects if self.steps else []
        events = [item for item in effects if item.stream is Stream.ALERTS and item.value]
        documents = [orjson.loads(event.value) for event in events]
        return next(
            (
                document["reason"] or ""
                for document in documents
                if document["alert"] == fingerprint
            ),
            "",
        )


Look = Callable[[Engine, StoredRecord], None]


class Tracer:
    """Traces records of a log."""

    def __init__(
        self,
        archive: Archive,
        policy: Callable[[], CompiledPolicy],
        index: SnapshotIndex | None = None,
    ) -> None:
        """`policy` is asked for where the journal says none."""
        self.archive = archive
        self._state = NearestState(archive.source, policy, index)
        self._traces: dict[tuple[int, int], Trace] = {}

    async def trace(
        self, partition: int, offset: int, before: Look | None = None, after: Look | None = None
    ) -> Trace:
        """What happened at a record; `before` and `after` may look at the engine then.

        `before` looks when the timers that the record moved the time past have fired, and it has
        not been applied itself. Raises NotRetained.
        """
        known = self._traces.get((partition, offset))
        if known is not None and before is None and after is None:
            return known
        record = await self.archive.record(partition, offset)

        def apply(engine: Engine) -> Trace:
            trace = _trace_apply(engine, record, before)
            if after is not None:
                after(engine, record)
            return trace

        trace, note = await self._state.use(partition, offset, apply)
        trace.note = note
        self._traces[partition, offset] = trace
        return trace

    async def newest(self, partition: int) -> Engine:
        """The engine after everything that the journal has. Raises NotRetained."""
        source = self.archive.source
        end = await source.log.end_offset(source.topics.journal, partition)
        engine, _ = await self._state.use(partition, end, lambda engine: engine)
        return engine


def _trace_apply(engine: Engine, record: StoredRecord, before: Look | None) -> Trace:
    """Apply a record, and tell what was due before it from what it did itself."""
    trace = Trace(record)
    while engine.state.timers and engine.state.timers[0][0] <= record.timestamp:
        timers = timers_at(engine, DueTimer(*engine.state.timers[0]))
        passed = engine.apply_deadline(record)
        if passed is None:
            break
        if passed[1]:
            trace.steps.append(TraceStep(timers, passed[1]))
    if before is not None:
        before(engine, record)
    counts = dict(engine.counts)
    trace.policy = engine.policy
    trace.steps.append(TraceStep([], engine.apply([record])))
    trace.counted = {name: number - counts.get(name, 0) for name, number in engine.counts.items()}
    return trace
