"""Where a partition's last owner stopped: its state as of the last checkpoint, and the last effects that were sent."""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypeVar

import orjson

from app.core.changelog import META
from app.core.rulebook import Rulebook, compiled
from app.transport.log import Readable, StoredRecord
from models.effect import Position, position_from

T = TypeVar("T")
_POLICY = b'{"policy":'  # as `models.journal.encode_policy` begins


async def load_state(log: Readable, topic: str, partition: int) -> dict[bytes, bytes]:
    """The newest value of each key in the changelog, as of its last whole checkpoint."""
    items: dict[bytes, bytes] = {}
    async for checkpoint in checkpoints(log, topic, partition):
        apply_changes(items, [(record.key or b"", record.value) for record in checkpoint])
    return items


async def checkpoints(log: Readable, topic: str, partition: int) -> AsyncIterator[list[StoredRecord]]:
    """The changelog's records, oldest first, a whole checkpoint at a time.

    A checkpoint ends with its meta record; records after the last one belong to none.
    """
    waiting: list[StoredRecord] = []
    offset = await log.start_offset(topic, partition)
    while records := await log.read(topic, partition, offset):
        offset = records[-1].offset + 1
        for record in records:
            waiting.append(record)
            if record.key == META:
                yield waiting
                waiting = []


def apply_changes(items: dict[bytes, bytes], changes: Iterable[tuple[bytes, bytes | None]]) -> None:
    """Bring the changelog's items up to a checkpoint. None is a tombstone."""
    for key, value in changes:
        if value is None:
            items.pop(key, None)
        else:
            items[key] = value


async def first_policy(log: Readable, journal: str, partition: int) -> Rulebook | None:
    """The first policy that a journal partition has, which is in force from the partition's beginning; None if it has none.

    It is the first record, unless the bridge was faster than the first worker.
    """
    offset = await log.start_offset(journal, partition)
    while records := await log.read(journal, partition, offset):
        offset = records[-1].offset + 1
        found = policy_in(records)
        if found is not None:
            return found
    return None


def policy_in(records: Iterable[StoredRecord]) -> Rulebook | None:
    """The first policy that there is in journal records, if there is one that can be used."""
    for record in records:
        if record.value is not None and record.value.startswith(_POLICY):
            try:
                return compiled(orjson.dumps(orjson.loads(record.value)["document"]), kept=True)
            except (ValueError, KeyError, TypeError):
                continue  # it is a dead letter
    return None


async def last_position(log: Readable, topic: str, partition: int) -> Position | None:
    """The position of the newest effect in a partition of an effects topic, or None when it has none."""
    return await _newest(log, topic, partition, lambda record: position_from(tuple(record.headers)))


async def last_offset(log: Readable, topic: str, partition: int) -> int:
    """The journal offset that the changelog's last whole checkpoint has applied, or -1 when there is none."""
    meta = await _newest(log, topic, partition, lambda record: record.value if record.key == META else None)
    return int(orjson.loads(meta)["offset"]) if meta else -1


async def _newest(log: Readable, topic: str, partition: int, find: Callable[[StoredRecord], T | None]) -> T | None:
    """What is found in the newest record of a partition in which it is found."""
    end, step = await log.end_offset(topic, partition), 1
    start = end
    while start > 0:  # the end may be a hole that compaction left, or a stranger's record: look back in growing steps
        start = max(end - step, 0)
        newest, offset = None, start
        while records := await log.read(topic, partition, offset):
            offset = records[-1].offset + 1
            found = [find(record) for record in records]
            newest = next((one for one in reversed(found) if one is not None), newest)
        if newest is not None:
            return newest
        step *= 10
    return None
