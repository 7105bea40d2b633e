"""The effects topics as their consumers read them: each effect once, whatever happened to the worker."""

from typing import Any

import orjson

from app.history.topic_reader import TopicReader
from app.settings import Settings
from app.transport.log import Readable
from models.topics import Topics

Document = dict[str, Any]


async def effects_of(log: Readable, topic: str, partitions: int, about: str = "") -> list[Document]:
    """All effects of a topic, oldest first in each partition, each once.

    Those of one incident only, if `about` is its id: the others are not even parsed.
    """
    effects: list[Document] = []
    reader = TopicReader(log, topic, partitions)
    for partition in range(partitions):
        while (news := await reader.chunk(partition)) is not None:
            effects += [orjson.loads(one.value) for one in news if about.encode() in one.value]
    return [effect for effect in effects if effect["incident"] == about] if about else effects


async def incidents_of(log: Readable, config: Settings) -> list[Document]:
    """The newest snapshot of each incident, in the order of their opening."""
    snapshots = await effects_of(log, Topics(config.prefix).incidents, config.partitions)
    newest = {snapshot["incident"]: snapshot for snapshot in snapshots}
    return sorted(
        newest.values(), key=lambda snapshot: (snapshot["opened_at"], snapshot["incident"])
    )
