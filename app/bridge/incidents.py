"""Incidents for boards and scripts: the newest snapshots, read on from where the last request stopped."""

from typing import Any

import orjson

from app.transport.log import Log
from models.effect import Position, position_from
from models.topics import Topics

KEPT_MAX = 10_000  # incidents that are shown, the newest


class IncidentView:
    """What `tocsin.incidents` says, by incident."""

    def __init__(self, log: Log, topics: Topics, partitions: int) -> None:
        self._log, self._topics, self._partitions = log, topics, partitions
        self._offsets: dict[int, int] = {}
        self._known: dict[str, dict[str, Any]] = {}

    async def all(self, states: list[str]) -> list[dict[str, Any]]:
        """The newest snapshot of each incident in one of these states, in the order of their opening."""
        await self._read()
        found = [one for one in self._known.values() if one["state"] in states]
        return sorted(found, key=lambda one: (one["opened_at"], one["incident"]))

    async def one(self, incident: str, partition: int) -> dict[str, Any] | None:
        """An incident and its timeline, or None."""
        await self._read()
        found = self._known.get(incident)
        if found is None:
            return None
        timeline, seen = [], Position(-1, -1)
        offset = await self._log.start_offset(self._topics.timeline, partition)
        while records := await self._log.read(self._topics.timeline, partition, offset):
            offset = records[-1].offset + 1
            for record in records:
                position = position_from(tuple(record.headers))
                if record.key == incident.encode() and record.value and position is not None and position > seen:
                    seen = position
                    timeline.append(orjson.loads(record.value))
        return found | {"timeline": timeline}

    async def _read(self) -> None:
        topic = self._topics.incidents
        for partition in range(self._partitions):
            offset = self._offsets.get(partition)
            if offset is None:
                offset = await self._log.start_offset(topic, partition)
            while records := await self._log.read(topic, partition, offset):
                offset = records[-1].offset + 1
                for record in records:
                    if record.value:
                        document = orjson.loads(record.value)
                        self._known.pop(document["incident"], None)
                        self._known[document["incident"]] = document
            self._offsets[partition] = offset
        for name in list(self._known)[: max(len(self._known) - KEPT_MAX, 0)]:
            del self._known[name]
