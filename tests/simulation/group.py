"""Workers and how they share the partitions.

What Kafka's group and Faust's consumer do, at its worst times.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from agents import correlate, ingest
from app.core.rules.compiled_policy import CompiledPolicy
from app.settings import Settings
from app.worker.worker import Worker
from models.topics import Topics
from tests.simulation.world import Cluster, Place, Process, SimulatedLog

SESSION_S = 10.0  # after so long without a sign of life a worker loses its partitions
REBALANCE_S = 20.0  # so long it may take to give them up
RESTART_S = 3.0  # until a supervisor starts a dead worker again
AGAIN = 0.05  # how likely it is that a batch begins with records that were handed over before


@dataclass
class Message:
    """A batch, as Faust hands it over."""

    partition: int
    generation_id: int
    value: Any
    offset: int
    member: "Member"
    place: Place

    def ack(self, _: Any) -> None:
        """Faust commits it later, unless the partitions have moved meanwhile."""
        if self.generation_id == self.member.generation:
            self.member.acked[self.place] = max(
                self.offset + 1, self.member.acked.get(self.place, 0)
            )


@dataclass
class Event:
    """What an agent gets."""

    message: Message


@dataclass
class Stream:
    """What an agent reads from; `noack` is Faust's way to say that the agent acknowledges."""

    process: Process
    queue: "asyncio.Queue[Message]"

    def noack(self) -> "Stream":
        """The same: nothing is acknowledged here."""
        return self

    def events(self) -> "Stream":
        """One batch after the other, also those of partitions that were lost meanwhile.

        There is no end.
        """
        return self

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> Event:
        message = await self.queue.get()
        await self.process.step()
        return Event(message)


Agent = Callable[[Stream], Coroutine[Any, Any, None]]


class App:
    """What the agents are attached to."""

    consumer = None

    def __init__(self) -> None:
        self.agents: dict[str, Agent] = {}  # by the topic that they read

    def topic(self, name: str, **_: Any) -> str:
        """Topics are names here."""
        return name

    def agent(self, topic: str, **_: Any) -> Callable[[Agent], None]:
        """Note an agent."""
        return partial(self.agents.__setitem__, topic)


@dataclass
class Member:
    """One worker process and its consumer."""

    process: Process
    group: "Group"
    worker: Worker = field(init=False)
    generation: int = 0
    positions: dict[Place, int] = field(default_factory=dict)
    acked: dict[Place, int] = field(default_factory=dict)
    queues: dict[str, "asyncio.Queue[Message]"] = field(
        default_factory=dict
    )  # between the fetcher and the agents
    flowing: bool = False
    turns: asyncio.Lock = field(default_factory=asyncio.Lock)  # one rebalance after the other

    def __post_init__(self) -> None:
        log = SimulatedLog(self.group.cluster, self.process)
        self.worker = Worker(
            self.group.settings, self.group.policy, log, self.group.topics, self.process.fault
        )
        app = App()
        correlate.attach_correlate(app, self.worker)
        ingest.attach(app, self.worker)
        for topic, agent in app.agents.items():
            self.queues[topic] = asyncio.Queue(maxsize=4)
            self.process.spawn(agent(Stream(self.process, self.queues[topic])))

    async def revoke(self) -> None:
        """`BatchMixin.on_partitions_revoked`."""
        self.flowing = False
        await self.worker.settle()
        self.commit()
        self.worker.release()

    async def assign(self, generation: int, places: Iterable[Place]) -> None:
        """`BatchMixin.perform_seek`, and then the fetcher.

        What is queued of before stays queued.
        """
        self.generation = generation
        self.positions, self.acked = {}, {}
        for topic, partition in sorted(places):
            if topic == self.group.topics.journal:
                self.positions[topic, partition] = await self.worker.take_over(
                    partition, generation
                )
            else:
                self.positions[topic, partition] = self.group.cluster.commits.get(
                    (topic, partition), 0
                )
        self.flowing = True
        for topic in self.queues:
            self.process.spawn(self._fetch(topic, generation))

    def commit(self) -> None:
        """Commit what was acknowledged; the group refuses who is no member any more."""
        if self.generation == self.group.generation and self in self.group.members:
            self.group.cluster.commits.update(self.acked)

    async def _fetch(self, topic: str, generation: int) -> None:
        """Batches of random sizes, of random partitions.

        Some begin with what was handed over before.
        """
        cluster, random = self.group.cluster, self.group.cluster.random
        while self.flowing and self.generation == generation:
            await self.process.step()
            ready = [
                place
                for place, at in self.positions.items()
                if place[0] == topic and at < cluster.ends[place]
            ]
            if not ready:
                cluster.appended.clear()
                await cluster.appended.wait()
                continue
            place = random.choice(ready)
            again = random.randint(1, 5) if random.random() < AGAIN else 0
            kept = [
                record
                for record in cluster.kept[place]
                if record.offset >= self.positions[place] - again
            ]
            records = kept[: random.choice((1, 2, 5, 40))]
            self.positions[place] = max(self.positions[place], records[-1].offset + 1)
            await self.queues[topic].put(
                Message(place[1], generation, records, records[-1].offset, self, place),
            )


class Group:
    """The group's coordinator, and a supervisor for its workers."""

    def __init__(
        self, cluster: Cluster, settings: Settings, policy: CompiledPolicy, topics: Topics
    ) -> None:
        self.cluster, self.settings, self.policy, self.topics = cluster, settings, policy, topics
        self.generation = 0
        self.members: list[Member] = []
        self.waiting: list[Member] = []  # want to be members
        self.started: list[Member] = []  # all, also those that were lost and do not know
        self.deaths = 0
        self.error: BaseException | None = None
        self._changed = asyncio.Event()
        self._stable = asyncio.Event()

    def start(self) -> Member:
        """Start a worker; it joins."""
        member = Member(Process(f"worker-{len(self.started) + 1}", self._on_death), self)
        self.started.append(member)
        self.join(member)
        return member

    def join(self, member: Member) -> None:
        """Let a worker into the group at the next rebalance."""
        self.waiting.append(member)
        self._stir()

    def living(self) -> list[Member]:
        """The workers whose processes are there, paused ones too."""
        return [one for one in (*self.members, *self.waiting) if one.process.alive]

    async def leave(self, member: Member) -> None:
        """A worker stops as an operator wants it to."""
        await self._in(member, member.revoke)
        member.process.die()

    def lose(self, member: Member) -> None:
        """No sign of life for a session: whatever it does now, it does without knowing."""
        if member in self.members:
            self.members.remove(member)
            self._stir()

    async def found_out(self, member: Member) -> None:
        """A worker that was lost finds out: it gives up what it had, and joins again."""
        if member.process.alive and member not in self.members and member not in self.waiting:
            await self._in(member, member.revoke)
            if member.process.alive:
                self.join(member)

    async def coordinate(self) -> None:
        """Rebalance whenever the members change."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._rebalance()
            if not self._changed.is_set():
                self._stable.set()

    async def stable(self) -> None:
        """Wait until the members have their partitions."""
        await self._stable.wait()

    async def _rebalance(self) -> None:
        members = [one for one in self.members if one.process.alive]
        await asyncio.gather(*(self._in(one, one.revoke, REBALANCE_S) for one in members))
        late = [one for one in members if not one.process.running.is_set()]
        joined, self.waiting = self.waiting, []
        self.members = [one for one in (*members, *joined) if one.process.alive and one not in late]
        self.generation += 1
        if not self.members:
            return
        for place, member in self._shares():
            member.append(place)
        await asyncio.gather(
            *(
                self._in(
                    one, partial(one.assign, self.generation, self._given[id(one)]), REBALANCE_S
                )
                for one in self.members
            )
        )

    def _shares(self) -> list[tuple[Place, list[Place]]]:
        self._given: dict[int, list[Place]] = {id(one): [] for one in self.members}
        lists = list(self._given.values())
        self.cluster.random.shuffle(lists)
        topics = (self.topics.journal, self.topics.raw)
        places = [
            (topic, partition) for topic in topics for partition in range(self.settings.partitions)
        ]
        return [(place, lists[number % len(lists)]) for number, place in enumerate(places)]

    async def _in(
        self, member: Member, work: Callable[[], Awaitable[None]], within_s: float = 1e9
    ) -> None:
        """Run a part of a member's work in its process.

        Its death ends it, and a pause makes it late.
        """
        if member.process.alive:
            await asyncio.wait({member.process.spawn(_in_turn(member, work))}, timeout=within_s)

    def _on_death(self, process: Process) -> None:
        self.deaths += 1
        self.error = self.error or process.error
        loop = asyncio.get_running_loop()
        loop.call_later(self.cluster.random.choice((0.1, SESSION_S)), self._bury, process)
        loop.call_later(RESTART_S, self._replace)

    def _bury(self, process: Process) -> None:
        self.members = [one for one in self.members if one.process is not process]
        self._stir()

    def _replace(self) -> None:
        if not self.living():
            self.start()

    def _stir(self) -> None:
        self._stable.clear()
        self._changed.set()


async def _in_turn(member: Member, work: Callable[[], Awaitable[None]]) -> None:
    async with member.turns:
        await work()
