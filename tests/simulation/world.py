"""Virtual time, brokers whose network is bad, and processes that can be killed and paused at any step.

The event loop is asyncio's own, but its clock moves only when everybody waits, so a run takes as
long as it computes, and the same seed gives the same run.
"""

import asyncio
from asyncio import base_events
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from contextvars import ContextVar
from random import Random
from typing import Any, NoReturn

from app.transport.log import Fenced, LogUnavailable, NewRecord, StoredRecord
from models.topics import TopicSpec
from tests.support.compaction import cleaned

LATE_S = 30.0  # within so long what a killed process had sent lands
Place = tuple[str, int]  # topic and partition


class Stuck(Exception):
    """Everybody waits for somebody else: in the real world, for ever."""


class VirtualLoop(base_events.BaseEventLoop):
    """An event loop without files and sockets, whose time is virtual seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = self
        self._time = 0.0
        self.set_task_factory(_of_process)

    def time(self) -> float:
        """Virtual seconds since the run began."""
        return self._time

    def select(self, timeout: float | None) -> list[Any]:
        """Nothing to wait for but time: let it pass."""
        if timeout is None:
            raise Stuck
        self._time += timeout
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""


class Process:
    """What lives and dies together: all tasks that were started within it."""

    def __init__(self, name: str, on_death: Callable[["Process"], None] | None = None) -> None:
        self.name = name
        self.alive = True
        self.error: BaseException | None = None  # a fault that no run may have
        self.running = asyncio.Event()  # not set: it is paused, and does not know
        self.running.set()
        self.steps_left = -1  # log operations until it is killed; below 0 it lives on
        self._tasks: dict[
            asyncio.Task[Any], None
        ] = {}  # a set's order would differ from run to run
        self._on_death = on_death

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run something as a part of this process."""
        token = _process.set(self)
        try:
            return asyncio.get_running_loop().create_task(work)
        finally:
            _process.reset(token)

    def adopt(self, task: "asyncio.Task[Any]") -> None:
        """Know a task of this process."""
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def step(self) -> None:
        """A point at which the process may be paused or killed."""
        await self.running.wait()
        if self.steps_left == 0:
            self.die()
            raise asyncio.CancelledError
        self.steps_left -= 1

    def die(self) -> None:
        """kill -9."""
        if self.alive:
            self.alive = False
            for task in list(self._tasks):
                task.cancel()
            if self._on_death is not None:
                self._on_death(self)

    def fault(self, what: str, error: BaseException) -> NoReturn:
        """What `app.worker.worker.crash_process` is to a real process."""
        if not isinstance(error, LogUnavailable | asyncio.CancelledError):
            self.error = error  # no weather is a reason for it
            error.add_note(f"{self.name}: {what}")
        self.die()
        raise asyncio.CancelledError


_process: ContextVar[Process | None] = ContextVar("process", default=None)


def _of_process(loop: Any, work: Any, **more: Any) -> "asyncio.Task[Any]":
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **more)
    process = _process.get()
    if process is not None:
        process.adopt(task)
    return task


class Cluster:
    """What the brokers have: partitions, who claimed them, and committed offsets."""

    def __init__(self, random: Random, start_ms: int) -> None:
        self.random = random
        self.now_ms = start_ms
        self.kept: dict[Place, list[StoredRecord]] = defaultdict(list)
        self.ends: dict[Place, int] = defaultdict(int)
        self.claims: dict[Place, int] = defaultdict(
            int
        )  # how often a place was claimed: the newest claim counts
        self.commits: dict[Place, int] = {}
        self.appended = asyncio.Event()
        self.storm = 0.0  # how likely it is that an append fails; half of those land all the same
        self.late = (
            0.0  # how likely it is that what a killed process had sent lands after its death
        )
        self.late_landings = 0
        self.on_the_way = 0  # of these, what has not landed yet

    def land(self, topic: str, partition: int, records: Sequence[NewRecord]) -> int:
        """Append a batch; its first offset."""
        place = (topic, partition)
        first = self.ends[place]
        self.kept[place] += [
            StoredRecord(first + n, self.now_ms, *record) for n, record in enumerate(records)
        ]
        self.ends[place] = first + len(records)
        self.appended.set()
        return first

    def compact(self, topic: str, partition: int, known: float = 1.0, done: float = 1.0) -> None:
        """Drop what has a newer value under its key, as a broker may do at any time, or leave that half done.

        A share of the records is `known`, and of these a share is `done`: see `cleaned`.
        """
        kept = self.kept[topic, partition]
        end = round(len(kept) * known)
        self.kept[topic, partition] = cleaned(kept, end, round(end * done))


class SimulatedLog:
    """`app.transport.log.Log` of one process, over a network that delays, loses and repeats."""

    def __init__(self, cluster: Cluster, process: Process) -> None:
        self.cluster = cluster
        self.process = process
        self._orders: dict[Place, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._claims: dict[Place, int] = {}

    async def start(self) -> None:
        """Nothing to connect."""

    async def stop(self) -> None:
        """Nothing to disconnect."""

    def now_ms(self) -> int:
        """The brokers' clock."""
        return self.cluster.now_ms

    async def ensure_topics(self, specs: Sequence[TopicSpec]) -> set[str]:
        """All topics are there."""
        return {spec.name for spec in specs}

    async def list_topics(self) -> dict[str, int]:
        """As many partitions of each as have records."""
        kept = [place for place, records in self.cluster.kept.items() if records]
        return {name: 1 + max(one for other, one in kept if other == name) for name, _ in kept}

    async def claim(self, topic: str, partition: int) -> None:
        """Fence whoever claimed it before."""
        await self._travel()
        self.cluster.claims[topic, partition] += 1
        self._claims[topic, partition] = self.cluster.claims[topic, partition]
        await self._travel()

    async def give_up(self, topic: str, partition: int) -> None:
        """Write as anybody."""
        self._claims.pop((topic, partition), None)

    async def append(self, topic: str, partition: int, records: Sequence[NewRecord]) -> int:
        """Append one batch, in the order of the calls, unless the network says otherwise."""
        cluster, batch, claim = self.cluster, list(records), self._claims.get((topic, partition))
        async with self._orders[topic, partition]:
            try:
                await self._travel()
            except asyncio.CancelledError:
                if cluster.random.random() < cluster.late:  # the packet is on its way already
                    cluster.late_landings += 1
                    cluster.on_the_way += 1
                    loop = asyncio.get_running_loop()
                    loop.call_later(
                        cluster.random.uniform(0, LATE_S),
                        self._land_late,
                        topic,
                        partition,
                        batch,
                        claim,
                    )
                raise
            fails = cluster.random.random() < cluster.storm
            if fails and cluster.random.random() < 0.5:
                raise LogUnavailable(f"{topic} {partition} does not answer")
            self._check_claim(topic, partition, claim)
            offset = cluster.land(topic, partition, batch)
            await self._travel()
            if fails:
                raise LogUnavailable(f"{topic} {partition} has it, but did not say so")
            return offset

    async def read(
        self, topic: str, partition: int, offset: int, max_records: int = 5000
    ) -> list[StoredRecord]:
        """Some of the records at the offset and after."""
        await self._travel()
        some = self.cluster.random.randint(1, min(max_records, 200))
        found = [
            record for record in self.cluster.kept[topic, partition] if record.offset >= offset
        ]
        return found[:some]

    async def start_offset(self, topic: str, partition: int) -> int:
        """The oldest offset that is kept."""
        await self._travel()
        kept = self.cluster.kept[topic, partition]
        return kept[0].offset if kept else 0

    async def end_offset(self, topic: str, partition: int) -> int:
        """The offset that the next record will get."""
        await self._travel()
        return self.cluster.ends[topic, partition]

    async def _travel(self) -> None:
        """A packet takes its time; its process may be paused or killed meanwhile."""
        await self.process.step()
        await asyncio.sleep(self.cluster.random.choice((0, 0.001, 0.02, 0.3)))
        await self.process.step()

    def _check_claim(self, topic: str, partition: int, claim: int | None) -> None:
        if claim is not None and self.cluster.claims[topic, partition] != claim:
            raise Fenced(f"{topic} {partition} belongs to another")

    def _land_late(
        self, topic: str, partition: int, records: Sequence[NewRecord], claim: int | None
    ) -> None:
        self.cluster.on_the_way -= 1
        with suppress(Fenced):
            self._check_claim(topic, partition, claim)
            self.cluster.land(topic, partition, records)
