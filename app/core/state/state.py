"""A partition's state: what it knows of alerts, incidents, rules, receivers, silences and tasks; and its timers.

Each change marks a key of the changelog as dirty (`app.core.state.changelog`). The indexes (which
incident a component has open, which alerts an incident has, the timers) are derived.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

import orjson

from app.core.state.ended_alerts import EndedAlerts
from app.core.state.engine_clock import EngineClock
from app.core.state.expected_heartbeats import ExpectedHeartbeat
from app.core.state.incident_alerts import add_alert, note_unnamed, put_in_order
from app.core.state.live_alert import (
    CORRELATION_WAIT,
    Ending,
    LiveAlert,
    Suppression,
    bytes_of,
)
from app.core.state.members import Fired, InhibitionGroup, Member
from app.core.state.near_memory import NearMemory
from app.core.state.near_part import NearPart
from app.core.state.ranking import AlertRanking
from app.core.state.receivers import Receiver
from app.core.state.shown_alert import ShownAlert
from app.core.state.tasks import Task
from app.core.state.timer_kind import TimerKind
from models.alert import Labels
from models.incident import State
from models.place import Place
from models.severity import Severity
from models.silence import Silence
from models.text.instant import NEWEST_MS

T = TypeVar("T")

FORMER = b"f/"  # the changelog's key of the shapes that rules had

# When in engine time, of what kind, whose. In this order they sort, so equal times fire in one order.
Timer = tuple[int, TimerKind, str]


@dataclass(slots=True)
class Incident:
    """One incident that is not closed. Times are engine time in ms; 0 is never."""

    id: str
    component: str
    incident_class: str
    state: State
    severity: Severity  # of the worst alert that fires now; of one that is closed, the worst ever
    owner: str
    title: str
    summary: str  # what the alert that gave it its title says
    next_step: str  # what to do first, with the command that ends it
    opened_ms: int
    opened_by: str  # position of the record
    scope: str = ""
    next_command: str = ""  # the command in it
    episode: int = 1  # the part of it that one ring is for
    peak_severity: Severity = Severity.P3  # the worst so far
    peak_title: str = ""  # the title that it had then
    owner_alert: str = (
        ""  # the fingerprint of the alert whose team has it; empty where none decides
    )
    owner_severity: Severity = (
        Severity.P3
    )  # with which that alert, or an operator, gave it the owner
    owner_ms: int = 0  # since when it has this owner, if it had another before
    notified_owner: str = ""  # the owner that was notified last
    # Urgent alerts that ended before a message named them, by fingerprint.
    ended_unnamed: list[str] = field(default_factory=list)
    unacknowledged_since_ms: int = 0  # since when nobody has it who had it before
    acknowledged_ms: int = 0
    acknowledged_by: str = ""
    resolved_ms: int = 0
    resolved_by: str = ""
    closed_ms: int = 0
    step: int = 1  # of the owner's chain; the first is told when the incident opens
    steps_notified: int = 1  # the last step that was ever called
    escalated: list[str] = field(default_factory=list)  # the rules that have escalated it
    reopened: int = 0
    rule: str = ""  # the correlation that opened it, if one did
    members: dict[str, Member] = field(
        default_factory=dict
    )  # alerts of other components that belong to it
    runbook: str = ""  # the name of the runbook
    always: bool = (
        False  # an alert of it always escalates, so nothing but an operator keeps it quiet
    )
    # What people said.
    assignee: str = ""
    mitigated_ms: int = 0
    mitigated_by: str = ""
    root_cause: str = ""
    root_cause_by: str = ""
    assessment: dict[str, str] | None = None  # verdict, scope, by
    eta_ms: int = 0
    complaints: int = 0
    refused: int = 0  # records of alerts past `bounds.alerts_in_incident`
    # Since when, and how often.
    severity_ms: int = 0  # it has this severity: the clocks of its targets count from here
    notifiable_since_ms: int = 0  # it is open and nothing keeps it quiet
    notified_ms: int = 0  # the last message about what belongs to it
    message_ms: int = 0  # the same, later by the gaps since: in these nobody listened
    first_notified_ms: int = 0
    notified_alerts: int = 0  # how many belonged to it then
    notified_severity: Severity = Severity.P3
    fires_anew_ms: int = (
        0  # an urgent alert fires again, and nobody was notified of that yet; 0 is not
    )
    places: list[str] = field(default_factory=list)  # of its urgent alerts that were named
    known_of: bool = False  # as of an alert, of one that a rule opened
    joined: bool = False  # an urgent alert was named since somebody took it
    clock_ms: int = 0  # the clocks of its targets count from here, and from its severity's
    step_since_ms: int = 0  # it is at this step
    last_update_ms: int = 0  # somebody said something, or was told of it for the first time
    reminded_ms: int = 0  # the last reminder, or word
    reminded: int = 0  # times since the last word
    flapping_ms: int = 0  # the last change of a flapping alert; 0 is not flapping
    correlation_wait_ms: int = 0  # how long its first message waits for a rule to explain it
    mutes: list[str] = field(default_factory=list)  # the mute rules that match all its alerts
    deferred_notification: dict[str, str] = field(
        default_factory=dict
    )  # kind and text of the newest message that waits for its hours
    deferred_escalations: dict[str, list[str]] = field(
        default_factory=dict
    )  # rule -> why and by which records it will escalate
    deferred_since_ms: int = 0  # since when either waits
    lost: bool = False  # it ended because its last alert was lost: nobody said that it is over
    reopened_unexplained: bool = (
        False  # it was reopened quietly, by what waits for a rule, and no rule has explained it yet
    )
    undecided_escalations: dict[str, list[str]] = field(
        default_factory=dict
    )  # the same, while something of it waits for a rule
    clock_since_ms: dict[str, int] = field(default_factory=dict)  # target -> when it began
    clock_severity: dict[str, str] = field(default_factory=dict)  # and by which severity
    clocks: dict[str, str] = field(
        default_factory=dict
    )  # target -> warned, breached or met; else it runs
    down: dict[str, int] = field(
        default_factory=dict
    )  # service of an availability target -> alerts that have it down
    suppressions: dict[str, Suppression] = field(
        default_factory=dict
    )  # of a correlated incident; others are held by their alerts
    parents: list[str] = field(default_factory=list)  # incidents that it was a member of
    # Urgent alerts that an acknowledgement is not about, by fingerprint.
    unacknowledged: list[str] = field(default_factory=list)
    suppression_notified: bool = False  # somebody was notified that everything in it is quiet
    notify_anew: bool = False  # it was quiet since the last message: what began then is to be told
    act_keys: list[str] = field(default_factory=list)  # of commands from chats, pagers and links
    muted_by: list[str] = field(
        default_factory=list
    )  # the mute rules, or `hours`, that let nobody be notified when it changed last
    snapshot_ms: int = 0  # when its last snapshot was left
    snapshot_sum: int = 0  # of what people act on, as that snapshot has it
    snapshot_due: bool = False  # it has grown since
    near: NearPart | None = None  # what it knows of incidents near it, once that was asked
    # Derived.
    # By fingerprint, in the order of joining.
    alerts: dict[str, LiveAlert] = field(default_factory=dict)
    firing: int = 0
    firing_by: dict[Severity, int] = field(default_factory=dict)  # severity -> alerts that fire
    unheard: int = 0  # alerts that fire on though nobody says so
    notifiable: int = 0  # alerts that fire and that nothing keeps quiet
    # Alerts that fire and are quiet only until a rule has had the time to hold them.
    awaiting_correlation: int = 0
    # Urgent alerts that fire, that nothing keeps quiet, and that no message has named.
    unnamed: dict[str, bool] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)  # alertname -> alerts
    common_labels: Labels | None = None  # of its alerts; None before the first
    ranking: AlertRanking | None = None  # of its alerts, once they are many
    shown: dict[str, ShownAlert] = field(default_factory=dict)  # alerts that were shown last, a few
    bytes: int = 0  # of its members
    timer_ms: int = 0  # when its timer fires; 0 is none
    # What its deadlines were found from when its timer was set (`app.core.incident_timers`).
    deadline_inputs: tuple[object, ...] = ()

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(self.component, self.scope)

    @property
    def still_firing(self) -> bool:
        """Whether any of its own alerts fires, or of the members that are not its dependants."""
        return self.firing > 0 or any(
            member.firing and member.own for member in self.members.values()
        )

    @property
    def has_unnamed(self) -> bool:
        """Whether something urgent of it fires that no message has named."""
        return bool(self.unnamed) or (bool(self.rule) and self.fires_anew_ms > 0)

    @property
    def alerts_firing(self) -> int:
        """How many of its alerts and members fire."""
        return self.firing + sum(member.firing for member in self.members.values())

    @property
    def ended(self) -> bool:
        """Whether it is resolved or closed."""
        return self.state in (State.RESOLVED, State.CLOSED)

    @property
    def suppressed(self) -> bool:
        """Whether everything that fires in it is kept quiet."""
        return bool(self.suppressions) or (self.firing > 0 and self.notifiable == 0)

    @property
    def awaits_correlation(self) -> bool:
        """Whether it, or an alert of it, is quiet only until a rule has had the time to hold it."""
        return self.awaiting_correlation > 0 or CORRELATION_WAIT in self.suppressions

    @property
    def firing_since(self) -> str:
        """Which time it is that an incident fires which a rule opened.

        What was said of it before is not meant any more.
        """
        return f"{self.opened_by}+{self.reopened}"

    @property
    def size(self) -> int:
        """How many alerts belong to it."""
        return len(self.alerts) + len(self.members)

    @property
    def has_more(self) -> bool:
        """Whether more alerts belong to it than when somebody was notified last."""
        return self.size > self.notified_alerts


class PartitionState:
    """All state of one journal partition, and what of it changed since the last checkpoint."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.clock = EngineClock()
        # By fingerprint in bytes, as it stands in a journal value.
        self.alerts: dict[bytes, LiveAlert] = {}
        self.kin: dict[bytes, tuple[bytes, ...]] = {}  # derived: alerts that lead, by `kin`
        self.followers: dict[str, dict[str, None]] = {}  # derived: by whom they follow
        self.alert_bytes = 0  # of their labels and annotations
        self.ended = EndedAlerts()
        self.incidents: dict[str, Incident] = {}
        self.current: dict[
            tuple[str, str], Incident
        ] = {}  # place's key and class -> the incident that is not closed
        self.windows: dict[
            tuple[str, str], list[Fired]
        ] = {}  # rule and group -> what fired, oldest first
        self.inhibition_groups: dict[
            tuple[str, str], InhibitionGroup
        ] = {}  # rule and group -> sources and targets
        # Receiver and channel -> messages of late.
        self.receivers: dict[tuple[str, str], Receiver] = {}
        self.silences: dict[str, Silence] = {}  # by id, until a while after their end
        self._ahead: dict[str, Silence] | None = (
            None  # those that have not ended; None is not known
        )
        self._ahead_until_ms = 0
        self.silences_ms = (
            0  # when silences began or ended last: all that do so in one millisecond do it at once
        )
        self.tasks: dict[str, Task] = {}  # by id, those that are not done
        self.expected: dict[str, ExpectedHeartbeat] = {}  # by the fingerprint of a missing one
        self.sources: dict[
            tuple[str, int], tuple[int, int]
        ] = {}  # topic and partition -> last offset and number
        # Shape and group -> what rules know that are not in force here, and what fired for such.
        self.parked: dict[tuple[str, str], InhibitionGroup] = {}
        self.deferred_signals: dict[tuple[str, str], list[Fired]] = {}
        self.near = NearMemory()
        self.former_rule_ids: dict[
            str, None
        ] = {}  # shapes of rules that go on here in another shape, the oldest first
        self.quarantined: dict[
            tuple[TimerKind, str], int
        ] = {}  # kind and name of deadlines that are passed over -> until when
        self.timers: list[Timer] = []
        self.dirty: dict[bytes, None] = {}
        self.touched: list[LiveAlert] = []
        # What the record under way changed of alerts, for `tocsin.alerts`: by fingerprint, with how
        # one that does not fire any more ended. Empty between records.
        self.noted: dict[str, Ending | None] = {}

    def expires_ms(self, alert: LiveAlert) -> int:
        """When an alert counts as ended if it is not heard of again.

        While nobody listened it could not be heard of.
        """
        return max(alert.last_ms, self.clock.listening_ms) + alert.ttl_ms

    # Changes. Each marks what it changes for the next checkpoint.

    def put_alert(self, alert: LiveAlert) -> None:
        """Add an alert, or note that more than its counters changed."""
        key = alert.fingerprint.encode()
        replaced = self.alerts.get(key)
        if replaced is not None and replaced is not alert:
            self.alert_bytes -= replaced.bytes
        self.alerts[key] = alert
        self.dirty[b"a/" + key] = None
        self.touch(alert)
        if not alert.bytes:
            self.measure(alert, bytes_of(alert.labels, alert.annotations, alert.generator_url))

    def measure(self, alert: LiveAlert, size: int) -> None:
        """Count an alert's texts, which are new and have so many bytes (`bytes_of`)."""
        self.alert_bytes += size - alert.bytes
        alert.bytes = size

    def touch(self, alert: LiveAlert) -> None:
        """Note that an alert's counters changed."""
        if not alert.touched:
            alert.touched = True
            self.touched.append(alert)

    def drop_alert(self, alert: LiveAlert) -> None:
        """Forget an alert, and those of other senders that follow it."""
        key = alert.fingerprint.encode()
        self.noted[alert.fingerprint] = None
        for follower in self.followers.pop(alert.fingerprint, {}):
            self.drop_alert(self.alerts[follower.encode()])
        if alert.kin:
            others = tuple(name for name in self.kin.pop(alert.kin) if name != key)
            if others:
                self.kin[alert.kin] = others
        del self.alerts[key]
        self.alert_bytes -= alert.bytes
        self.dirty[b"a/" + key] = None
        self.dirty[b"c/" + key] = None

    def note(self, alert: LiveAlert, ending: Ending | None = None) -> None:
        """Note that something of an alert changed which others see.

        Of one that does not fire, that is only how it ended.
        """
        if ending is not None or alert.firing:
            self.noted[alert.fingerprint] = ending

    def put_incident(self, incident: Incident) -> None:
        """Add an incident, or note that it changed."""
        self.incidents[incident.id] = incident
        self.current[incident.place.key, incident.incident_class] = incident
        self.dirty[b"i/" + incident.id.encode()] = None

    def drop_incident(self, incident: Incident) -> None:
        """Forget a closed incident."""
        del self.incidents[incident.id]
        del self.current[incident.place.key, incident.incident_class]
        self.dirty[b"i/" + incident.id.encode()] = None

    def put_window(self, rule: str, group: str, window: list[Fired]) -> None:
        """Keep a window; an empty one is forgotten."""
        self._put(self.windows, b"w/", rule, group, window, keep=bool(window))

    def put_inhibition_group(self, rule: str, group: str, link: InhibitionGroup) -> None:
        """Keep a link; one without sources and targets is forgotten."""
        self._put(
            self.inhibition_groups,
            b"l/",
            rule,
            group,
            link,
            keep=bool(link.sources or link.targets or link.last),
        )

    def put_parked(self, rule_id: str, group: str, link: InhibitionGroup) -> None:
        """Keep what a rule that is not in force here has to know.

        One without sources and targets is forgotten.
        """
        self._put(self.parked, b"d/", rule_id, group, link, keep=bool(link.sources or link.targets))

    def put_deferred_signals(self, rule_id: str, group: str, window: list[Fired]) -> None:
        """Keep what fired for a rule that is not in force here."""
        self._put(self.deferred_signals, b"e/", rule_id, group, window, keep=bool(window))

    def put_former_rule_ids(self, shapes: Iterable[str]) -> None:
        """Keep the shapes of rules that go on here in another shape."""
        self.former_rule_ids = dict.fromkeys(shapes)
        self.dirty[FORMER] = None

    def put_receiver(self, receiver: str, channel: str, known: Receiver) -> None:
        """Keep what is known of a receiver; one that was sent nothing of late is forgotten."""
        self._put(
            self.receivers,
            b"r/",
            receiver,
            channel,
            known,
            keep=bool(known.sent_ms or known.digest_ms),
        )

    def silences_ahead(self, now_ms: int) -> dict[str, Silence]:
        """The silences that have not ended.

        Those that have are many more, and need not be asked about each new alert.
        """
        if self._ahead is None or now_ms >= self._ahead_until_ms:
            self._ahead = {
                name: silence for name, silence in self.silences.items() if silence.ends_ms > now_ms
            }
            self._ahead_until_ms = min(
                (silence.ends_ms for silence in self._ahead.values()), default=NEWEST_MS
            )
        return self._ahead

    def put_silence(self, silence: Silence) -> None:
        """Keep a silence."""
        self._ahead = None
        self.silences[silence.id] = silence
        self.dirty[b"z/" + silence.id.encode()] = None

    def drop_silence(self, silence: Silence) -> None:
        """Forget a silence that has ended."""
        self._ahead = None
        del self.silences[silence.id]
        self.dirty[b"z/" + silence.id.encode()] = None

    def put_task(self, task: Task) -> None:
        """Keep a task."""
        self.tasks[task.id] = task
        self.dirty[b"t/" + task.id.encode()] = None

    def drop_task(self, task: Task) -> None:
        """Forget a task that is done."""
        del self.tasks[task.id]
        self.dirty[b"t/" + task.id.encode()] = None

    def _put(
        self,
        things: dict[tuple[str, str], T],
        kind: bytes,
        first: str,
        second: str,
        value: T,
        *,
        keep: bool,
    ) -> None:
        if keep:
            things[first, second] = value
        else:
            things.pop((first, second), None)
        self.dirty[kind + orjson.dumps([first, second])] = None

    def is_new(self, topic: str, partition: int, offset: int, number: int) -> bool:
        """Whether a source position is past the last one seen of that partition.

        If so it is the last one now.
        """
        last = self.sources.get((topic, partition))
        if last is not None and (offset, number) <= last:
            return False
        self.sources[topic, partition] = (offset, number)
        self.dirty[_source_key(topic, partition)] = None
        return True

    def quarantine(self, kind: TimerKind, subject: str, until_ms: int) -> None:
        """Skip the timers of this kind and name until then; 0 for no more."""
        if until_ms:
            self.quarantined[kind, subject] = until_ms
        else:
            self.quarantined.pop((kind, subject), None)
        self.dirty[b"x/" + orjson.dumps([kind, subject])] = None

    # The indexes of an incident's alerts: what belongs to it, what of it fires, what of that is
    # loud.

    def join(self, incident: Incident, alert: LiveAlert, offset: int) -> None:
        """Make a firing alert part of an incident."""
        if alert.incident != incident.id:
            alert.incident, alert.joined, alert.retain_until_ms = incident.id, offset, 0
            last = next(reversed(incident.alerts.values()), None)
            add_alert(incident, alert)
            if last is not None and last.joined == offset:
                put_in_order(incident)
        incident.firing += 1
        incident.firing_by[alert.severity] = incident.firing_by.get(alert.severity, 0) + 1
        incident.notifiable += not alert.suppressions
        incident.awaiting_correlation += alert.awaits_correlation
        note_unnamed(incident, alert)
        if incident.ranking is not None:
            incident.ranking.put(alert)

    def leave(self, incident: Incident, alert: LiveAlert) -> None:
        """An alert of the incident does not fire any more."""
        incident.firing -= 1
        incident.firing_by[alert.severity] -= 1
        incident.unheard -= alert.unheard_ms > 0
        incident.notifiable -= not alert.suppressions
        incident.awaiting_correlation -= alert.awaits_correlation
        alert.suppressions, alert.unheard_ms = None, 0
        incident.unnamed.pop(alert.fingerprint, None)
        if incident.ranking is not None:
            incident.ranking.put(alert)

    def note_unheard(self, alert: LiveAlert, at_ms: int) -> None:
        """An alert of an incident fires on though nobody says so, or (0) is heard of again."""
        incident = self.incidents[alert.incident]
        incident.unheard += (at_ms > 0) - (alert.unheard_ms > 0)
        alert.unheard_ms = at_ms
        self.note(alert)
        alert.renew(alert.ttl_ms, alert.starts_ms)
        self.put_alert(alert)

    def set_suppression(self, alert: LiveAlert, key: str, hold: Suppression | None) -> None:
        """Keep a firing alert quiet for one more reason, or (None) for one reason less.

        With a reason it waits no more.
        """
        incident = self.incidents[alert.incident]
        was_notifiable, waited, holds = (
            not alert.suppressions,
            alert.awaits_correlation,
            alert.suppressions or {},
        )
        if hold is None:
            holds.pop(key, None)
        else:
            holds.pop(CORRELATION_WAIT, None)
            holds[key] = hold
        alert.suppressions = holds or None
        incident.notifiable += (not holds) - was_notifiable
        incident.awaiting_correlation += alert.awaits_correlation - waited
        note_unnamed(incident, alert)
        self.put_alert(alert)

    def schedule(self, at_ms: int, kind: TimerKind, subject: str) -> None:
        """Set a timer.

        Timers are never cancelled: one that has lost its reason is ignored when it fires.
        """
        heapq.heappush(self.timers, (at_ms, kind, subject))


@lru_cache(maxsize=1024)  # asked at each repeat that has a source
def _source_key(topic: str, partition: int) -> bytes:
    return f"s/{topic}/{partition}".encode()
