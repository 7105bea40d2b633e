"""One bounded view of what the effects topics say now, and how old it is.

The bridge answers from it, and so do the commands that read a journal. Each part reads what is new
when somebody asks for it, on the worker's machine or far from it.
"""

import time

from app.history.alert_view import AlertView
from app.history.checkpoints import last_offset
from app.history.dead_letters import LettersView
from app.history.entries_view import EntriesView
from app.history.incident_alerts import IncidentAlerts
from app.history.incident_view import CLOSED_MAX, IncidentView
from app.history.task_view import TaskView
from app.transport.log import Readable
from models.topics import Topics

FRESH_SECONDS = 1.0  # for so long it is not asked again how far the workers are


class View:
    """The parts, each of one topic."""

    def __init__(
        self, log: Readable, topics: Topics, partitions: int, closed_max: int = CLOSED_MAX
    ) -> None:
        """`closed_max` bounds the closed incidents that are known."""
        self.log, self.topics, self.partitions = log, topics, partitions
        self.incidents = IncidentView(log, topics.incidents, partitions, closed_max)
        self.alerts = AlertView(log, topics.alerts, partitions)
        self.incident_alerts = IncidentAlerts(log, topics.alerts, partitions)
        self.timeline = EntriesView(log, topics.timeline, partitions)
        self.escalations = EntriesView(log, topics.escalations, partitions)
        self.notifications = EntriesView(log, topics.notifications, partitions)
        self.tasks = TaskView(log, topics.followups, partitions)
        self.letters = LettersView(log, topics.deadletter, partitions)
        self._as_of_ms, self._asked = 0, -FRESH_SECONDS

    async def as_of_ms(self) -> int:
        """Everything that the journal took before this time is in the view.

        It is now, or the append time of the oldest record that no worker's checkpoint has applied.
        """
        if time.monotonic() - self._asked >= FRESH_SECONDS:
            self._as_of_ms = await self._oldest_unapplied_ms()
            self._asked = time.monotonic()
        return self._as_of_ms

    async def _oldest_unapplied_ms(self) -> int:
        oldest_ms = self.log.now_ms()
        for partition in range(self.partitions):
            first = await last_offset(self.log, self.topics.state, partition) + 1
            start = await self.log.start_offset(self.topics.journal, partition)
            records = await self.log.read(self.topics.journal, partition, max(first, start), 1)
            if records:
                oldest_ms = min(oldest_ms, records[0].timestamp)
        return oldest_ms
