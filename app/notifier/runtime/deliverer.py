"""The deliverer: it owns partitions, sends what the ledger says, and has the outcome written down.

The order for each delivery: the receiver has answered; the outcome is written as one batch
(`app.notifier.runtime.store`); then the receipt goes into the journal. A kill between the answer and
its record makes the next owner send it again, with the same key.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from app.clock import system_ms
from app.notifier.channel import Channel
from app.notifier.ledger.contacts import Contacts
from app.notifier.ledger.delivery import Attempt, Request, Rules
from app.notifier.ledger.ledger import Ledger
from app.notifier.outcome import Sent
from app.notifier.runtime import metrics
from app.notifier.runtime.partition import OwnedPartition
from app.notifier.runtime.receiver_alerts import RawAlerts, ReceiverAlerts
from app.notifier.runtime.records import REQUEST_START, Kept, request_from, request_key
from app.notifier.runtime.router import NEVER, DeliveriesTopic, Router
from app.notifier.runtime.sending import send
from app.notifier.runtime.store import Store
from app.transport.log import Log, StoredRecord
from models.reason import BadInput
from models.topics import Topics

IDLE_S = 1.0  # between two looks when nothing happens
FORGET_MS = 60 * 60_000
MEASURE_MS = 1000
STOP_S = 5.0  # for what is being sent, when a partition is given up

logger = logging.getLogger("tocsin.notifier")


@dataclass(frozen=True, slots=True)
class Reach:
    """How contacts are reached."""

    channels: Mapping[str, Channel]  # by receiver
    contacts: Contacts
    rules: Rules
    timeout_s: float = 10.0  # for one try


@dataclass(frozen=True, slots=True)
class Places:
    """From which offsets a partition number is to be read."""

    notifications: int
    deliveries: int


class Deliverer:
    """Delivers for the partitions that it owns."""

    def __init__(
        self,
        log: Log,
        topics: Topics,
        partitions: int,
        reach: Reach,
        jitter: Callable[[], float],
        alerts: ReceiverAlerts | None = None,
    ) -> None:
        """`alerts` says which receivers stay down; without it nobody does."""
        self._alerts, self._raw = alerts, RawAlerts(log, topics.raw, partitions)
        topic = DeliveriesTopic(log, topics.deliveries, partitions)
        self._reach = reach
        self._router = Router(topic, partitions)
        self._ledger = Ledger(reach.rules, jitter)
        self._store = Store(log, topics, partitions, topic, self._ledger)
        self._sending: dict[asyncio.Task[None], Attempt] = {}
        self._woken = asyncio.Event()
        self._fault: BaseException | None = None
        self._forgotten_ms = system_ms()
        self._measured_ms = 0

    @property
    def busy(self) -> bool:
        """Whether something is pending, or not written yet."""
        return bool(self._ledger.pending or self._sending) or self._store.busy

    def owns(self, partition: int) -> bool:
        """Whether a partition is this process's."""
        return partition in self._store.owned

    def memories(self) -> Iterator[tuple[str, str, str]]:
        """Receiver, incident and what the channel remembers of it, for each incident that it was sent."""
        for (_, incident), story in self._ledger.stories.items():
            for receiver, thread in story.threads.items():
                yield receiver, incident, thread.memory

    async def take_over(self, partition: int) -> Places:
        """Own a partition: go on where its last owner was. Raises LogUnavailable."""
        owned, kept = await self._store.load(partition)
        self._restore(owned, kept)
        self._woken.set()
        assert owned.meta.notifications_offset is not None
        return Places(owned.meta.notifications_offset, kept.end)

    async def release(self, partition: int) -> None:
        """Give a partition up: wait a little for what is being sent, and write what is known."""
        if partition not in self._store.owned:
            return
        tasks = [
            task for task, attempt in self._sending.items() if _partition(attempt) == partition
        ]
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S)
        await self._store.release(partition)
        self._ledger.drop(partition)

    async def stop(self) -> None:
        """Give up all partitions."""
        await asyncio.gather(*(self.release(partition) for partition in list(self._store.owned)))
        for task in list(self._sending):
            task.cancel()
        await self._raw.stop()

    async def on_notifications(self, partition: int, records: list[StoredRecord]) -> None:
        """Records of the notifications topic. Returns when each is a request."""
        owned = self._store.owned[partition]
        seen = await self._router.route(partition, records, owned.meta.notifications_seen)
        owned.meta.notifications_seen = seen
        offset = owned.meta.notifications_offset or 0
        owned.meta.notifications_offset = max(offset, records[-1].offset + 1)
        owned.moved = True

    def on_deliveries(self, partition: int, records: list[StoredRecord]) -> None:
        """Records of the deliveries topic."""
        owned = self._store.owned[partition]
        for record in records:
            if record.offset < owned.meta.read_to:
                continue
            owned.meta.read_to = record.offset + 1
            if record.value is not None and (record.key or b"").startswith(REQUEST_START):
                self._read_request(owned, record.value)
        self._woken.set()

    async def run(self) -> None:
        """Send and write, until cancelled. A fault of ours is raised."""
        while self._fault is None:
            self._woken.clear()
            now_ms = system_ms()
            for attempt in self._ledger.due(now_ms):
                task = asyncio.create_task(self._send(attempt))
                self._sending[task] = attempt
                task.add_done_callback(self._on_sent)
            self._forget(now_ms)
            self._store.write(now_ms)
            self._measure(now_ms)
            await self._wait(now_ms)
        raise self._fault

    def _on_sent(self, task: "asyncio.Task[None]") -> None:
        del self._sending[task]
        if not task.cancelled() and task.exception() is not None:
            self._fault = task.exception()
            self._woken.set()

    def _restore(self, owned: OwnedPartition, kept: Kept) -> None:
        now_ms = system_ms()
        self._ledger.stories.update(kept.stories)
        for contact, sends in kept.sends.items():
            self._ledger.restore_sends(contact, sends)
        read_to = owned.meta.read_to
        for offset, request in kept.requests:
            if offset < read_to:
                progress = kept.progress.get(request.id)
                through = self._reach.contacts.through(request.notification)
                self._ledger.restore(request, through, owned.number, progress, now_ms)
        for offset, request in sorted(kept.requests, key=lambda item: item[0]):
            if offset >= read_to:
                self._take(owned, request, now_ms)
        owned.meta.read_to = max(read_to, kept.end)

    def _read_request(self, owned: OwnedPartition, value: bytes) -> None:
        owned.moved = True
        try:
            request = request_from(value)
        except BadInput as error:
            metrics.UNREADABLE.inc()
            logger.error("a request is not delivered: %s", error.message)  # noqa: TRY400
            return
        self._take(owned, request, system_ms())

    def _take(self, owned: OwnedPartition, request: Request, now_ms: int) -> None:
        """Accept a request, unless it came before."""
        if request.id in self._ledger:
            return
        if request.position <= owned.meta.seen.get(request.source, NEVER):
            owned.tombstones.append(request_key(request.id))
            return
        owned.meta.seen[request.source] = request.position
        through = self._reach.contacts.through(request.notification)
        self._ledger.accept(request, through, owned.number, now_ms)

    async def _send(self, attempt: Attempt) -> None:
        channel = self._reach.channels[attempt.receiver]
        address = self._reach.contacts.address_at(attempt.receiver, attempt.notification)
        answer = await send(channel, attempt, address, self._reach.timeout_s)
        if isinstance(answer, Sent):
            result = "sent"
            self._ledger.sent(attempt, answer.receiver_id, answer.memory, system_ms())
        else:
            result = "refused" if answer.permanent else "failed"
            self._ledger.failed(attempt, answer, system_ms())
        notification = attempt.notification
        metrics.DELIVERIES.labels(notification.channel, str(channel.kind), result).inc()
        self._woken.set()

    def _forget(self, now_ms: int) -> None:
        if now_ms < self._forgotten_ms + FORGET_MS:
            return
        self._forgotten_ms = now_ms
        for partition, key in self._ledger.forget(now_ms):
            if partition in self._store.owned:
                self._store.owned[partition].changes.stories.add(key)

    def _measure(self, now_ms: int) -> None:
        if now_ms < self._measured_ms + MEASURE_MS:
            return  # it looks at everything that is pending
        self._measured_ms = now_ms
        oldest_ms = self._ledger.oldest_ms()
        metrics.PENDING.set(self._ledger.pending)
        metrics.OLDEST.set(0 if oldest_ms is None else max(now_ms - oldest_ms, 0) / 1000)
        metrics.CIRCUITS_OPEN.set(sum(circuit.open for circuit in self._ledger.circuits.values()))
        if self._alerts is not None:
            self._raw.append(self._alerts.due(self._ledger.circuits, now_ms))

    async def _wait(self, now_ms: int) -> None:
        """Return when something has happened, or is due."""
        due_ms = self._ledger.next_ms(now_ms)
        seconds = IDLE_S if due_ms is None else min(max((due_ms - now_ms) / 1000, 0.001), IDLE_S)
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return


def _partition(attempt: Attempt) -> int:
    return attempt.deliveries[0].partition
