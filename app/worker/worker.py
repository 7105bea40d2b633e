"""The worker: owns journal partitions, and makes what their engines decide durable, in an order that loses nothing.

For each batch of a partition: the engine applies it; its effects are sent and acknowledged; now and
then the engine's changes are written, all or none (the checkpoint); only then is the batch
acknowledged to Faust. After a crash the next owner loads the state, applies the journal from there
again, and computes but does not send what the effects topics have already. The order is kept by one
queue for each partition; applying the next batch overlaps sending the last.

Whoever takes a partition over claims its changelog first, so that an owner before, who was only
paused, cannot write a checkpoint any more (docs/decisions/0007). Effects that it still sends are
the very ones that the new owner sends.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from app import metrics
from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.changelog import META
from app.core.state.poison import Poison
from app.history.applier import Applier
from app.history.checkpoints import last_position, load_state
from app.history.policies import first_policy
from app.settings import Settings
from app.transport.log import Log, LogUnavailable, NewRecord, append_all
from app.worker.effect_metrics import count_effects
from app.worker.health import Health
from app.worker.policy_announcement import PolicyAnnouncer
from models.effect import EFFECTS, Effect, Position, Stream, epoch_header
from models.journal import TICK, Source
from models.topics import Topics, partition_of

CHECKPOINT_BYTES = (
    4 * 1024 * 1024
)  # about so much waits for a checkpoint at the most; one record can change more
CHUNK = 1000  # records applied between two looks at the event loop
CRASHED = 70  # exit status; a supervisor starts the worker again

logger = logging.getLogger("tocsin.worker")


@dataclass(slots=True)
class _Work:
    """What one batch left to do."""

    effects: Sequence[Effect]
    offset: int  # the last record applied
    checkpoint: Sequence[tuple[bytes, bytes | None]] | None
    since_ms: int = 0  # when the first of its records was appended; 0 of none
    messages: list[Any] = field(
        default_factory=list
    )  # Faust's, to be acknowledged after the checkpoint
    done: asyncio.Event | None = None


def crash_process(subject: str, error: BaseException) -> NoReturn:
    """Stop at once, without acknowledging anything.

    The next start goes on from the last checkpoint.
    """
    logger.critical("%s: %r; stopping so that nothing is lost", subject, error, exc_info=error)
    logging.shutdown()
    os._exit(CRASHED)


class Worker:
    """The engines of the partitions that this process owns.

    `on_fault` is told what cannot go on; it ends the process, since nothing may be acknowledged
    after it.
    """

    def __init__(
        self,
        settings: Settings,
        policy: CompiledPolicy,
        log: Log,
        topics: Topics,
        on_fault: Callable[[str, BaseException], NoReturn] = crash_process,
    ) -> None:
        self.settings = settings
        self.policy = policy
        self.log = log
        self.topics = topics
        self.on_fault = on_fault
        self.consumer: Any = None  # Faust's, set by the transport when it has partitions
        self.pipes: dict[int, PartitionPipe] = {}
        self.ready = asyncio.Event()
        self.health = Health()
        self.epoch = 0  # of the journal, once it is open: what is sent from now on carries it

    async def take_over(self, partition: int, generation: int) -> int:
        """Load a partition's state and return the journal offset to read from."""
        known = self.pipes.pop(partition, None)
        if known is not None:
            known.stop()
        try:
            pipe = PartitionPipe(self, partition, generation)
            offset = await pipe.start()
        except asyncio.CancelledError:
            raise  # partitions move again, before this one was taken over: whoever has it then begins anew
        except BaseException as error:  # noqa: BLE001  a partition that cannot be loaded must not be worked on
            self.on_fault(f"partition {partition} cannot be taken over", error)
        self.pipes[partition] = pipe
        self.ready.set()
        await pipe.renew_policy()  # it may have changed while the partition was taken over
        return offset

    async def accept(self, event: Any) -> None:
        """Take a batch of journal records from Faust."""
        pipe = self.pipes.get(event.message.partition)
        if pipe is None or pipe.generation != event.message.generation_id:
            return
        try:
            await pipe.accept(event.message)
        except Exception as error:  # noqa: BLE001  Faust would acknowledge the batch and go on
            self.on_fault(f"partition {pipe.partition}", error)

    async def tick(self, value: bytes = TICK) -> None:
        """Append a tick to every partition owned: this is how time passes for the engines."""
        partitions = list(self.pipes)
        offsets = await asyncio.gather(
            *(
                self.log.append(self.topics.journal, partition, [NewRecord(None, value)])
                for partition in partitions
            )
        )
        self.health.ticked(dict(zip(partitions, offsets, strict=True)))

    async def use(self, policy: CompiledPolicy) -> None:
        """Decide by another policy from now on: it goes into the journals of the partitions owned, and is in force from there.

        Raises LogUnavailable; what a journal does not take is appended when it takes something
        again.
        """
        self.policy = policy
        done = await asyncio.gather(
            *(pipe.announce_policy() for pipe in self.pipes.values()), return_exceptions=True
        )
        for error in done:
            if error is not None:
                raise error

    async def settle(self) -> None:
        """Send, checkpoint and acknowledge everything that was accepted, and from now on each batch at once."""
        await asyncio.gather(*(pipe.settle() for pipe in self.pipes.values()))

    def release(self) -> None:
        """Forget all partitions: somebody else may own them from now on."""
        for pipe in self.pipes.values():
            pipe.stop()
        self.pipes.clear()
        self.ready.clear()
        self.health.forget()

    def next_deadline_ms(self) -> int | None:
        """When the next deadline of any partition owned may be; None when there is none.

        A deadline that was moved since may still be named at its old time.
        """
        timers = [pipe.engine.state.timers for pipe in self.pipes.values()]
        return min((heap[0][0] for heap in timers if heap), default=None)

    def counts(self) -> dict[str, int]:
        """The engines' counts, summed over the partitions owned."""
        total: dict[str, int] = {}
        for pipe in self.pipes.values():
            for name, number in pipe.engine.counts.items():
                total[name] = total.get(name, 0) + number
        return total


class PartitionPipe:
    """One partition: its engine, and the queue of what the engine left to do."""

    def __init__(self, worker: Worker, partition: int, generation: int) -> None:
        self.partition = partition
        self.generation = generation
        self.settled_offset = -1  # up to here all effects are sent
        self._worker = worker
        self._log = worker.log
        self._topics = worker.topics
        self._queue: asyncio.Queue[_Work] = asyncio.Queue(maxsize=2)
        self._marks: dict[Stream, Position] = {}
        self._unacknowledged: list[Any] = []
        self._checkpointed = asyncio.get_running_loop().time()
        self._settling = False
        self._stopped = False
        self._applying = (
            asyncio.Lock()
        )  # what the engine leaves to do has to be queued in the order of its records
        self._announcer = PolicyAnnouncer(worker.log, worker.topics.journal, partition)
        self._applier = Applier(
            Engine(partition, worker.policy),
            self._restored_engine,
            lambda offset: self._log.read(self._topics.journal, self.partition, offset),
            self._on_poison,
        )
        self._task: asyncio.Task[None] | None = None
        self._metrics = metrics.Partition(partition)

    @property
    def engine(self) -> Engine:
        """The partition's engine; another one after a fault."""
        return self._applier.engine

    async def start(self) -> int:
        """Restore the engine and find out which effects were sent.

        Return the journal offset to read from.
        """
        await self._log.claim(self._topics.state, self.partition)
        self._applier.engine, is_told = await self._initial_engine()
        if not is_told:
            await self._announcer.begin(self._worker.policy)
            self._applier.engine, _ = await self._initial_engine()
        self.settled_offset = self.engine.applied_offset
        self._metrics.restored(self.engine)
        for stream in EFFECTS:
            mark = await last_position(self._log, self._topic_name(stream), self.partition)
            if mark is not None:
                self._marks[stream] = mark
        await self._announcer.start(self.engine, self._worker.policy)
        self._task = asyncio.create_task(self._run_queue(), name=f"partition-{self.partition}")
        logger.info(
            "partition %d: taken over at offset %d", self.partition, self.engine.applied_offset + 1
        )
        return self.engine.applied_offset + 1

    async def _restored_engine(self) -> Engine:
        """The engine of the last checkpoint."""
        return (await self._initial_engine())[0]

    async def _initial_engine(self) -> tuple[Engine, bool]:
        """The same, before the first checkpoint as the journal began.

        And whether the journal says how.
        """
        items = await load_state(self._log, self._topics.state, self.partition)
        first = (
            None
            if META in items
            else await first_policy(self._log, self._topics.journal, self.partition)
        )
        return Engine.restore(
            self.partition, first or self._worker.policy, items
        ), META in items or first is not None

    async def announce_policy(self) -> None:
        """Append the worker's policy where the journal's newest is another one.

        Raises LogUnavailable.
        """
        if not self._stopped and self._task is not None:
            await self._announcer.keep(self.engine, self._worker.policy)

    async def renew_policy(self) -> None:
        """The same, but what the journal does not take now it takes with a batch that comes later."""
        try:
            await self.announce_policy()
        except LogUnavailable as error:
            logger.warning(
                "partition %d: the policy is not in the journal yet: %s", self.partition, error
            )

    async def accept(self, message: Any) -> None:
        """Apply a batch and queue what it left to do."""
        records = await self._fill_gap(message.value)
        message.value = None  # the records need not live until the checkpoint
        for start in range(0, len(records), CHUNK):
            chunk = records[start : start + CHUNK]
            last = start + CHUNK >= len(records)
            async with self._applying:
                if self._stopped:
                    return
                effects = await self._applier.apply(chunk)
                checkpoint = self.engine.checkpoint() if self._is_checkpoint_due() else None
                since_ms, waiting = chunk[0].timestamp, [message] if last else []
                await self._queue.put(
                    _Work(effects, chunk[-1].offset, checkpoint, since_ms, waiting)
                )
        self._metrics.applied(self.engine, len(records))
        await self.renew_policy()

    async def _fill_gap(self, records: Sequence[Any]) -> Sequence[Any]:
        """The records, and before them what is between them and the last one applied, should it not have been handed over."""
        expected = self.engine.applied_offset + 1
        if records[0].offset <= expected:
            return records
        missing: list[Any] = []
        while expected < records[0].offset:
            filled = await self._log.read(self._topics.journal, self.partition, expected)
            missing += [record for record in filled if record.offset < records[0].offset]
            if not missing or missing[0].offset > expected:
                logger.critical(
                    "partition %d: the journal has offset %d no more: its retention is shorter than the worker was away",
                    self.partition,
                    expected,
                )
                gone = (missing or records)[0].offset - expected
                metrics.MISSING.labels(str(self.partition)).inc(gone)
            expected = filled[-1].offset + 1 if filled else records[0].offset
        if missing:
            logger.warning(
                "partition %d: %d records were not handed over, and were read",
                self.partition,
                len(missing),
            )
        return [*missing, *records]

    def _on_poison(self, poison: Poison) -> None:
        text = "partition %d: a dead letter instead of what made the engine raise"
        logger.error(text, self.partition, exc_info=poison)

    def _is_checkpoint_due(self) -> bool:
        """Whether it is time for a checkpoint.

        Its pace is a setting, since a restart only works up what came after.
        """
        now = asyncio.get_running_loop().time()
        interval_s = self._worker.settings.checkpoint_ms / 1000
        if (
            self._settling
            or now - self._checkpointed >= interval_s
            or self.engine.dirty_bytes() > CHECKPOINT_BYTES
        ):
            self._checkpointed = now
            return True
        return False

    async def settle(self) -> None:
        """Do everything that is queued, with a checkpoint at the end.

        Or what of it is done when the partition is stopped.
        """
        self._settling = True
        done = asyncio.Event()
        async with self._applying:
            if self._stopped or self._task is None:
                return
            work = _Work((), self.engine.applied_offset, self.engine.checkpoint(), done=done)
            await self._queue.put(work)
        settled = asyncio.create_task(done.wait())
        await asyncio.wait({settled, self._task}, return_when=asyncio.FIRST_COMPLETED)
        settled.cancel()

    def stop(self) -> None:
        """Stop working on this partition.

        A batch that is being accepted must not wait for ever for room in the queue.
        """
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
        while not self._queue.empty():
            self._queue.get_nowait()
        self._metrics.released()

    async def _run_queue(self) -> None:
        try:
            while True:
                work = await self._queue.get()
                await self._send_effects(work.effects)
                self.settled_offset = work.offset
                self._unacknowledged += work.messages
                if work.checkpoint is not None:
                    await self._write_checkpoint(work.checkpoint)
                    self._acknowledge_offsets()
                if work.done is not None:
                    work.done.set()
                if work.effects and work.since_ms:
                    waited_ms = max(self._log.now_ms() - work.since_ms, 0)
                    metrics.EFFECT_SECONDS.observe(waited_ms / 1000)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  the outermost loop: nothing may be acknowledged after this
            self._worker.on_fault(f"partition {self.partition}", error)

    async def _send_effects(self, effects: Sequence[Effect]) -> None:
        """Send what the topics have not yet, each topic's in order, and wait until all are acknowledged."""
        batches: dict[tuple[str, int], list[NewRecord]] = {}
        new: list[Effect] = []
        for effect in effects:
            stream, mark = effect.stream, self._marks.get(effect.stream)
            if mark is not None and effect.position <= mark:
                continue  # sent before the crash that made us compute it again
            if stream is Stream.JOURNAL:
                assert effect.key is not None
                target = partition_of(effect.key, self._worker.settings.partitions)
                source = Source(
                    "journal", self.partition, effect.position.offset, effect.position.number
                )
                record = NewRecord(effect.key, effect.value, (source.header(),))
            else:
                target = self.partition
                headers = (effect.position.header(), *epoch_header(self._worker.epoch))
                record = NewRecord(effect.key, effect.kept_value, headers)
            new.append(effect)
            batches.setdefault((self._topic_name(stream), target), []).append(record)
        await asyncio.gather(
            *(append_all(self._log, topic, to, records) for (topic, to), records in batches.items())
        )
        self._metrics.sent(len(effects))
        count_effects(new)

    async def _write_checkpoint(self, checkpoint: Sequence[tuple[bytes, bytes | None]]) -> None:
        records = [NewRecord(key, value) for key, value in checkpoint]
        await self._log.append(self._topics.state, self.partition, records)
        size = sum(len(key) + len(value or b"") for key, value in checkpoint)
        self._metrics.checkpointed(len(records), size)

    def _acknowledge_offsets(self) -> None:
        for message in self._unacknowledged:
            message.ack(self._worker.consumer)
        self._unacknowledged.clear()

    def _topic_name(self, stream: Stream) -> str:
        topic: str = getattr(self._topics, stream)
        return topic
