"""The follow-up tasks of incidents, bounded: what is new is read when somebody asks."""

from typing import Any

import orjson

from app.history.topic_reader import TopicReader, Turnstile
from app.transport.log import Readable

DONE_MAX = 10_000  # tasks that are not open, those that changed last

Document = dict[str, Any]


class TaskView:
    """The newest snapshot of each task. All that are open are known."""

    def __init__(self, log: Readable, topic: str, partitions: int) -> None:
        self._reader, self._turnstile = TopicReader(log, topic, partitions), Turnstile()
        self._partitions = partitions
        self._open: dict[str, Document] = {}
        self._done: dict[str, Document] = {}  # in the order of their changes

    async def tasks(self) -> list[Document]:
        """The tasks, the next due first."""
        async with self._turnstile as needed:
            for partition in range(self._partitions) if needed else ():
                while (news := await self._reader.next_chunk(partition)) is not None:
                    for item in news:
                        self._keep(orjson.loads(item.value))
        known = [*self._open.values(), *self._done.values()]
        return sorted(known, key=lambda task: (task["due_at"], task["task"]))

    def _keep(self, task: Document) -> None:
        self._open.pop(task["task"], None)
        self._done.pop(task["task"], None)
        known = self._open if task["state"] == "open" else self._done
        known[task["task"]] = task
        if len(self._done) > DONE_MAX:
            del self._done[next(iter(self._done))]
