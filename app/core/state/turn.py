"""One record's turn: what the decisions may use, and the effects that they leave.

A turn knows the partition's state, the rulebook, the engine's time and the record that is being
applied. `emit` gives each effect its id; what is due for the incidents that changed, and their
snapshots, follow at the end of the turn.
"""

from itertools import islice
from typing import Any

from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.live_alert import LiveAlert
from app.core.state.snapshot import incident_snapshot
from app.core.state.snapshot_pace import NO_SUM, checksum, next_snapshot_ms
from app.core.state.state import Incident, PartitionState
from app.core.state.timer_kind import TimerKind
from models.alert import Labels
from models.effect import Effect, Position, Stream, encode_effect
from models.events import NotificationKind
from models.reason import Reason
from models.text.instant import format_instant

COUNTS_MAX = 1000  # names of counts; the rest is "other"
Place = tuple[list[Effect], int]  # a list of effects, and the number of one of them
LATE_MS = 10_000  # a deadline that is told later than this was missed by a worker that was down, and says so


class Turn:
    """The context of one record, reused for the next."""

    def __init__(self, partition: int, state: PartitionState, rules: CompiledPolicy) -> None:
        self.partition = partition
        self.state = state
        self.rules = rules
        self.effects: list[Effect] = []
        self.counts: dict[str, int] = {}
        self.offset = -1
        self.part: int | None = None  # of a record of several alerts; as `Poison.part`
        self.late_ms = 0  # by how much the deadline that is being handled was missed
        self.command = ""  # the operator's command that is being carried out
        # The newest key of `app.core.alerts.identity`, and what it was made of.
        self.kin: tuple[CompiledPolicy, Labels | None, bytes] = rules, None, b""
        self._number = 0
        self._opened = 0
        self._changed: dict[str, Incident] = {}
        self.bounds_met: dict[str, str] = {}  # bounds that are near or reached, and which of both
        # Messages of this step by incident and address: where they stand, kind, body.
        self.messages: dict[tuple[str, ...], tuple[Place, NotificationKind, dict[str, Any]]] = {}
        self._doubtful: dict[str, LiveAlert] = {}
        self.unshown: dict[str, bool] = {}  # alerts and incidents that roots' rules have to hear of

    @property
    def now_ms(self) -> int:
        """Engine time: the newest record's, or the deadline's that is being handled."""
        return self.state.now_ms

    @property
    def position(self) -> str:
        """The position of the record, as it stands in effects."""
        return f"{self.partition}-{self.offset}"

    def begin(self, offset: int) -> None:
        """Start the turn of the record at this offset."""
        if offset != self.offset:
            self.offset, self._number, self._opened = offset, 0, 0

    def count(self, name: str) -> None:
        """Count something.

        Counts only grow. Names are ours and the policy's; the policies of all times have a bound
        too.
        """
        if name not in self.counts and len(self.counts) >= COUNTS_MAX:
            name = "other"
        self.counts[name] = self.counts.get(name, 0) + 1

    def refuse(self, name: str, text: str, incident: Incident | None = None) -> None:
        """Count what has no room, and tell it in the incident's timeline.

        It is never passed over silently.
        """
        self.count(f"refused.{name}")
        if incident is not None:
            self.timeline(incident, "Refused", text, reason=Reason.BOUND_REACHED, what=name)

    def opened(self) -> int:
        """How many incidents this record has opened before."""
        self._opened += 1
        return self._opened - 1

    def changed(self, incident: Incident, *, at_once: bool = False) -> None:
        """Note a change, for the changelog and for a snapshot.

        It goes out `at_once`, or when `app.core.state.snapshot_pace` says.
        """
        if at_once:
            incident.snapshot_sum = NO_SUM
        if incident.id in self.state.incidents:
            self.state.put_incident(incident)
        self._changed[incident.id] = incident

    def emit(self, stream: Stream, key: str | None, kind: str, body: dict[str, Any]) -> None:
        """Leave an effect."""
        position = Position(self.offset, self._number)
        self._number += 1
        if self.command and stream is Stream.TIMELINE:
            body = body | {"command": self.command}  # whoever sent it recognises its answer by this
        encoded = None if key is None else key.encode()
        value = self._encode(stream, position.number, kind, body)
        self.effects.append(Effect(stream, encoded, value, position))

    def _encode(self, stream: Stream, number: int, kind: str, body: dict[str, Any]) -> bytes:
        document = {
            "id": f"{self.partition}-{self.offset}-{number}",
            "kind": kind,
            "at": format_instant(self.now_ms),
            "policy": self.rules.fingerprint,
            **body,
        }
        return encode_effect(stream, document)

    def next_place(self) -> Place:
        """Where the next effect will stand."""
        return self.effects, len(self.effects)

    def amend(self, place: Place, kind: str, body: dict[str, Any]) -> None:
        """Put another body into an effect of this step, which keeps its place."""
        effects, index = place
        effect = effects[index]
        value = self._encode(effect.stream, effect.position.number, kind, body)
        effects[index] = effect._replace(value=value)

    def amend_sent(self, place: Place, key: str, value: bytes) -> None:
        """Put another message to an actor in the place of one that this step has left."""
        effects, index = place
        effects[index] = effects[index]._replace(key=key.encode(), value=value)

    def drop(self, stream: Stream, key: str) -> None:
        """Leave a tombstone: the topic forgets the key."""
        position = Position(self.offset, self._number)
        self._number += 1
        self.effects.append(Effect(stream, key.encode(), b"", position))

    def send(self, key: str, value: bytes) -> None:
        """Leave a message to another actor, through the journal."""
        self.effects.append(
            Effect(Stream.JOURNAL, key.encode(), value, Position(self.offset, self._number))
        )
        self._number += 1

    def timeline(self, incident: Incident, kind: str, text: str, **details: Any) -> None:
        """Leave an entry in the incident's timeline."""
        late = {"late_ms": self.late_ms} if self.late_ms > LATE_MS else {}
        body = {
            "incident": incident.id,
            "component": incident.component,
            "scope": incident.scope,
            "text": text,
            **details,
            **late,
        }
        self.emit(Stream.TIMELINE, incident.id, kind, body)

    def doubt(self, alert: LiveAlert) -> None:
        """Note that somebody may know of an urgent alert from now on, or does not any more."""
        if alert.severity.is_urgent:
            self._doubtful[alert.fingerprint] = alert

    def doubtful(self) -> list[LiveAlert]:
        """What `doubt` has noted, by fingerprint, which is forgotten then."""
        alerts = [alert for _, alert in sorted(self._doubtful.items())]
        self._doubtful.clear()
        return alerts

    def changed_incidents(self, start: int) -> list[Incident]:
        """What `changed` has noted since the last end, in that order, from the given number on."""
        return list(islice(self._changed.values(), start, None))

    def end(self, *, goes_on: bool = False) -> None:
        """Leave the snapshots, or a timer for one that may wait.

        What comes next is another message, unless the step goes on.
        """
        if not goes_on:
            self.messages.clear()
        for incident in self._changed.values():
            self._show(incident)
        self._changed.clear()

    def _show(self, incident: Incident) -> None:
        acted_on, may_go_ms = checksum(incident), next_snapshot_ms(incident)
        waits = acted_on == incident.snapshot_sum and self.now_ms < may_go_ms
        if not waits:
            self.emit_snapshot(incident, acted_on)
        elif not incident.snapshot_due:
            incident.snapshot_due = True
            self.state.schedule(may_go_ms, TimerKind.SNAPSHOT, incident.id)

    def emit_snapshot(self, incident: Incident, acted_on: int) -> None:
        """Leave the incident's snapshot; the next that tells only growth is a second away."""
        incident.snapshot_ms, incident.snapshot_sum = self.now_ms, acted_on
        incident.snapshot_due = False
        body = incident_snapshot(self.rules, incident)
        self.emit(Stream.INCIDENTS, incident.id, "Incident", body)
