"""What closed incidents leave to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.text.duration import parse_ms
from tests.oracle import hours, notification
from tests.oracle.facts import Happened

if TYPE_CHECKING:
    from tests.oracle.oracle import Naive


@dataclass(eq=False)
class Task:
    """A task, and what was told of it."""

    id: str
    name: str
    incident: Happened
    due_ms: int
    remind_ms: int
    owner: str
    since_ms: int
    until: str = ""
    reminded: int = 0
    state: str = "open"


def reminder_ms(policy: Mapping[str, Any], task: Task) -> int:
    """It is reminded of before it is due, when it is due, and three times more; then it lapses.

    All at instants that others have too, and while the team is at work.
    """
    at_ms = task.due_ms + (task.reminded - 1) * task.remind_ms
    step_ms = min(task.remind_ms // 4, (task.due_ms - task.since_ms) // 4)
    if step_ms > 0 and at_ms % step_ms:
        at_ms = (at_ms // step_ms + 1) * step_ms
    return hours.at_work(policy, task.owner, at_ms)


def create_followups(naive: "Naive", incident: Happened) -> None:
    """Tasks of an incident that somebody was told of, and that was no part of another.

    What was asked for may be known.
    """
    if any(parent not in incident.near.roots for parent in incident.parents):
        return
    for rule in naive.policy["followups"]:
        about = incident.severity in rule.get("severity", [incident.severity])
        about = about and rule.get("class", incident.kind) == incident.kind
        if not about or (rule.get("until") == "root_cause" and "root_cause" in incident.done):
            continue
        due_ms, until = incident.resolved[0] + parse_ms(rule["due"]), rule.get("until", "")
        parts = (due_ms, parse_ms(rule["remind"]), incident.owner, naive.now_ms, until)
        task = Task(f"{incident.id}.{rule['name']}", rule["name"], incident, *parts)
        _skip_past(naive, task)
        naive.tasks.append(task)
        _timeline_task(naive, task, "open", "TaskMade")
        if until == "root_cause":
            _notify_task(naive, task, "root_cause_wanted")


def remind_or_lapse(naive: "Naive", task: Task) -> None:
    """It is reminded of, or lapses."""
    if task.reminded >= 5:
        _end_task(naive, task, "lapsed", "TaskLapsed")
        return
    task.reminded += 1
    _skip_past(naive, task)
    _timeline_task(naive, task, "open", "TaskReminded")
    _notify_task(naive, task, "task_reminder")


def _skip_past(naive: "Naive", task: Task) -> None:
    """Reminders of a night or of a weekend are one."""
    while task.reminded < 5 and reminder_ms(naive.policy, task) <= naive.now_ms:
        task.reminded += 1


def is_done(naive: "Naive", incident: str, name: str) -> bool:
    """Whether somebody did a task of that name."""
    for task in naive.tasks:
        if task.state == "open" and task.incident.id == incident and task.name == name:
            _end_task(naive, task, "done", "TaskDone")
            return True
    return False


def is_root_cause_open(naive: "Naive", incident: str) -> bool:
    """Whether the root cause of a closed incident was still asked for."""
    names = [
        task.name
        for task in naive.tasks
        if task.incident.id == incident and task.until == "root_cause"
    ]
    return sum(is_done(naive, incident, name) for name in names) > 0


def _end_task(naive: "Naive", task: Task, state: str, kind: str) -> None:
    task.state = state
    _timeline_task(naive, task, state, kind)


def _timeline_task(naive: "Naive", task: Task, state: str, kind: str) -> None:
    naive.reached.add(kind)
    task.incident.tasks.append((task.name, state, task.reminded, naive.now_ms))
    task.incident.timeline.append((kind, naive.now_ms))


def _notify_task(naive: "Naive", task: Task, kind: str) -> None:
    team = naive.policy["teams"][task.owner]["contact"]
    notification.send(naive, task.incident, kind, team, ["email"])
