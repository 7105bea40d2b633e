"""The newest snapshot of each incident, bounded: what is new is read when somebody asks, and only that."""

from typing import NamedTuple

import orjson

from app.history.topic_reader import TopicReader, Turnstile
from app.transport.log import Readable
from models.incident import State

CLOSED_MAX = 10_000  # closed incidents that are known, those that changed last
NOT_CLOSED = tuple(state for state in State if state is not State.CLOSED)


class Snapshot(NamedTuple):
    """A snapshot as it stands in its topic."""

    opened_at: str
    incident: str
    state: State
    value: bytes

    @property
    def place(self) -> tuple[str, str]:
        """Where it stands in the order of opening."""
        return self.opened_at, self.incident


class IncidentView:
    """What `tocsin.incidents` says, by incident.

    All that are not closed are known, and the `closed_max` that were closed last. An older one is
    read from the topic when it is asked for.
    """

    def __init__(
        self, log: Readable, topic: str, partitions: int, closed_max: int = CLOSED_MAX
    ) -> None:
        self._log, self._topic, self._partitions = log, topic, partitions
        self._closed_max = closed_max
        self._reader, self._turnstile = TopicReader(log, topic, partitions), Turnstile()
        self._open: dict[str, Snapshot] = {}
        self._closed: dict[str, Snapshot] = {}  # in the order of their changes
        self._number_read = 0

    async def number_read(self) -> int:
        """How many snapshots were read so far: while it stays, nothing has changed."""
        await self._read()
        return self._number_read

    async def snapshots(self, states: tuple[State, ...]) -> list[Snapshot]:
        """The newest snapshots of incidents in these states, in the order of their opening."""
        await self._read()
        closed = self._closed.values() if State.CLOSED in states else ()
        known = [*self._open.values(), *closed]
        return sorted(snapshot for snapshot in known if snapshot.state in states)

    async def snapshot(self, incident: str, partition: int) -> bytes | None:
        """An incident's newest snapshot; None when the topic has none."""
        known = await self.retained_snapshot(incident)
        if known is not None:
            return known
        if len(self._closed) < self._closed_max:
            return None  # none was dropped, so there is none
        newest = None
        reader = TopicReader(self._log, self._topic, self._partitions)
        while (news := await reader.next_chunk(partition)) is not None:
            newest = next(
                (item.value for item in reversed(news) if item.key == incident.encode()), newest
            )
        return newest

    async def retained_snapshot(self, incident: str) -> bytes | None:
        """An incident's newest snapshot; None when the view has none, without a look at the topic."""
        await self._read()
        known = self._open.get(incident) or self._closed.get(incident)
        return None if known is None else known.value

    async def newest_ids(self, number: int) -> list[str]:
        """The ids of the incidents that were opened last, the newest last."""
        return [snapshot.incident for snapshot in (await self.snapshots(tuple(State)))[-number:]]

    async def _read(self) -> None:
        async with self._turnstile as needed:
            for partition in range(self._partitions) if needed else ():
                while (news := await self._reader.next_chunk(partition)) is not None:
                    for item in news:
                        self._keep(item.value)

    def _keep(self, value: bytes) -> None:
        self._number_read += 1
        document = orjson.loads(value)
        name, state = document["incident"], State(document["state"])
        self._open.pop(name, None)
        self._closed.pop(name, None)
        known = self._closed if state is State.CLOSED else self._open
        known[name] = Snapshot(document["opened_at"], name, state, value)
        if len(self._closed) > self._closed_max:
            del self._closed[next(iter(self._closed))]
