"""Response time targets: an incident's clocks run from its first message, or from when it became so severe, and never pause.

A clock moves to an earlier target only.

Source: PROCEDURES, "Response Time Targets". A clock is warned of when most of its time is gone,
then breached, or met. The timeline has all of it. Nobody is notified of a target that is near for a
P2 or P3, nor of the time to acknowledge while escalation is still to come.
"""

from collections.abc import Iterator

from app.core.notification import recipients
from app.core.response import escalation
from app.core.state.deadline import Deadline
from app.core.state.incident_now import CLOCKS, begin_clocks, clock_start
from app.core.state.state import Incident
from app.core.state.turn import Turn
from models.events import NotificationKind
from models.policy.types import DurationBySeverity
from models.text.duration import format_ms

NEAR, OVER = "warn_at", "target"  # what the deadlines of a clock are called
WARNED, BREACHED, MET = "warned", "breached", "met"
ACKNOWLEDGE, RESOLVE = "acknowledge", "resolve"
# What `deadlines` reads of an incident.
DEADLINE_FIELDS = (
    *("ended", "notified_ms", "suppressed", "parents", "reopened_unexplained", "clocks"),
    *("clock_since_ms",),
    *("clock_severity", "severity", "severity_ms"),
)


def deadlines(turn: Turn, incident: Incident) -> Iterator[Deadline]:
    """When a clock that runs is warned of, or breached."""
    if incident.ended or not incident.notified_ms:
        return  # nobody was notified whom a target could bind
    if incident.suppressed and incident.parents and not incident.reopened_unexplained:
        return  # what is a member of another incident is that one's to respond to
    for clock in CLOCKS:
        since_ms, severity = clock_start(incident, clock)
        time_ms = _target_times(turn, clock).get(severity)
        state = incident.clocks.get(clock, "")
        if time_ms is None or state in (BREACHED, MET):
            continue
        if not state:
            near_ms = since_ms + int(time_ms * turn.rules.policy.targets.warn_at)
            yield Deadline(near_ms, _on_near, clock, NEAR, since_ms)
        else:
            yield Deadline(since_ms + time_ms, _on_missed, clock, OVER, since_ms)


def _on_near(turn: Turn, incident: Incident, clock: str) -> None:
    incident.clocks[clock] = WARNED
    since_ms, severity = clock_start(incident, clock)
    left_ms = since_ms + _target_times(turn, clock)[severity] - turn.now_ms
    text = f"{format_ms(left_ms)} left to {clock} it ({severity} target)"
    turn.timeline(incident, "ClockWarned", text, clock=clock)
    if incident.severity.is_urgent and not _is_told_by_escalation(turn, incident, clock):
        recipients.on_clock(turn, incident, NotificationKind.CLOCK_WARNED, text)
    escalation.on_clock_warned(turn, incident, clock, text)
    turn.changed(incident)


def _on_missed(turn: Turn, incident: Incident, clock: str) -> None:
    incident.clocks[clock] = BREACHED
    _, severity = clock_start(incident, clock)
    target = format_ms(_target_times(turn, clock)[severity])
    text = f"Not {clock}d within {target} ({severity} target)"
    turn.timeline(incident, "ClockBreached", text, clock=clock)
    turn.count(f"breached.{clock}")
    if not _is_told_by_escalation(turn, incident, clock):
        recipients.on_clock(turn, incident, NotificationKind.CLOCK_BREACHED, text)
    turn.changed(incident)


def _is_told_by_escalation(turn: Turn, incident: Incident, clock: str) -> bool:
    """Whether the next of the chain is called if nobody acknowledges it: that is the reminder."""
    return clock == ACKNOWLEDGE and escalation.next_wait_ms(turn, incident) is not None


def on_done(turn: Turn, incident: Incident, clock: str) -> None:
    """It was acknowledged, or resolved: a clock that is not breached is met."""
    since_ms, severity = clock_start(incident, clock)
    time_ms = _target_times(turn, clock).get(severity)
    if time_ms is not None and incident.clocks.get(clock) not in (BREACHED, MET):
        incident.clocks[clock] = MET
        took, target = format_ms(turn.now_ms - since_ms), format_ms(time_ms)
        turn.timeline(
            incident,
            "ClockMet",
            f"{clock.capitalize()}d within {took}. Target: {target}.",
            clock=clock,
        )


def on_undone(incident: Incident, clock: str) -> None:
    """It is not resolved after all: the clock has gone on."""
    if incident.clocks.get(clock) == MET:
        del incident.clocks[clock]


def on_severity(turn: Turn, incident: Incident) -> None:
    """It became more severe: clocks that run begin anew where the new target comes earlier."""
    if not incident.notified_ms:
        begin_clocks(incident, turn.now_ms)  # they begin anew with the first message
        return
    for clock in CLOCKS:
        since_ms, severity = clock_start(incident, clock)
        before_ms, after_ms = (
            _target_times(turn, clock).get(item) for item in (severity, incident.severity)
        )
        if after_ms is None or (
            before_ms is not None and turn.now_ms + after_ms >= since_ms + before_ms
        ):
            continue
        incident.clock_since_ms[clock] = turn.now_ms
        incident.clock_severity[clock] = str(incident.severity)
        if incident.clocks.get(clock) == WARNED:
            del incident.clocks[clock]


def _target_times(turn: Turn, clock: str) -> DurationBySeverity:
    targets = turn.rules.policy.targets
    return targets.acknowledge if clock == ACKNOWLEDGE else targets.resolve
