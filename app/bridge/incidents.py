"""Incidents for boards and scripts: what is new is read on each request, and only that."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from app.history.topic_reader import TopicReader, Turnstile
from app.transport.log import Log
from models.incident import State
from models.reason import BadInput, Reason
from models.topics import Topics

CLOSED_MAX = 10_000  # closed incidents that are known, those that changed last
TIMELINE_BYTES_MAX = (
    16 * 1024 * 1024
)  # of the timelines that are kept; an older one is read anew when it is asked for

ENTRIES_MAX = 10_000  # of one timeline that are shown, the newest
ENTRIES_BYTES_MAX = 8 * 1024 * 1024

NOT_CLOSED = tuple(state for state in State if state is not State.CLOSED)


def states_of(text: str) -> tuple[State, ...]:
    """The states that `?state=open,acknowledged` names.

    For no text all but closed. Raises BadInput.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in list(State):
            raise BadInput(
                Reason.MALFORMED, f"state: is {name!r:.60}, must be some of {','.join(State)}"
            )
    return tuple(State(name) for name in names) or NOT_CLOSED


class _Snapshot(NamedTuple):
    opened_at: str
    incident: str
    state: State
    value: bytes


@dataclass(slots=True)
class _Timeline:
    whole: bool  # whether it was read from the beginning on
    values: deque[bytes] = field(default_factory=deque)
    size: int = 0
    dropped: int = 0  # of the oldest entries

    def add(self, value: bytes) -> int:
        """Add an entry, and drop the oldest where there are too many.

        By how much the size changed.
        """
        before = self.size
        self.values.append(value)
        self.size += len(value)
        while len(self.values) > ENTRIES_MAX or self.size > ENTRIES_BYTES_MAX:
            self.size -= len(self.values.popleft())
            self.dropped += 1
        return self.size - before


class IncidentView:
    """What `tocsin.incidents` and `tocsin.timeline` say, by incident."""

    def __init__(self, log: Log, topics: Topics, partitions: int) -> None:
        self._log, self._topics, self._partitions = log, topics, partitions
        self._snapshots = TopicReader(log, topics.incidents, partitions)
        self._entries = TopicReader(log, topics.timeline, partitions)
        self._turnstile, self._turnstiles = Turnstile(), [Turnstile() for _ in range(partitions)]
        self._open: dict[str, _Snapshot] = {}
        self._closed: dict[str, _Snapshot] = {}  # in the order of their changes
        self._timelines: dict[str, _Timeline] = {}  # in the order of their last entries
        self._bytes = 0  # of all timelines

    async def all(self, states: tuple[State, ...]) -> list[Any]:
        """The newest snapshot of each incident in one of these states, in the order of their opening, ready for orjson."""
        await self._read()
        known = [*self._open.values(), *(self._closed.values() if State.CLOSED in states else ())]
        return [orjson.Fragment(one.value) for one in sorted(known) if one.state in states]

    async def one(self, incident: str, partition: int) -> dict[str, Any] | None:
        """An incident's newest snapshot with its `timeline`, ready for orjson; None when it is not known.

        Of a long timeline it has the newest entries, and `timeline_dropped` says how many came
        before.
        """
        await self._read()
        snapshot = self._open.get(incident) or self._closed.get(incident)
        if snapshot is None:
            return None
        document: dict[str, Any] = orjson.loads(snapshot.value)
        timeline = await self._timeline(incident, partition)
        document["timeline"] = [orjson.Fragment(one) for one in timeline.values]
        return document | ({"timeline_dropped": timeline.dropped} if timeline.dropped else {})

    async def _read(self) -> None:
        async with self._turnstile as needed:
            for partition in range(self._partitions) if needed else ():
                while (news := await self._snapshots.chunk(partition)) is not None:
                    for one in news:
                        self._keep(one.value)

    def _keep(self, value: bytes) -> None:
        document = orjson.loads(value)
        name, state = document["incident"], State(document["state"])
        self._open.pop(name, None)
        self._closed.pop(name, None)
        known = self._closed if state is State.CLOSED else self._open
        known[name] = _Snapshot(document["opened_at"], name, state, value)
        if len(self._closed) > CLOSED_MAX:
            del self._closed[next(iter(self._closed))]

    async def _timeline(self, incident: str, partition: int) -> _Timeline:
        async with self._turnstiles[partition] as needed:
            while needed and (news := await self._entries.chunk(partition)) is not None:
                for one in news:
                    self._extend((one.key or b"").decode(), one.value)
        known = self._timelines.get(incident)
        if known is not None and known.whole:
            return known
        reader, found = (
            TopicReader(self._log, self._topics.timeline, self._partitions),
            _Timeline(whole=True),
        )
        while (news := await reader.chunk(partition)) is not None:
            for one in news:
                if one.key == incident.encode():
                    found.add(one.value)
        return found

    def _extend(self, incident: str, value: bytes) -> None:
        timeline = self._timelines.pop(incident, None)
        if timeline is None:
            timeline = _Timeline(whole=orjson.loads(value)["kind"] == "Opened")
        self._bytes += timeline.add(value)
        self._timelines[incident] = timeline
        while self._bytes > TIMELINE_BYTES_MAX:
            oldest = next(iter(self._timelines))
            self._bytes -= self._timelines.pop(oldest).size
