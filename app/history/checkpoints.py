"""Where a partition's last owner stopped.

Its state as of the last checkpoint, and the last effects that were sent.
"""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import TypeVar

import orjson

from app.core.state.changelog import META, is_whole
from app.history.records import batches_from
from app.transport.log import Readable, StoredRecord
from models.effect import Position, position_from

T = TypeVar("T")


async def load_state(log: Readable, topic: str, partition: int) -> dict[bytes, bytes]:
    """The newest value of each key in the changelog, as of its last whole checkpoint."""
    items: dict[bytes, bytes] = {}
    async for checkpoint in read_checkpoints(log, topic, partition):
        apply_changes(items, [(record.key or b"", record.value) for record in checkpoint])
    return items


async def read_checkpoints(
    log: Readable, topic: str, partition: int
) -> AsyncGenerator[list[StoredRecord], None]:
    """The changelog's records, oldest first, a whole checkpoint at a time.

    A checkpoint ends with its meta record; records after the last one belong to none.
    """
    waiting: list[StoredRecord] = []
    async with aclosing(batches_from(log, topic, partition)) as batches:
        async for records in batches:
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


async def whole_checkpoint(
    log: Readable, topic: str, partition: int, first: int, before: int | None
) -> dict[bytes, bytes] | None:
    """The changelog's items as of a checkpoint that compaction has not thinned, or None when there is none.

    It is the newest that has not applied the journal's record `before`; without `before` the
    oldest. In either case it has applied all before `first`, the oldest record that the journal
    keeps: no other leads on from there.

    A pass of compaction may overtake a reader, who then has an older value of a key and lacks a
    newer one. It goes from the oldest records on, so it has taken the older one away by then:
    whoever reads again finds fewer records, and reads once more.
    """
    known: tuple[int, int] | None = None
    while True:
        items, end = await _whole_checkpoint(log, topic, partition, first, before)
        if end == known:
            return items
        known = end


async def _whole_checkpoint(
    log: Readable, topic: str, partition: int, first: int, before: int | None
) -> tuple[dict[bytes, bytes] | None, tuple[int, int]]:
    """The items as of it, as one reading finds them.

    And its journal offset, and how many records there were up to it.
    """
    items: dict[bytes, bytes] = {}
    undo: dict[bytes, bytes | None] = {}  # what changed since the one that was found
    end, read = (-1, 0), 0
    async with aclosing(read_checkpoints(log, topic, partition)) as kept:
        async for records in kept:
            applied = int(orjson.loads(records[-1].value or b"{}")["offset"])
            if applied >= before if before is not None else end[1]:
                break
            changes = [(record.key or b"", record.value) for record in records]
            for key, _ in changes if end[1] else ():
                undo.setdefault(key, items.get(key))
            apply_changes(items, changes)
            read += len(records)
            if applied >= first - 1 and is_whole(items):
                end, undo = (applied, read), {}
    if not end[1]:
        return None, end
    apply_changes(items, undo.items())
    return items, end


async def last_position(log: Readable, topic: str, partition: int) -> Position | None:
    """The position of the newest effect in a partition of an effects topic, or None when it has none."""
    return await _newest_match(
        log, topic, partition, lambda record: position_from(tuple(record.headers))
    )


async def last_offset(log: Readable, topic: str, partition: int) -> int:
    """The journal offset that the changelog's last whole checkpoint has applied, or -1 when there is none."""
    meta = await newest_meta(log, topic, partition)
    return int(orjson.loads(meta)["offset"]) if meta else -1


async def newest_meta(log: Readable, topic: str, partition: int) -> bytes | None:
    """The meta record of the changelog's last checkpoint, or None when there is none."""
    return await _newest_match(
        log, topic, partition, lambda record: record.value if record.key == META else None
    )


async def _newest_match(
    log: Readable, topic: str, partition: int, find: Callable[[StoredRecord], T | None]
) -> T | None:
    """What is found in the newest record of a partition in which it is found."""
    end, step = await log.end_offset(topic, partition), 1
    start = end
    while (
        start > 0
    ):  # the end may be a hole that compaction left, or a stranger's record: look back in growing steps
        start = max(end - step, 0)
        newest = None
        async with aclosing(batches_from(log, topic, partition, start)) as batches:
            async for records in batches:
                values = [find(record) for record in records]
                newest = next((value for value in reversed(values) if value is not None), newest)
        if newest is not None:
            return newest
        step *= 10
    return None
