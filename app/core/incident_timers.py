"""All deadlines of an incident in one place.

What is due is done, and one timer stands for the next.
"""

from app.core.deadline_inputs import deadline_inputs
from app.core.incidents import ownership, resolution
from app.core.notification import flapping, schedule
from app.core.response import escalation, reminders, service_levels
from app.core.state.deadline import Deadline
from app.core.state.snapshot_pace import next_snapshot_ms
from app.core.state.state import Incident
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from app.core.suppression import suppression
from models.policy.time_interval import NEVER_MS

# In this order where several are due at the same time.
_SOURCES = (
    ownership.deadlines,  # first: a new owner is notified, and not the one before
    schedule.deadlines,
    service_levels.deadlines,
    escalation.deadlines,
    reminders.deadlines,
    flapping.deadlines,
    resolution.deadlines,
)


def run_due(turn: Turn) -> None:
    """Do what is due for the incidents that changed in this turn, and set their timers."""
    settled = 0
    while changed := turn.changed_incidents(settled):  # doing one thing may change another incident
        settled += len(changed)
        for incident in changed:
            if incident.id in turn.state.incidents:
                _run_due_of(turn, incident)


def _run_due_of(turn: Turn, incident: Incident) -> None:
    if turn.state.clock.gap_ms:
        return  # what is due now is done when the gap ends, if it is still due
    inputs = deadline_inputs(turn, incident)
    if inputs == incident.deadline_inputs and not 0 < incident.timer_ms <= turn.now_ms:
        return  # the timer stands for the next deadline still
    due, done = next_deadline(turn, incident), set[tuple[object, int, str]]()
    while due is not None and due.at_ms <= turn.now_ms:
        once = (due.handle, due.at_ms, due.detail)
        assert once not in done, f"{incident.id}: {due} was handled, and is due again"
        done.add(once)
        due.handle(turn, incident, due.detail)
        due = next_deadline(turn, incident) if incident.id in turn.state.incidents else None
    _set_timer(turn, incident, due)
    # What was done has changed the inputs. A deadline that never comes may come when time has passed.
    inputs = deadline_inputs(turn, incident) if done else inputs
    incident.deadline_inputs = () if due and due.at_ms >= NEVER_MS else inputs


def run_due_of_all(turn: Turn) -> None:
    """The same for every incident, when the policy has changed."""
    for _, incident in sorted(turn.state.incidents.items()):
        _run_due_of(turn, incident)


def watch_incident(turn: Turn, incident: Incident) -> None:
    """Set the timers of an incident's next deadline, its wait for a rule, and its snapshot."""
    suppression.watch_incident_wait(turn, incident)
    if incident.snapshot_due:
        turn.state.schedule(next_snapshot_ms(incident), TimerKind.SNAPSHOT, incident.id)
    _set_timer(turn, incident, next_deadline(turn, incident))


def _set_timer(turn: Turn, incident: Incident, due: Deadline | None) -> None:
    at_ms = 0 if due is None or due.at_ms >= NEVER_MS else due.at_ms
    if at_ms and incident.timer_ms != at_ms:
        turn.state.schedule(at_ms, TimerKind.INCIDENT, incident.id)
    incident.timer_ms = at_ms


def on_timer(turn: Turn, at_ms: int, subject: str) -> None:
    """A deadline has come. What is due is done at the end of the turn."""
    incident = turn.state.incidents.get(subject)
    if incident is not None and incident.timer_ms == at_ms:
        incident.timer_ms, incident.deadline_inputs = 0, ()
        turn.changed(incident)


def on_snapshot_due(turn: Turn, at_ms: int, subject: str) -> None:
    """An incident has grown, and its last snapshot is a second old."""
    incident = turn.state.incidents.get(subject)
    if incident is not None and incident.snapshot_due and next_snapshot_ms(incident) == at_ms:
        turn.state.put_incident(incident)
        turn.emit_snapshot(incident, incident.snapshot_sum)  # it has only grown


def next_deadline(turn: Turn, incident: Incident) -> Deadline | None:
    """What the incident waits for next, if for anything."""
    earliest: Deadline | None = None
    for source in _SOURCES:
        for deadline in source(turn, incident):
            if earliest is None or deadline.at_ms < earliest.at_ms:
                earliest = deadline
    return earliest


def all_deadlines(turn: Turn, incident: Incident) -> list[Deadline]:
    """Everything that the incident waits for, the next first, in the order in which what is due at one time is done."""
    deadlines = [
        deadline
        for source in _SOURCES
        for deadline in source(turn, incident)
        if deadline.at_ms < NEVER_MS
    ]
    return sorted(deadlines, key=lambda deadline: deadline.at_ms)
