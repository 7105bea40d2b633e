"""`tocsin notifier --dry-run`: what would be sent, from where the notifier is. Nothing is sent or written."""

import sys
from collections.abc import AsyncIterator

from app.history.effects import once
from app.history.source import Source, open_source
from app.notifier.channels.registry import REGISTRY
from app.notifier.channels.terminal import line_of
from app.notifier.runtime.decoding import decode
from app.notifier.runtime.records import kept_in
from app.notifier.setup.assembly import Assembly, assemble
from app.notifier.setup.receivers_file import read as read_receivers
from app.settings import Settings
from app.transport.log import StoredRecord
from models.effect import Position
from models.events import Notification
from models.reason import BadInput
from models.text.sanitize import inert, inert_lines


async def print_plan(config: Settings, journal: str = "") -> None:
    """Print each message that is not with the deliverer yet. Raises LogUnavailable, BadFile."""
    receivers = read_receivers(config.receivers_file, REGISTRY) if config.receivers_file else None
    assembly = assemble(receivers, REGISTRY) if receivers is not None else None
    try:
        async with open_source(journal, config) as source:
            for partition in range(source.config.partitions):
                async for notification in _waiting(source, partition):
                    sys.stdout.write(f"{plan_of(notification, assembly)}\n")
    finally:
        if assembly is not None:
            await assembly.close()


def plan_of(notification: Notification, assembly: Assembly | None) -> str:
    """A message in words: to whom, through which receivers, and what the first of them would get."""
    line = line_of(notification, notification.address)
    if assembly is None:
        return line
    through = assembly.reach.contacts.through(notification)
    if not through:
        return f"{line}\n    no receiver: receivers.yaml has no contact for it"
    address = assembly.reach.contacts.address_at(through[0], notification)
    preview = assembly.reach.channels[through[0]].preview(notification, address)
    indented = "\n".join(f"    {inert(text)}" for text in inert_lines(preview).split("\n"))
    return f"{line}\n    through {', then '.join(through)}:\n{indented}"


async def _waiting(source: Source, partition: int) -> AsyncIterator[Notification]:
    topics = source.topics
    kept = kept_in(
        [item async for item in _records(source, topics.deliveries, partition, 0)], partition
    )
    offset, seen = kept.meta.notifications_offset or 0, kept.meta.notifications_seen
    async for record in _records(source, topics.notifications, partition, offset):
        for _, value, _ in once([record], seen or Position(-1, -1)):
            try:
                yield decode(value)
            except BadInput as error:
                sys.stderr.write(f"tocsin: {inert(error.message)}\n")


async def _records(
    source: Source, topic: str, partition: int, offset: int
) -> AsyncIterator[StoredRecord]:
    if topic not in await source.log.list_topics():
        return  # an older Tocsin wrote this journal
    offset = max(offset, await source.log.start_offset(topic, partition))
    while records := await source.log.read(topic, partition, offset):
        for record in records:
            yield record
        offset = records[-1].offset + 1
