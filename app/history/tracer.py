"""What came of a journal record, step by step: the engine is brought to where it was, and applies the record again.

Where it was is found from the nearest state before that: a snapshot (`app.history.snapshots`), a
checkpoint of the changelog that compaction has not thinned, or the beginning of the partition; from
there the partition's records are applied. What the engine says again has to be what it said then:
that is compared with the topics.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import orjson

from app.core import incident_timers
from app.core.engine import Engine
from app.core.incidents import resolution
from app.core.notification import digests, flapping, mute_times
from app.core.response import escalation, followups, service_levels
from app.core.rules.compiled_policy import Rulebook
from app.core.state import deadline
from app.core.state.poison import Deadline, Poison
from app.core.state.state import Incident
from app.core.suppression import inhibition, silences, suppression
from app.history.archive import Archive, NotThere
from app.history.checkpoints import apply_changes, first_policy, whole_checkpoint
from app.history.snapshots import Index, Items
from app.transport.log import StoredRecord
from models.effect import Effect

T = TypeVar("T")

SNAPSHOT_RECORDS = 25_000  # between two snapshots
SNAPSHOT_SHARE = (
    15  # records for each thing in a snapshot: so it costs less than a fifth of the replay
)
NEAR_RECORDS = 60_000  # a state so near is near enough, and the changelog need not be read


class Timer(NamedTuple):
    """What a timer stood for when it fired, as the state of then says."""

    at_ms: int
    what: str  # the timer's kind, or what the incident waited for (`app.core.state.deadline.Deadline.what`)
    whose: str  # an alert, an incident, a rule and group, a silence, a task
    detail: str = ""  # which clock, which rule
    since_ms: int = 0  # since when it ran; 0 is not known
    cause: str = ""  # the position of the record that made the alert fire, or opened the incident
    of_incident: bool = False  # `whose` is an incident
    quiet: tuple[str, ...] = ()  # what let nobody be told until then: mute rules, the owner's hours


@dataclass(slots=True)
class Step:
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
    steps: list[Step] = field(default_factory=list)
    counted: dict[str, int] = field(
        default_factory=dict
    )  # by how much the engine's counts grew by the record itself
    policy: Rulebook | None = None
    note: str = ""

    def step_of(self, number: int) -> Step | None:
        """The step that left the effect of this number."""
        return next(
            (
                step
                for step in self.steps
                if any(one.position.number == number for one in step.effects)
            ),
            None,
        )

    def effect(self, number: int) -> Effect | None:
        """The effect of this number."""
        effects = (effect for step in self.steps for effect in step.effects)
        return next((one for one in effects if one.position.number == number), None)

    @property
    def own(self) -> list[Effect]:
        """The effects of the record itself."""
        return self.steps[-1].effects if self.steps else []


Look = Callable[[Engine, StoredRecord], None]


@dataclass(slots=True)
class _At:
    """An engine on its way, and what a snapshot of it is made of."""

    engine: Engine
    items: Items
    note: str
    snapshot_offset: int


class Tracer:
    """Traces records of a log.

    Engines are kept, so that a later record of the same partition goes on from there.
    """

    def __init__(
        self, archive: Archive, policy: Callable[[], Rulebook], index: Index | None = None
    ) -> None:
        """`policy` is asked for where the journal says none."""
        self.archive = archive
        self._policy = policy
        self._index = index
        self._at: dict[int, _At] = {}
        self._traces: dict[tuple[int, int], Trace] = {}

    async def trace(
        self, partition: int, offset: int, before: Look | None = None, after: Look | None = None
    ) -> Trace:
        """What happened at a record; `before` and `after` may look at the engine then. Raises NotThere.

        `before` looks when the timers that the record moved the time past have fired, and it has
        not been applied itself.
        """
        known = self._traces.get((partition, offset))
        if known is not None and before is None and after is None:
            return known
        record = await self.archive.record(partition, offset)

        def apply(at: _At) -> Trace:
            trace = _apply(at.engine, record, before)
            if after is not None:
                after(at.engine, record)
            trace.note = at.note
            return trace

        trace = await self._bring_to(partition, offset, apply)
        self._traces[partition, offset] = trace
        return trace

    async def newest(self, partition: int) -> Engine:
        """The engine after everything that the journal has. Raises NotThere."""
        end = await self.archive.log.end_offset(self.archive.topics.journal, partition)
        return await self._bring_to(partition, end, lambda at: at.engine)

    async def _bring_to(self, partition: int, offset: int, use: Callable[[_At], T]) -> T:
        """Use the engine when it has applied all before an offset.

        What makes it raise is passed over, as the worker does.
        """
        poisons: list[Poison] = []
        while True:
            at = await self._start(partition, offset)
            try:
                at.engine.pass_over(poisons)
                await self._work_up_to(at, partition, offset)
                used = use(at)
            except Poison as poison:
                if any(one.place == poison.place for one in poisons):
                    raise NotThere(
                        f"the state at {partition}:{offset} cannot be worked out: {poison}"
                    ) from poison
                poisons.append(poison)
            else:
                self._at[partition] = at
                return used

    async def _work_up_to(self, at: _At, partition: int, offset: int) -> None:
        log, journal, engine = self.archive.log, self.archive.topics.journal, at.engine
        while engine.applied_offset < offset - 1:
            records = await log.read(journal, partition, engine.applied_offset + 1)
            if not records:
                break
            wanted = (
                records
                if records[-1].offset < offset
                else [one for one in records if one.offset < offset]
            )
            if not wanted:
                break
            engine.apply(wanted)
            last = wanted[-1].offset
            # Seldom on the way, and where the way was long also at its end: the next question may
            # be about the same time.
            ends = last == offset - 1 and last - at.snapshot_offset >= SNAPSHOT_RECORDS
            if ends or last - at.snapshot_offset >= max(
                SNAPSHOT_RECORDS, SNAPSHOT_SHARE * len(at.items)
            ):
                self._snapshot(at, partition, wanted[-1])

    def _snapshot(self, at: _At, partition: int, record: StoredRecord) -> None:
        if self._index is not None and not at.note:
            apply_changes(at.items, at.engine.checkpoint())
            self._index.save(partition, record, at.items)
            at.snapshot_offset = record.offset

    async def _start(self, partition: int, offset: int) -> _At:
        """The nearest engine at or before the one wanted."""
        at = self._at.pop(partition, None)
        if (
            at is not None
            and at.engine.applied_offset < offset
            and offset - at.engine.applied_offset < NEAR_RECORDS
        ):
            return at
        start = await self.archive.log.start_offset(self.archive.topics.journal, partition)
        found = await self._from_index(partition, offset)
        known = found.engine.applied_offset + 1 if found else start
        log, topic = self.archive.log, self.archive.topics.state
        if offset - known > NEAR_RECORDS or (found is None and start > 0):
            written = await log.end_offset(topic, partition) - await log.start_offset(
                topic, partition
            )
            if written < offset - known or (
                found is None and start > 0
            ):  # else it is read for longer than it saves
                found = _later(found, await self._from_changelog(partition, start, offset))
                await self._save(partition, found)
        if at is not None and at.engine.applied_offset < offset:
            found = _later(found, at)
        return found or await self._from_start(partition, start)

    async def _save(self, partition: int, at: _At | None) -> None:
        """Keep what was read from the changelog.

        It took long, and the next question may be about the same time.
        """
        if at is not None and self._index is not None and at.engine.applied_offset >= 0:
            self._index.save(
                partition, await self.archive.record(partition, at.engine.applied_offset), at.items
            )

    async def _from_index(self, partition: int, offset: int) -> _At | None:
        for one in self._index.offsets(partition, offset) if self._index is not None else ():
            try:
                record = await self.archive.record(partition, one)
            except NotThere:
                continue
            items = self._index.load(partition, record) if self._index is not None else None
            if items is not None:
                engine = Engine.restore(partition, _unused(items), items)
                return _At(engine, items, "", one)
        return None

    async def _from_changelog(self, partition: int, start: int, offset: int) -> _At | None:
        """The last whole checkpoint before the offset, unless the journal begins, at `start`, later than it goes on."""
        items = await whole_checkpoint(
            self.archive.log, self.archive.topics.state, partition, start, offset
        )
        if items is None:
            return None
        engine = Engine.restore(partition, _unused(items), items)
        return _At(engine, items, "", engine.applied_offset)

    async def _from_start(self, partition: int, start: int) -> _At:
        note = ""
        policy = None
        if start:
            note = f"the journal keeps {partition}:{start} and after, so what was known before that is missing here"
        else:
            policy = await first_policy(self.archive.log, self.archive.topics.journal, partition)
        return _At(Engine(partition, policy or self._policy()), {}, note, start - 1)


def _later(one: _At | None, other: _At | None) -> _At | None:
    if one is None or other is None:
        return one or other
    return one if one.engine.applied_offset >= other.engine.applied_offset else other


def _unused(items: Items) -> Rulebook:
    """The policy that the items have: restoring asks for one in case that they have none."""
    return Rulebook(orjson.loads(items[b"p"]), kept=True)


def _apply(engine: Engine, record: StoredRecord, before: Look | None) -> Trace:
    """Apply a record, and tell what was due before it from what it did itself."""
    trace = Trace(record)
    while engine.state.timers and engine.state.timers[0][0] <= record.timestamp:
        timers = _timers(engine, Deadline(*engine.state.timers[0]))
        passed = engine.pass_deadline(record)
        if passed is None:
            break
        if passed[1]:
            trace.steps.append(Step(timers, passed[1]))
    if before is not None:
        before(engine, record)
    counts = dict(engine.counts)
    trace.policy = engine.policy
    trace.steps.append(Step([], engine.apply([record])))
    trace.counted = {name: number - counts.get(name, 0) for name, number in engine.counts.items()}
    return trace


def _timers(engine: Engine, timer: Deadline) -> list[Timer]:
    """What a timer stands for.

    Of an incident's: everything that is due at that time, the first first; so of a silence's.
    """
    state, at_ms, what, whose = engine.state, *timer
    if what == incident_timers.INCIDENT:
        incident = state.incidents.get(whose)
        due = waits(engine, incident, at_ms) if incident is not None else []
        return due or [Timer(at_ms, what, whose)]
    rule, _, name = whose.partition(" ") if what == escalation.LASTING else ("", "", whose)
    alert = state.alerts.get(name.encode())
    if alert is not None:
        since_ms = alert.loud_ms if rule or what == suppression.WAITING else alert.last_ms
        return [
            Timer(
                at_ms,
                what,
                alert.name,
                rule or alert.beat,
                since_ms,
                f"{engine.partition}-{alert.fired_by}",
            )
        ]
    pair = tuple(whose.split("\n", 1))
    if what == inhibition.LINK and pair in state.links:
        return [Timer(at_ms, what, pair[1], pair[0], state.links[pair].ended_ms)]
    if what == digests.DIGEST and pair in state.receivers:
        digest = engine.policy.policy.notify.digest
        return [Timer(at_ms, what, pair[0], pair[1], at_ms - (digest.within if digest else 0))]
    if what == followups.TASK and whose in state.tasks:
        return [Timer(at_ms, what, whose, state.tasks[whose].name, state.tasks[whose].made_ms)]
    if what == silences.SILENCE:
        over, begun = silences.changing(state, at_ms)  # all at once
        return [Timer(at_ms, what, one.id, one.by, one.starts_ms) for one in (*over, *begun)] or [
            Timer(*timer)
        ]
    return [Timer(at_ms, what, whose)]


def _kept(engine: Engine, incident: Incident, due: deadline.Deadline) -> tuple[str, ...]:
    """What let nobody be told of an incident just before something was due that waits for such times to end."""
    if (
        due.what in (service_levels.NEAR, service_levels.OVER, flapping.CALM, resolution.SETTLE)
        or due.at_ms <= due.since_ms
    ):
        return ()
    return tuple(mute_times.reasons(engine.turn, incident, due.at_ms - 1))


def waits(engine: Engine, incident: Incident, until_ms: int) -> list[Timer]:
    """What an incident waits for, as far as it is due by then, the next first."""
    due = [one for one in incident_timers.all_of(engine.turn, incident) if one.at_ms <= until_ms]
    return [
        Timer(
            one.at_ms,
            one.what,
            incident.id,
            one.detail,
            one.since_ms,
            incident.opened_by,
            of_incident=True,
            quiet=_kept(engine, incident, one),
        )
        for one in due
    ]
