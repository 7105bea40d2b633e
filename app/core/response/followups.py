"""What a closed incident leaves to do: follow-up tasks with due times and reminders.

Source: PROCEDURES, "Post-Incident Procedures". An incident that nobody was told of leaves nothing,
nor one that another explained.
"""

from app.core.notification import recipients
from app.core.state.state import Incident
from app.core.state.tasks import Task
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from models.effect import Stream
from models.events import NextStep, NotificationKind
from models.policy.time_interval import NEVER_MS, next_ms
from models.reason import BadInput, Reason
from models.text.duration import format_ms
from models.text.instant import format_instant

REMINDER_GRID = 4  # instants of reminders within what a task has, or within `remind` if it is less
REMINDERS_MAX = 5  # before it is due, when it is due, and three times more


def on_closed(turn: Turn, incident: Incident) -> None:
    """Leave the tasks that the policy names for incidents like this one."""
    near = incident.near.roots if incident.near else ()
    if not incident.notified_ms or any(parent not in near for parent in incident.parents):
        return
    for rule in turn.rules.policy.followups:
        answered = rule.until == "root_cause" and incident.root_cause
        if answered or not rule.covers(incident.severity, incident.incident_class):
            continue
        if len(turn.state.tasks) >= turn.rules.policy.bounds.tasks:
            number = len(turn.state.tasks)
            text = f"{rule.title}: not created. There are {number} tasks, the limit (bounds.tasks)."
            turn.refuse("tasks", text, incident)
            continue
        task = Task(
            id=f"{incident.id}.{rule.name}",
            incident=incident.id,
            name=rule.name,
            title=f"{rule.title}: {incident.title}",
            steps=list(rule.steps),
            owner=incident.owner,
            severity=incident.severity,
            made_ms=turn.now_ms,
            due_ms=incident.resolved_ms + rule.due,
            remind_ms=rule.remind,
        )
        _pass_reminders(turn, task)
        _keep_task(turn, task)
        _notify_task_owner(
            turn, task, "TaskMade", f"{task.title}. Due {format_instant(task.due_ms)}."
        )
        if rule.until == "root_cause":
            recipients.on_task(
                turn,
                task,
                NotificationKind.CAUSE_WANTED,
                "The incident is over. What was the root cause?",
                _describe_task_command(task),
            )


def watch_task(turn: Turn, task: Task) -> None:
    """Set the timer of the next reminder, or of when the task lapses."""
    turn.state.schedule(_reminder_ms(turn, task), TimerKind.TASK, task.id)


def on_reminder(turn: Turn, at_ms: int, subject: str) -> None:
    """Remind the owner, or give the task up.

    What nobody does in spite of all reminders is not remembered for ever.
    """
    task = turn.state.tasks.get(subject)
    if task is None or _reminder_ms(turn, task) != at_ms:
        return
    if task.reminded >= REMINDERS_MAX:
        turn.state.drop_task(task)
        turn.emit(Stream.FOLLOWUPS, task.id, "Task", _task_snapshot(task, "lapsed"))
        _notify_task_owner(turn, task, "TaskLapsed", f"Not done: {task.title}")
        return
    task.reminded += 1
    _pass_reminders(turn, task)  # what was due outside of the team's hours is told once
    text = _describe_due(task.due_ms - turn.now_ms)
    _keep_task(turn, task)
    _notify_task_owner(turn, task, "TaskReminded", f"{task.title}: {text}")
    recipients.on_task(
        turn, task, NotificationKind.TASK_REMINDER, text, _describe_task_command(task)
    )


def on_done(turn: Turn, incident: str, name: str, by: str, text: str) -> None:
    """Somebody did a task. Raises BadInput when there is none of that name."""
    task = turn.state.tasks.get(f"{incident}.{name}")
    if task is None:
        known = [item.name for item in turn.state.tasks.values() if item.incident == incident]
        message = f"{incident} has no open task {name!r}, must be one of: {', '.join(sorted(known)) or 'none'}"
        raise BadInput(Reason.UNKNOWN_TASK, message)
    turn.state.drop_task(task)
    turn.emit(
        Stream.FOLLOWUPS,
        task.id,
        "Task",
        _task_snapshot(task, "done", by, format_instant(turn.now_ms)),
    )
    _notify_task_owner(
        turn, task, "TaskDone", f"{by} finished {name}{': ' if text else ''}{text}", by=by
    )


def on_cause(turn: Turn, incident: str, by: str, text: str) -> bool:
    """The root cause of a closed incident was found: whether that did a task."""
    names = [rule.name for rule in turn.rules.policy.followups if rule.until == "root_cause"]
    done = [name for name in names if f"{incident}.{name}" in turn.state.tasks]
    for name in done:
        on_done(turn, incident, name, by, text)
    return bool(done)


def _pass_reminders(turn: Turn, task: Task) -> None:
    """Leave out the reminders whose time is over."""
    while task.reminded < REMINDERS_MAX and _reminder_ms(turn, task) <= turn.now_ms:
        task.reminded += 1


def _reminder_ms(turn: Turn, task: Task) -> int:
    """When it is next reminded of: at the same instants as others, so that a team gets one message.

    These are a quarter of the time that it has apart, or of the distance of its reminders: what is
    due within an hour must not be reminded of in the evening. What is due outside of the team's
    hours is reminded of when they begin.
    """
    grid_ms = max(1, min(task.remind_ms, task.due_ms - task.made_ms) // REMINDER_GRID)
    at_ms = task.due_ms + (task.reminded - 1) * task.remind_ms
    at_ms = -(-at_ms // grid_ms) * grid_ms
    hours = turn.rules.team_hours(turn.rules.owner_known(task.owner))
    in_hours_ms = at_ms if hours is None else next_ms(hours, at_ms, to=True)
    return at_ms if in_hours_ms == NEVER_MS else in_hours_ms


def _keep_task(turn: Turn, task: Task) -> None:
    turn.state.put_task(task)
    turn.emit(Stream.FOLLOWUPS, task.id, "Task", _task_snapshot(task, "open"))
    watch_task(turn, task)


def _notify_task_owner(turn: Turn, task: Task, kind: str, text: str, **details: str) -> None:
    body = {
        "incident": task.incident,
        "component": "",
        "scope": "",
        "text": text,
        "task": task.name,
        **details,
    }
    turn.emit(Stream.TIMELINE, task.incident, kind, body)


def _describe_due(left_ms: int) -> str:
    if left_ms > 0:
        return f"due in {format_ms(left_ms)}"
    return f"{format_ms(-left_ms)} overdue" if left_ms else "due now"


def _describe_task_command(task: Task) -> NextStep:
    return NextStep(f"{task.steps[0]}. Then" if task.steps else "", f"tocsin done {task.id} TEXT")


def _task_snapshot(
    task: Task, state: str, done_by: str = "", done_at: str | None = None
) -> dict[str, object]:
    return {
        "task": task.id,
        "incident": task.incident,
        "name": task.name,
        "title": task.title,
        "steps": task.steps,
        "owner": task.owner,
        "severity": task.severity,
        "made_at": format_instant(task.made_ms),
        "due_at": format_instant(task.due_ms),
        "state": state,
        "done_at": done_at,
        "done_by": done_by,
        "reminded": task.reminded,
    }
