"""What a timer stands for: which incident, alert or silence waits for it, and since when."""

from typing import NamedTuple

from app.core import incident_timers
from app.core.engine import Engine
from app.core.incidents import ownership, resolution
from app.core.notification import flapping, mute_times
from app.core.response import service_levels
from app.core.state import deadline
from app.core.state.poison import DueTimer
from app.core.state.state import Incident
from app.core.state.timer_kind import TimerKind
from app.core.suppression import silences

# What is due whether or not somebody may be notified then.
_NEVER_WAITING = (
    service_levels.NEAR,
    service_levels.OVER,
    flapping.STABLE,
    ownership.STABLE,
    resolution.CLOSE,
)


class Timer(NamedTuple):
    """What a timer stood for when it fired, as the state of then says."""

    at_ms: int
    kind: (
        TimerKind | str
    )  # the timer's kind, or what the incident waited for (`app.core.state.deadline.Deadline.kind`)
    owner: str  # an alert, an incident, a rule and group, a silence, a task
    detail: str = ""  # which clock, which rule
    since_ms: int = 0  # since when it ran; 0 is not known
    cause: str = ""  # the position of the record that made the alert fire, or opened the incident
    of_incident: bool = False  # `owner` is an incident
    quiet: tuple[str, ...] = ()  # what let nobody be told until then: mute rules, the owner's hours


def timers_at(engine: Engine, timer: DueTimer) -> list[Timer]:
    """What a timer stands for.

    Of an incident's: everything that is due at that time, the first first; so of a silence's.
    """
    state, at_ms, label, owner = engine.state, *timer
    if label == TimerKind.INCIDENT:
        incident = state.incidents.get(owner)
        due = waits(engine, incident, at_ms) if incident is not None else []
        return due or [Timer(at_ms, label, owner)]
    rule, _, name = owner.partition(" ") if label == TimerKind.LASTING else ("", "", owner)
    alert = state.alerts.get(name.encode())
    if alert is not None:
        since_ms = (
            alert.notifiable_since_ms
            if rule or label == TimerKind.CORRELATION_WAIT
            else alert.last_ms
        )
        return [
            Timer(
                at_ms,
                label,
                alert.name,
                rule or alert.heartbeat,
                since_ms,
                f"{engine.partition}-{alert.fired_offset}",
            )
        ]
    pair = tuple(owner.split("\n", 1))
    if label == TimerKind.GRACE and pair in state.inhibition_groups:
        return [Timer(at_ms, label, pair[1], pair[0], state.inhibition_groups[pair].ended_ms)]
    if label == TimerKind.DIGEST and pair in state.receivers:
        digest = engine.policy.policy.notify.digest
        return [Timer(at_ms, label, pair[0], pair[1], at_ms - (digest.within if digest else 0))]
    if label == TimerKind.TASK and owner in state.tasks:
        return [Timer(at_ms, label, owner, state.tasks[owner].name, state.tasks[owner].made_ms)]
    if label == TimerKind.SILENCE:
        over, begun = silences.silences_changing(state, at_ms)  # all at once
        return [
            Timer(at_ms, label, silence.id, silence.by, silence.starts_ms)
            for silence in (*over, *begun)
        ] or [Timer(*timer)]
    return [Timer(at_ms, label, owner)]


def _kept(engine: Engine, incident: Incident, due: deadline.Deadline) -> tuple[str, ...]:
    """What let nobody be told of an incident just before something was due that waits for such times to end."""
    if due.kind in _NEVER_WAITING or due.at_ms <= due.since_ms:
        return ()
    return tuple(mute_times.reasons_to_wait(engine.turn, incident, due.at_ms - 1))


def waits(engine: Engine, incident: Incident, until_ms: int) -> list[Timer]:
    """What an incident waits for, as far as it is due by then, the next first."""
    due = [
        item
        for item in incident_timers.all_deadlines(engine.turn, incident)
        if item.at_ms <= until_ms
    ]
    return [
        Timer(
            item.at_ms,
            item.kind,
            incident.id,
            item.detail,
            item.since_ms,
            incident.opened_by,
            of_incident=True,
            quiet=_kept(engine, incident, item),
        )
        for item in due
    ]
