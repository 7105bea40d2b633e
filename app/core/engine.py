"""The engine: a partition's journal records in, effects out. Record by record in meaning, batch by batch in speed.

No clock, no randomness, no I/O: the same records give the same effects, however they are cut into
batches and however often the engine is restored from a checkpoint in between. Its time is the
records' append time, and never goes back. A deadline that a record moves the time past is handled
at its own time, before the record.

The path that counts is the repeat of an alert that fires already. It is recognised by how the
record's value begins (`models.journal`), so it is not parsed, and it costs a dictionary look-up, a
comparison and two stores. A copy of a raw record has a source besides, whose position is checked.
"""

from collections.abc import Callable, Iterable, Mapping
from heapq import heappop
from typing import Any

import orjson

from app.core import alert_snapshots, awareness, gaps, incident_timers
from app.core.alerts import capacity, dedup, expectations, heartbeats, identity, requests
from app.core.correlation import deferred_signals, merging, signal_router, windows
from app.core.incidents import commands, resolution, unheard
from app.core.journal_record import JournalRecord, parse_record, text_of_key, unknown_kind
from app.core.notification import digests
from app.core.policy_change import adopt_policy
from app.core.response import escalation, followups
from app.core.rules.compiled_policy import CompiledPolicy, compile_policy
from app.core.state.changelog import (
    COUNT_MAX,
    DAMAGE,
    META,
    POLICY,
    DamagedState,
    changed_records,
    is_whole,
    load_state,
    number_of_keys,
    parts_dirty,
    sizes_by_bound,
)
from app.core.state.deadletter import dead_letter, on_resubmitted, pass_on
from app.core.state.engine_clock import clock_from, tick_from
from app.core.state.poison import DueTimer, Faults, Poison, quarantine, refusal_of
from app.core.state.sources import take_position
from app.core.state.state import PartitionState
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from app.core.suppression import inhibition, silences, suppression
from models import journal
from models.effect import Effect
from models.errors import TocsinError
from models.journal import (
    ALERTS_START,
    COMMAND_START,
    FINGERPRINT,
    Source,
    format_from,
    source_from,
    text_of,
)
from models.reason import BadInput, Reason

FORMAT = 1  # of the changelog; a newer one is refused
MAGIC = "tocsin state"  # in the meta record
# The heap of timers is built anew when it has grown to twice its size and so many more.
SPARE_TIMERS = 10_000

_ON_TIMER: dict[TimerKind, Callable[[Turn, int, str], None]] = {
    TimerKind.EXPIRY: dedup.on_expire,
    TimerKind.HEARTBEAT: expectations.on_timer,
    TimerKind.LASTING: escalation.on_lasting,
    TimerKind.INCIDENT: incident_timers.on_timer,
    TimerKind.RETENTION: resolution.on_retained,
    TimerKind.WINDOW: windows.on_window,
    TimerKind.DEFERRED_SIGNAL: deferred_signals.on_deferred_timer,
    TimerKind.GRACE: inhibition.on_grace,
    TimerKind.CORRELATION_WAIT: suppression.on_wait_ended,
    TimerKind.SILENCE: silences.on_timer,
    TimerKind.SILENCE_RETENTION: silences.on_retained,
    TimerKind.DIGEST: digests.on_timer,
    TimerKind.TASK: followups.on_reminder,
    TimerKind.SNAPSHOT: incident_timers.on_snapshot_due,
}


# Deadlines at an instant that is not counted from what was heard: a gap does not put them off.
_OWN_TIMES = frozenset(
    (
        *(TimerKind.SILENCE, TimerKind.SILENCE_RETENTION, TimerKind.RETENTION),
        *(TimerKind.QUARANTINE, TimerKind.WINDOW, TimerKind.DEFERRED_SIGNAL),
        *(TimerKind.DIGEST, TimerKind.TASK, TimerKind.SNAPSHOT),
    )
)


_REMEDY = "see docs/UPGRADES.md"


class NewerFormat(TocsinError):
    """The state, or a record, was written by a newer Tocsin.

    The message says which and what to do.
    """


class Engine:
    """One journal partition's state, and the only code that changes it."""

    def __init__(
        self, partition: int, policy: CompiledPolicy, state: PartitionState | None = None
    ) -> None:
        self.partition = partition
        self.policy = policy
        self.state = state or PartitionState()
        self.applied_offset = -1  # the last record applied; -1 before the first
        self._turn = Turn(partition, self.state, policy)
        self._policy_dirty = True
        self._timers_max = SPARE_TIMERS
        self._faults = Faults()
        self._raised = False

    @property
    def counts(self) -> dict[str, int]:
        """What was counted since the partition's beginning, by name; numbers only grow."""
        return self._turn.counts

    @classmethod
    def restore(
        cls, partition: int, policy: CompiledPolicy, items: Mapping[bytes, bytes]
    ) -> "Engine":
        """An engine with the state of the changelog's items (key -> newest value), under the policy kept there.

        `policy` is used when the changelog has none yet. Raises NewerFormat and DamagedState.
        """
        if META not in items:
            return cls(partition, policy)
        where = f"the state of partition {partition} cannot be read"
        try:
            return cls._restored(partition, policy, items)
        except DamagedState as error:
            raise DamagedState(f"{where}: {error}; {_REMEDY}") from error
        except DAMAGE as error:
            raise DamagedState(f"{where}: {error!r}; {_REMEDY}") from error

    @classmethod
    def _restored(
        cls, partition: int, policy: CompiledPolicy, items: Mapping[bytes, bytes]
    ) -> "Engine":
        meta = orjson.loads(items[META])
        if meta.get("magic") != MAGIC:
            raise DamagedState(
                f"its meta record has the magic {meta.get('magic')!r:.40}, must be {MAGIC!r}: it was not "
                "written by Tocsin, or by one from before the first release"
            )
        if meta["format"] > FORMAT:
            raise NewerFormat(
                f"the state of partition {partition} has format {meta['format']}, this Tocsin reads up to {FORMAT}: "
                "run the newer version that wrote it"
            )
        numbers = (meta["offset"], meta["time_ms"], meta["keys"], *meta["counts"].values())
        assert all(type(number) is int and -1 <= number < COUNT_MAX for number in numbers), (
            f"its meta record is {meta!r:.200}"
        )
        if not is_whole(items):
            raise DamagedState(
                f"it has {len(items):,} keys, and had {meta['keys']:,} as of its last checkpoint"
            )
        kept = orjson.loads(items[POLICY])
        state = load_state(items)
        strange = len(items) - number_of_keys(state)
        if strange:
            raise DamagedState(
                f"{strange:,} of its {len(items):,} keys have no kind that any version wrote"
            )
        state.now_ms = meta["time_ms"]
        if "clock" in meta:
            state.clock = clock_from(meta["clock"])
        engine = cls(
            partition,
            policy if policy.document == kept else compile_policy(items[POLICY], kept=True),
            state,
        )
        engine.applied_offset = meta["offset"]
        engine.counts.update(meta["counts"])
        engine._policy_dirty = False
        engine._set_timers()
        identity.index_all(engine.turn)
        return engine

    def apply(self, records: Iterable[JournalRecord]) -> list[Effect]:
        """Apply records in order and return their effects in order. Records that were applied before are skipped.

        Raises Poison, and is of no more use then: `app.core.state.poison` says how to go on. Raises
        NewerFormat.
        """
        assert not self._raised
        state, turn = self.state, self._turn
        alerts, touched = state.alerts, state.touched
        applied = self.applied_offset
        next_ms = self._next_ms()  # a repeat changes neither the timers nor what the clock believes
        repeats = 0
        effects: list[Effect] = []
        turn.effects = effects
        for record in records:
            offset = record.offset
            if offset <= applied:
                continue
            if state.noted and offset != turn.offset:  # by the record before
                alert_snapshots.emit_snapshots(turn)
            applied = offset
            now_ms = record.timestamp
            if now_ms > state.now_ms:
                if now_ms >= next_ms:
                    if now_ms > state.clock.free_until_ms:
                        now_ms = state.clock.time_of(state.now_ms, now_ms)
                    else:
                        self._pass_deadlines(offset, now_ms)
                        next_ms = self._next_ms()
                state.now_ms = now_ms
            value, headers = record.value or b"", record.headers
            alert = alerts.get(value[FINGERPRINT])
            if (
                alert is not None
                and alert.firing
                and value.startswith(alert.repeat)
                and (not headers or take_position(state, headers))
            ):
                alert.count += 1
                alert.last_ms = state.now_ms
                if not alert.touched:
                    alert.touched = True
                    touched.append(alert)
                repeats += 1
                continue
            try:
                self._apply_one(record, value)
            except (MemoryError, NewerFormat, Poison):
                raise  # not the record's fault, but the machine's, a newer build's or a deadline's
            except Exception as error:
                self._raised = True
                raise Poison(offset, state.now_ms, None, error, turn.part) from error
            next_ms = self._next_ms()
        alert_snapshots.emit_snapshots(turn)
        self.applied_offset = applied
        if len(state.timers) > self._timers_max:
            self._rebuild_timers()
        if repeats:
            turn.counts["repeats"] = turn.counts.get("repeats", 0) + repeats
            turn.counts["alerts"] = turn.counts.get("alerts", 0) + repeats
        return effects

    def _next_ms(self) -> int:
        """Append times before this only move engine time on."""
        timers, believed_ms = self.state.timers, self.state.clock.free_until_ms + 1
        return min(timers[0][0], believed_ms) if timers else believed_ms

    def apply_deadline(self, record: JournalRecord) -> tuple[DueTimer, list[Effect]] | None:
        """Handle the next deadline that a record moves the time past, and return it with its effects; None after the last.

        For who wants to know what came of which. `apply` of the record does all that were not
        handled so. Raises Poison.
        """
        assert not self._raised
        state, turn = self.state, self._turn
        # The time; or it has done so.
        moves = record.timestamp > state.now_ms or turn.offset == record.offset
        if not moves or not state.timers or state.timers[0][0] > record.timestamp:
            return None
        if record.timestamp > state.clock.free_until_ms:
            return None  # if any deadline passes here, the record itself decides so
        deadline = DueTimer(*state.timers[0])
        turn.effects = []
        turn.begin(record.offset)
        self._pass_one(record.offset, record.timestamp)
        turn.late_ms = 0
        return deadline, turn.effects

    @property
    def turn(self) -> Turn:
        """The context in which the functions of the core answer questions about the state."""
        return self._turn

    def dirty_bytes(self) -> int:
        """About how many bytes the next checkpoint will have."""
        state = self.state
        return 1500 * len(state.dirty) + 60 * len(state.touched) + 500 * parts_dirty(state)

    def skip(self, poisons: Iterable[Poison]) -> None:
        """Leave a dead letter instead of what raised, where it comes up.

        Raises the first Poison if they are too many.
        """
        for poison in poisons:
            if poison.offset > self.applied_offset:  # else it was passed over already
                self._faults.add(poison, len(self.state.quarantined))

    def checkpoint(self) -> list[tuple[bytes, bytes | None]]:
        """What changed since the last checkpoint, as changelog records, the meta record last.

        None is a tombstone.
        """
        assert not self._raised
        records = changed_records(self.state)
        if self._policy_dirty:
            records.append((POLICY, orjson.dumps(self.policy.document)))
            self._policy_dirty = False
        meta = {
            "magic": MAGIC,
            "format": FORMAT,
            "offset": self.applied_offset,
            "time_ms": self.state.now_ms,
            "counts": self.counts,
            "clock": self.state.clock.kept(),
            "keys": number_of_keys(self.state),
            "sizes": sizes_by_bound(self.state),  # for who watches the worker from outside
        }
        # Sorted, since repeats are counted once a batch, and the bytes must not tell where batches
        # ended.
        records.append((META, orjson.dumps(meta, option=orjson.OPT_SORT_KEYS)))
        return records

    def _apply_one(self, record: JournalRecord, value: bytes) -> None:
        turn, poisons = self._turn, self._faults.of_record(record.offset)
        turn.begin(record.offset)
        turn.part = None
        try:
            source = self._read_headers(record) if record.headers else None
            if source and not self.state.is_new(
                source.topic, source.partition, source.offset, source.number
            ):
                turn.count("duplicates")
                return
            if None in poisons:
                raise refusal_of(poisons[None])
            if value.startswith(ALERTS_START):
                key = text_of_key(record.key)
                requests.on_alerts(turn, value, key, poisons, self._finish)
            else:
                self._dispatch(parse_record(value), record.key, record.timestamp)
        except BadInput as why:
            dead_letter(turn, why, value)
            if value.startswith(COMMAND_START):
                commands.on_refused(turn, value, why)
        self._finish()

    def _read_headers(self, record: JournalRecord) -> Source | None:
        """The position that a record follows from. Raises BadInput and NewerFormat."""
        written = format_from(record.headers)
        if written > journal.FORMAT:
            raise NewerFormat(
                f"the journal of partition {self.partition} has a record of format {written} at offset {record.offset}, this "
                f"Tocsin reads up to {journal.FORMAT}: run the newer version that wrote it"
            )
        return source_from(record.headers)

    def _finish(self, *, goes_on: bool = False) -> None:
        capacity.report(self._turn)
        incident_timers.run_due(self._turn)
        awareness.review(self._turn, self._turn.changed_incidents(0))
        alert_snapshots.review_mutes(self._turn, self._turn.changed_incidents(0))
        signal_router.review_near(self._turn, self._turn.changed_incidents(0))
        self._turn.end(goes_on=goes_on)

    def _dispatch(self, document: dict[str, Any], key: bytes | None, at_ms: int) -> None:
        turn = self._turn
        match next(iter(document), ""):
            case "alert":
                dedup.on_alert(turn, document, text_of_key(key))
            case "tick":
                turn.count("ticks")
                self._on_tick(document, at_ms)
            case "signal":
                turn.count("signals")
                signal_router.on_signal(turn, document)
            case "suppression":
                signal_router.on_suppression(turn, document)
            case "member":
                signal_router.on_member(turn, document)
            case "expected":
                expectations.on_message(turn, document)
            case "page":
                digests.on_page(turn, text_of(document, "page"), document)
            case "command":
                turn.count("commands")
                commands.on_command(turn, document, merging.HANDLERS)
            case "receipt":
                turn.count("receipts")
                commands.on_receipt(turn, document)
            case "silence":
                turn.count("silences")
                silences.on_silence(turn, document)
            case "refused":
                pass_on(turn, text_of(document, "refused"), document.get("letter"))
            case "resubmitted":
                turn.count("resubmitted")
                on_resubmitted(turn, document)
            case "policy":
                turn.count("policies")
                self._on_policy(document)
            case other:
                raise unknown_kind(other)

    def _on_tick(self, document: dict[str, Any], at_ms: int) -> None:
        """A tick of a worker tells how much time has passed. Raises BadInput."""
        told = tick_from(document)
        if told is None:
            return
        state, offset = self.state, self._turn.offset
        time_ms, start_ms = state.clock.on_tick(*told, state.now_ms, at_ms)
        if not start_ms and not state.clock.gap_ms:
            self._pass_deadlines(offset, time_ms)
            state.now_ms = time_ms
            return
        if start_ms:
            state.clock.gap_ms = start_ms
            self._pass_own_times(offset, time_ms)
            gaps.close(self._turn, start_ms, time_ms)
        state.clock.gap_ms, state.now_ms = 0, time_ms
        self._rebuild_timers()
        self._pass_deadlines(offset, time_ms)
        incident_timers.run_due_of_all(self._turn)

    def _pass_own_times(self, offset: int, now_ms: int) -> None:
        """At the end of a gap, handle what has a time of its own, such as the end of a silence.

        What counts time counts anew: its timers are set again by whoever ends the gap.
        """
        timers = self.state.timers
        while timers and timers[0][0] <= now_ms:
            if timers[0][1] in _OWN_TIMES:
                self._pass_one(offset, now_ms)
            else:
                heappop(timers)
        self._turn.late_ms = 0
        self._turn.messages.clear()

    def _on_policy(self, document: dict[str, Any]) -> None:
        if text_of(document, "policy") == self.policy.fingerprint:
            expectations.announce(self._turn)
            return
        try:
            policy = compile_policy(orjson.dumps(document.get("document") or {}), kept=False)
        except (ValueError, orjson.JSONEncodeError) as error:  # the latter: too deep
            raise BadInput(Reason.MALFORMED, f"the policy is not valid: {error!s:.4000}") from None
        before, self.policy, self._turn.rules = self.policy, policy, policy
        self._policy_dirty = True
        identity.index_all(self._turn)
        adopt_policy(self._turn, before)
        expectations.announce(self._turn)
        self._set_timers()

    def _pass_deadlines(self, offset: int, now_ms: int) -> None:
        """Handle each deadline up to `now_ms` at its own time, in the order of time, kind and name."""
        state, turn = self.state, self._turn
        turn.begin(offset)
        while state.timers and state.timers[0][0] <= now_ms:
            self._pass_one(offset, now_ms)
        turn.late_ms = 0

    def _pass_one(self, offset: int, now_ms: int) -> None:
        state, turn = self.state, self._turn
        deadline = DueTimer(*heappop(state.timers))
        state.now_ms = max(state.now_ms, deadline.at_ms)
        turn.late_ms = now_ms - deadline.at_ms
        try:
            self._on_deadline(offset, deadline)
        except MemoryError:
            raise  # as for a record
        except Exception as error:
            self._raised = True
            raise Poison(offset, state.now_ms, deadline, error) from error

    def _on_deadline(self, offset: int, deadline: DueTimer) -> None:
        state = self.state
        poison = self._faults.of_deadline(offset, state.now_ms, deadline)
        if poison is not None:
            quarantine(self._turn, poison)
            state.schedule(*_restored_timers(state, deadline.kind, deadline.subject))
        elif deadline.kind == TimerKind.QUARANTINE:
            kind, subject = orjson.loads(deadline.subject)
            state.quarantine(TimerKind(kind), subject, 0)
            self._rebuild_timers()  # those that were passed over are set again, as after a restart
        elif (deadline.kind, deadline.subject) not in state.quarantined:
            _ON_TIMER[deadline.kind](self._turn, deadline.at_ms, deadline.subject)
            if deadline.kind == TimerKind.SNAPSHOT:
                return  # it has changed nothing
        # Timers of one instant are one step.
        self._finish(goes_on=bool(state.timers) and state.timers[0][0] <= state.now_ms)

    def _rebuild_timers(self) -> None:
        """Drop the timers that have lost their reason, so that flapping alerts and changing hold times fill no memory."""
        self.state.timers.clear()
        for alert in self.state.alerts.values():
            alert.timer_ms = 0
        for incident in self.state.incidents.values():
            incident.timer_ms = 0
        self._set_timers()
        self._timers_max = SPARE_TIMERS + 2 * len(self.state.timers)

    def _set_timers(self) -> None:
        """Set every timer that the state calls for: after a restart, and after a policy change.

        What fires of the timers set before is ignored where its reason has gone.
        """
        turn, state = self._turn, self.state
        for alert in state.alerts.values():
            if alert.firing and alert.heartbeat:
                heartbeats.watch_heartbeat(turn, alert)
            elif alert.firing and alert.follows:
                unheard.watch_expiry(turn, alert)
            elif alert.firing:
                unheard.watch_expiry(turn, alert)
                escalation.watch_lasting(turn, alert)
                suppression.watch_alert_wait(turn, alert)
            elif alert.retain_until_ms:
                state.schedule(alert.retain_until_ms, TimerKind.RETENTION, alert.fingerprint)
        for incident in state.incidents.values():
            incident_timers.watch_incident(turn, incident)
        for (rule, group), window in state.windows.items():
            windows.watch_window(turn, rule, group, window)
        for (rule_id, group), fired in state.deferred_signals.items():
            deferred_signals.watch_deferred(turn, rule_id, group, fired)
        for (rule, group), link in state.inhibition_groups.items():
            inhibition.watch_grace(turn, rule, group, link)
        for silence in state.silences.values():
            silences.watch_silence(turn, silence)
        for (receiver, channel), known in state.receivers.items():
            digests.watch_receiver(turn, receiver, channel, known)
        for task in state.tasks.values():
            followups.watch_task(turn, task)
        for expected in state.expected.values():
            expectations.watch_expected(turn, expected)
        for kind, subject in state.quarantined:
            state.schedule(*_restored_timers(state, kind, subject))


def _restored_timers(state: PartitionState, kind: TimerKind, subject: str) -> DueTimer:
    """When deadlines that are passed over are tried again."""
    return DueTimer(
        state.quarantined[kind, subject],
        TimerKind.QUARANTINE,
        orjson.dumps([kind, subject]).decode(),
    )
