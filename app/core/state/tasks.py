"""What an incident left to do."""

from dataclasses import dataclass

from models.severity import Severity


@dataclass(slots=True)
class Task:
    """Something that an incident left to do."""

    id: str
    incident: str
    name: str
    title: str
    steps: list[str]
    owner: str
    severity: Severity
    made_ms: int
    due_ms: int
    remind_ms: int  # the distance of its reminders
    reminded: int = 0
