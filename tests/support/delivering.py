"""A deliverer over a journal of its own, and a channel that a test watches."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import orjson

from app.notifier.channel import ChannelKind
from app.notifier.ledger.contacts import ContactRoute, Contacts
from app.notifier.ledger.delivery import Rules
from app.notifier.outcome import Sent
from app.notifier.runtime.deliverer import Deliverer, Reach
from app.notifier.runtime.embedded_feed import follow_embedded
from app.notifier.runtime.receiver_alerts import ReceiverAlerts
from app.transport.log import NewRecord
from app.transport.sqlite import SqliteLog
from models.effect import Position
from models.events import Notification
from models.topics import Topics
from tests.support.ledger_world import document

PARTITIONS = 2
TOPICS = Topics()


class WatchedChannel:
    """Keeps what it is sent. `answer` is what it does instead of taking it; it waits for `gate`."""

    kind: ClassVar[ChannelKind] = ChannelKind.WEBHOOK

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []  # id and memory
        self.answer: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:
        """Take it, or not."""
        self.asked.set()
        assert (notification.address, notification.id) == (address, key)
        await self.gate.wait()
        if self.answer is not None:
            raise self.answer
        self.sent.append((notification.id, memory))
        return Sent(f"their-{notification.id}", f"after {notification.id}")

    def preview(self, notification: Notification, address: str) -> str:
        """Its title."""
        return f"{address}: {notification.title}"

    async def close(self) -> None:
        """Nothing is open."""


class Delivering:
    """A journal, and a deliverer on it."""

    def __init__(self, log: SqliteLog, channels: dict[str, WatchedChannel]) -> None:
        self.log = log
        self.channels = channels
        kinds = {name: channel.kind for name, channel in channels.items()}
        contacts = Contacts([ContactRoute("pager", "", "", tuple(channels))])
        reach = Reach(channels, contacts, Rules(kinds), timeout_s=30)
        alerts = ReceiverAlerts(kinds, "host", down_after_ms=0)
        self.deliverer = Deliverer(log, TOPICS, PARTITIONS, reach, lambda: 0.0, alerts)
        self._tasks = [
            asyncio.create_task(self.deliverer.run()),
            asyncio.create_task(follow_embedded(log, TOPICS, PARTITIONS, self.deliverer)),
        ]

    async def idle(self, notifications: int) -> None:
        """Return when so many notifications are read, and nothing waits."""
        async with asyncio.timeout(30):
            while self._read() < notifications or self.deliverer.busy:
                for task in self._tasks:
                    assert not task.done(), task.exception()
                await asyncio.sleep(0.01)

    def _read(self) -> int:
        owned = self.deliverer._store.owned.values()
        requests = sum(one.meta.notifications_offset or 0 for one in owned)
        lag = sum(
            self.log.written(TOPICS.deliveries, one.number) - one.meta.read_to for one in owned
        )
        return requests if not lag else -1

    async def kill(self) -> None:
        """End as kill -9 does: nothing more is sent or written."""
        store = self.deliverer._store
        tasks = [*self._tasks, *self.deliverer._sending, *store._writing.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        """End as an operator would."""
        self._tasks[1].cancel()
        await asyncio.wait({self._tasks[1]})
        await self.deliverer.stop()
        self._tasks[0].cancel()
        await asyncio.wait({self._tasks[0]})


@asynccontextmanager
async def journal(folder: Path) -> AsyncIterator[SqliteLog]:
    """A journal with its topics."""
    log = SqliteLog(folder)
    await log.start()
    await log.ensure_topics(TOPICS.specs(PARTITIONS))
    try:
        yield log
    finally:
        await log.stop()


async def notify(log: SqliteLog, partition: int, documents: Sequence[dict[str, object]]) -> None:
    """Append notifications, as the worker would."""
    records = [
        NewRecord(str(one["incident"]).encode(), orjson.dumps(one), (_position(one).header(),))
        for one in documents
    ]
    await log.append(TOPICS.notifications, partition, records)


def _position(one: dict[str, object]) -> Position:
    _, offset, number = str(one["id"]).split("-")
    return Position(int(offset), int(number))


async def receipts(log: SqliteLog) -> list[dict[str, str]]:
    """The receipts in the journal."""
    records = [
        record
        for partition in range(PARTITIONS)
        for record in await log.read(TOPICS.journal, partition, 0)
    ]
    return [orjson.loads(record.value or b"") for record in records]


def page(number: int, **fields: object) -> dict[str, object]:
    """A page, as its topic has it."""
    return document(number, **fields)
