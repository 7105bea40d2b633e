"""Without a receivers file: each new message as a line in the terminal. Nothing is kept, and no receipt is written."""

import asyncio
import sys
from typing import TextIO

from app.notifier.channels.terminal import line_of
from app.notifier.runtime.decoding import decode
from app.transport.log import Log, LogUnavailable, StoredRecord
from app.transport.sqlite import SqliteLog
from models.reason import BadInput

LINES_MAX = 40  # at once; a storm must not scroll everything else away
POLL_S = 1.0


async def print_messages(
    log: Log, topic: str, partitions: int, stream: TextIO | None = None
) -> None:
    """Print what comes from now on, until cancelled."""
    woken = log.follow() if isinstance(log, SqliteLog) else asyncio.Event()
    offsets = [await log.end_offset(topic, partition) for partition in range(partitions)]
    while True:
        woken.clear()
        records: list[StoredRecord] = []
        for partition in range(partitions):
            if not _has_more(log, topic, partition, offsets[partition]):
                continue
            try:
                fetched = await log.read(topic, partition, offsets[partition])
            except LogUnavailable:
                continue  # it is asked again
            if fetched:
                offsets[partition] = fetched[-1].offset + 1
                records += fetched
        _print(records, stream or sys.stderr)
        if isinstance(log, SqliteLog):
            await woken.wait()
        else:
            await asyncio.sleep(POLL_S)


def _has_more(log: Log, topic: str, partition: int, offset: int) -> bool:
    return not isinstance(log, SqliteLog) or log.written(topic, partition) > offset


def _print(records: list[StoredRecord], stream: TextIO) -> None:
    for record in records[:LINES_MAX]:
        try:
            notification = decode(record.value or b"")
        except BadInput:
            continue
        stream.write(f"{line_of(notification, notification.address)}\n")
    if len(records) > LINES_MAX:
        stream.write(f"and {len(records) - LINES_MAX} more messages\n")
    stream.flush()
