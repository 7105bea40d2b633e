"""The effects topics as their consumers read them: each effect once, whatever happened to the worker.

A worker that was killed, or paused, sends effects again. Consumers drop what is not past the last
position that they have seen of a partition (docs/ARCHITECTURE.md, "Once").
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing
from typing import Any

import orjson

from app.history.not_retained import NotRetained
from app.history.records import READ_RECORDS, batches_from
from app.settings import Settings
from app.transport.log import Readable, StoredRecord
from models.effect import Position, position_from
from models.topics import Topics

Document = dict[str, Any]


def once(
    records: Iterable[StoredRecord], seen: Position, *, tombstones: bool = False
) -> Iterator[tuple[Position, bytes, StoredRecord]]:
    """A partition's records past the last position `seen`, each with its position and value.

    With `tombstones` also those without a value, as an empty one.
    """
    for record in records:
        position = position_from(tuple(record.headers))
        if position is not None and position > seen and (record.value or tombstones):
            seen = position
            yield position, record.value or b"", record


async def effects_from(
    log: Readable,
    topic: str,
    partition: int,
    first: int | None = None,
    first_size: int = READ_RECORDS,
) -> AsyncIterator[tuple[Position, bytes, StoredRecord]]:
    """The effects of a partition, oldest first, each once, from an offset of the topic on."""
    seen = Position(-1, -1)
    async with aclosing(batches_from(log, topic, partition, first, first_size)) as batches:
        async for records in batches:
            for position, value, record in once(records, seen):
                seen = position
                yield position, value, record


async def effects_of(log: Readable, topic: str, partitions: int, about: str = "") -> list[Document]:
    """All effects of a topic, oldest first in each partition, each once.

    Those of one incident only, if `about` is its id: the others are not even parsed.
    """
    effects: list[Document] = []
    for partition in range(partitions):
        async for _, value, _ in effects_from(log, topic, partition):
            if about.encode() in value:
                effects.append(orjson.loads(value))
    return [effect for effect in effects if effect["incident"] == about] if about else effects


async def incidents_of(log: Readable, config: Settings) -> list[Document]:
    """The newest snapshot of each incident, in the order of their opening."""
    snapshots = await effects_of(log, Topics(config.prefix).incidents, config.partitions)
    newest = {snapshot["incident"]: snapshot for snapshot in snapshots}
    return sorted(
        newest.values(), key=lambda snapshot: (snapshot["opened_at"], snapshot["incident"])
    )


async def incident_of(log: Readable, config: Settings, name: str) -> Document:
    """The newest snapshot of an incident. Raises NotRetained when there is none of that id."""
    incidents = {snapshot["incident"]: snapshot for snapshot in await incidents_of(log, config)}
    if name not in incidents:
        known = ", ".join(list(incidents)[-3:]) or "none yet"
        raise NotRetained(f"no incident {name!r}; the newest are: {known}")
    return incidents[name]
