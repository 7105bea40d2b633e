"""Where a partition's last owner stopped: its state as of the last checkpoint, and the last effects that were sent."""

from collections.abc import Iterable, Sequence

import orjson

from app.core.changelog import META
from app.core.rulebook import Rulebook
from app.transport.log import Log, StoredRecord
from models.effect import Position, position_from

_POLICY = b'{"policy":'  # as `models.journal.encode_policy` begins


async def load_state(log: Log, topic: str, partition: int) -> dict[bytes, bytes]:
    """The newest value of each key in the changelog, as of its last whole checkpoint.

    A checkpoint ends with its meta record; records after the last one belong to none.
    """
    items: dict[bytes, bytes] = {}
    waiting: list[tuple[bytes, bytes | None]] = []
    offset = await log.start_offset(topic, partition)
    while records := await log.read(topic, partition, offset):
        offset = records[-1].offset + 1
        for record in records:
            waiting.append((record.key or b"", record.value))
            if record.key == META:
                _apply_changes(items, waiting)
                waiting = []
    return items


def _apply_changes(items: dict[bytes, bytes], changes: Sequence[tuple[bytes, bytes | None]]) -> None:
    for key, value in changes:
        if value is None:
            items.pop(key, None)
        else:
            items[key] = value


async def first_policy(log: Log, journal: str, partition: int) -> Rulebook | None:
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
                return Rulebook(orjson.loads(record.value)["document"], kept=True)
            except (ValueError, KeyError, TypeError):
                continue  # it is a dead letter
    return None


async def last_position(log: Log, topic: str, partition: int) -> Position | None:
    """The position of the newest effect in a partition of an effects topic, or None when it has none."""
    end, step = await log.end_offset(topic, partition), 1
    start = end
    while start > 0:  # the end may be a hole that compaction left, or a stranger's record: look back in growing steps
        start = max(end - step, 0)
        newest, offset = None, start
        while records := await log.read(topic, partition, offset):
            offset = records[-1].offset + 1
            positions = [position_from(tuple(record.headers)) for record in records]
            newest = next((one for one in reversed(positions) if one is not None), newest)
        if newest is not None:
            return newest
        step *= 10
    return None
