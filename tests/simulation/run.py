"""A run.

The plan's steps happen, everything is mended, and what is left must be what an undisturbed engine
leaves.
"""

import asyncio
import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson

from app.bridge.writer import JournalWriter
from app.core.alerts import dedup
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.turn import Turn
from app.settings import Settings
from app.transport.log import LogUnavailable, NewRecord
from app.worker.worker import PartitionPipe
from models.alert import fingerprint
from models.journal import encode_command, encode_policy, encode_silence
from models.matcher import parse_matcher
from models.silence import Silence
from models.text.instant import format_instant
from models.topics import Topics, partition_of
from tests.simulation.group import SESSION_S, Group, Member
from tests.simulation.plan import Plan, Step
from tests.simulation.world import Cluster, Process, SimulatedLog, VirtualLoop
from tests.support.scenario import START_MS, alert_record
from tests.support.shipped_policy import shipped

POLICY = shipped()
# Of single alerts in the raw topic: an end that moves on, and gives them the time to live of others.
RAW_STARTS = format_instant(START_MS)
RAW_ENDS_MS = 300_000
_CHANGED = {"agents-down": {"count": 2, "by": ["severity"]}, "needs-ollama": {"by": ["severity"]}}
_ADDED = {
    "correlations": {
        "name": "errors-everywhere",
        "match": ['alertname=~"HighErrorRate|ServiceDown"'],
        "count": 2,
        "by": [],
        "within": "1h",
        "correlation_wait": "1m",
        "open": {"severity": "P1", "owner": "ai", "title": "{count} in trouble"},
    },
    "dependencies": {
        "name": "needs-api",
        "root": ['component="api"', 'alertname="ServiceDown"'],
        "dependants": ['alertname="HighErrorRate"'],
        "within": "1h",
        "correlation_wait": "1m",
        "grace": "1m",
    },
}


def _other() -> CompiledPolicy:
    """The shipped policy with another time to settle, and with rules that are added, changed and gone."""
    document = POLICY.document | {
        "incidents": POLICY.document["incidents"] | {"close_after": "2m"},
        "inhibit_rules": [],
    }
    for section, added in _ADDED.items():
        kept = [
            one | _CHANGED.get(one["name"], {})
            for one in document[section]
            if one["name"] != "needs-postgres"
        ]
        document[section] = [*kept, added]
    return CompiledPolicy(document)


OTHER = _other()
TOPICS = Topics()
PATIENCE_S = 3_000.0  # virtual; a run that is not over by then hangs


class Hangs(Exception):
    """The workers do not get to the journal's end, though nothing is broken any more."""


@dataclass
class Outcome:
    """What a run left behind."""

    cluster: Cluster
    deaths: int
    zombies: int
    sent: list[
        tuple[int, bytes]
    ]  # partitions and values that the journal acknowledged to the bridge
    raw: list[
        int
    ]  # journal records that each record of the raw topic becomes, which are all in partition 0
    policy: CompiledPolicy  # that the workers had at the end


class Run:
    """One run of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.random = Random(plan.seed)
        self.cluster = Cluster(self.random, START_MS)
        self.cluster.late = plan.world.late
        settings = Settings(
            partitions=plan.world.partitions, checkpoint_ms=plan.world.checkpoint_ms
        )
        self.group = Group(self.cluster, settings, POLICY, TOPICS)
        self.bridge = Process("bridge")
        self.writer = JournalWriter(
            SimulatedLog(self.cluster, self.bridge), TOPICS.journal, plan.world.partitions
        )
        self.heard: list[dict[str, str]] = []
        self.outcome = Outcome(self.cluster, 0, 0, [], [], POLICY)

    async def play(self) -> Outcome:
        """Let it all happen, mend everything, and wait until all is done."""
        coordinator = asyncio.create_task(self.group.coordinate())
        for _ in range(self.plan.world.workers):
            self.group.start()
        for step in self.plan.steps:
            await asyncio.sleep(step.wait_s)
            self._happen(step)
        await self._mend()
        coordinator.cancel()
        if self.group.error is not None:
            raise self.group.error
        self.outcome.deaths, self.outcome.policy = self.group.deaths, self.group.policy
        return self.outcome

    def _happen(self, step: Step) -> None:
        member = self._somebody(step.detail) if isinstance(step.detail, int) else None
        match step.kind:
            case "jump":
                self.cluster.now_ms += step.detail
            case "weather":
                self.cluster.storm = step.detail
            case "compact":
                number, known, done = step.detail
                self.cluster.compact(TOPICS.state, number % self.plan.world.partitions, known, done)
            case "raw":
                self._send_raw(*step.detail)
            case "join":
                if len(self.group.living()) < 3:
                    self.group.start()
            case "tick" | "kill" | "kill_soon" | "leave" | "pause" | "resume":
                if member is not None:
                    self._disturb(step, member)
            case "policy" if step.detail >= 3:
                self._reload((POLICY, OTHER)[step.detail % 2])
            case _:
                self.bridge.spawn(self._send(step))

    def _reload(self, policy: CompiledPolicy) -> None:
        """The policy file changed: whoever runs is told, and whoever starts reads it."""
        self.group.policy = policy
        for member in self.group.started:
            if member.process.alive:
                member.process.spawn(_use(member, policy))

    def _disturb(self, step: Step, member: Member) -> None:
        process, loop = member.process, asyncio.get_running_loop()
        match step.kind:
            case "tick":
                process.spawn(_tick(member))
            case "kill":
                process.die()
            case "kill_soon":
                process.steps_left = step.detail
            case "leave":
                loop.create_task(self.group.leave(member))
            case "pause":
                process.running.clear()
                loop.call_later(SESSION_S, self._lose_if_paused, member)
                loop.call_later(SESSION_S * 4, self._resume, member)
            case _:
                self._resume(member)

    def _somebody(self, number: int) -> Member | None:
        living = self.group.living()
        return living[number % len(living)] if living else None

    def _lose_if_paused(self, member: Member) -> None:
        if member.process.alive and not member.process.running.is_set():
            self.outcome.zombies += 1
            self.group.lose(member)

    def _resume(self, member: Member) -> None:
        if not member.process.running.is_set():
            member.process.running.set()
            after_s = self.random.choice((0.0, 0.5, 3.0))
            loop = asyncio.get_running_loop()
            loop.call_later(after_s, lambda: loop.create_task(self.group.found_out(member)))

    def _send_raw(self, alerts: list[dict[str, str]], broken: bool) -> None:
        entries = [{"labels": labels} for labels in alerts]
        values = [orjson.dumps(entries)]
        if len(entries) == 1:  # as a producer of single alerts says one again and again
            values = [
                orjson.dumps(entries[0] | {"startsAt": RAW_STARTS, "endsAt": format_instant(at_ms)})
                for at_ms in range(
                    self.cluster.now_ms + RAW_ENDS_MS - 2, self.cluster.now_ms + RAW_ENDS_MS + 1
                )
            ]
        for value in values:
            self.cluster.land(TOPICS.raw, 0, [NewRecord(None, value[: 20 if broken else None])])
            self.outcome.raw.append(1 if broken else len(alerts))

    async def _send(self, step: Step) -> None:
        """Send something through the bridge until it is acknowledged, as its senders do."""
        everywhere, key, value = self._record(step)
        if value is None:
            return
        while True:
            try:
                if everywhere:
                    await self.writer.broadcast([NewRecord(None, value)])
                elif isinstance(key, int):
                    await self.writer.append_to({key: [NewRecord(b"", value)]})
                else:
                    await self.writer.append([NewRecord(key, value)])
            except LogUnavailable:
                await asyncio.sleep(1.0)
            else:
                partitions = self.plan.world.partitions
                targets = range(partitions) if everywhere else (_target(key, partitions),)
                self.outcome.sent += [(target, value) for target in targets]
                return

    def _record(self, step: Step) -> tuple[bool, bytes | int | None, bytes | None]:
        """Whether it goes everywhere, its key (or partition), and its value.

        None when there is nothing to say.
        """
        now_ms = self.cluster.now_ms
        match step.kind:
            case "alert" | "again":
                if step.kind == "alert":
                    labels, ttl_ms, over = step.detail
                    self.heard.append(labels)
                elif self.heard:
                    over, ttl_ms = step.detail
                    labels = self.random.choice(self.heard)
                else:
                    return False, None, None
                component = POLICY.place(labels, fingerprint(labels)).key
                record = alert_record(now_ms, labels, component, firing=not over, ttl_ms=ttl_ms)
                return False, record.key, record.value
            case "command":
                command, number = step.detail
                partition = number % self.plan.world.partitions
                known = self.cluster.kept[TOPICS.incidents, partition]
                whose = (
                    (known[number % len(known)].key or b"").decode()
                    if known
                    else "INC-20250615T150640Z-000"
                )
                into = (known[(number + 1) % len(known)].key or b"").decode() if known else whose
                return (
                    False,
                    partition,
                    encode_command(
                        command, whose, "ann", text="hm", eta_ms=now_ms + 60_000, into=into
                    ),
                )
            case "silence":
                matcher, lasts_ms = step.detail
                name = f"s{now_ms}"
                tests = (parse_matcher(matcher),)
                return (
                    True,
                    None,
                    encode_silence(Silence(name, tests, now_ms, now_ms + lasts_ms, "ann", "")),
                )
            case "policy":
                changed = (POLICY, OTHER)[step.detail % 2]
                return True, None, encode_policy(changed.fingerprint, changed.document)
            case _:
                return False, b"garbage", step.detail

    async def _mend(self) -> None:
        """End what is broken, wait until everything is applied, and stop the workers as an operator would."""
        self.cluster.storm = 0.0
        for member in self.group.living():
            member.process.steps_left = -1
            self._resume(member)
        await asyncio.sleep(5 * SESSION_S)
        until = asyncio.get_running_loop().time() + PATIENCE_S
        self.cluster.late = 0.0
        while not self._done():
            if asyncio.get_running_loop().time() > until:
                raise Hangs
            for member in self.group.members:
                member.process.spawn(
                    _tick(member)
                )  # what a journal did not take comes with a later batch
            await asyncio.sleep(1.0)
        for member in list(self.group.members):
            await self.group.leave(member)

    def _done(self) -> bool:
        owners = {
            partition: pipe
            for one in self.group.members
            for partition, pipe in one.worker.pipes.items()
        }
        raw = self.cluster.commits.get((TOPICS.raw, 0), 0) == len(self.outcome.raw)
        for member in self.group.members:
            member.commit()
        return (
            raw
            and not self.cluster.on_the_way
            and all(
                partition in owners and self._is_up_to_date(partition, owners[partition])
                for partition in range(self.plan.world.partitions)
            )
        )

    def _is_up_to_date(self, partition: int, pipe: PartitionPipe) -> bool:
        """Whether everything is sent, under the policy that the workers have.

        Others' policies are answered with it.
        """
        sent = pipe.settled_offset == self.cluster.ends[TOPICS.journal, partition] - 1
        return sent and pipe.engine.policy.fingerprint == self.group.policy.fingerprint


def _target(key: bytes | int | None, partitions: int) -> int:
    return key if isinstance(key, int) else partition_of(key or b"", partitions)


async def _tick(member: Member) -> None:
    try:
        await member.worker.tick()
    except LogUnavailable as error:
        member.process.fault("tick", error)


async def _use(member: Member, policy: CompiledPolicy) -> None:
    with suppress(LogUnavailable):  # it is in the journal with a batch that comes later
        await member.worker.use(policy)


@contextmanager
def faulty(*, poison: bool) -> Iterator[None]:
    """An engine with a fault.

    Alerts named Poison make it raise, after it has done half of its work.
    """
    on_alert = dedup.on_alert

    def raising(turn: Turn, document: dict[str, Any], key: str) -> None:
        on_alert(turn, document, key)
        assert document["labels"].get("alertname") != "Poison"

    if poison:
        dedup.on_alert = raising
    try:
        yield
    finally:
        dedup.on_alert = on_alert


def run(plan: Plan) -> Outcome:
    """Make the plan's run."""
    logging.disable(logging.CRITICAL)
    loop = VirtualLoop()
    gc.disable()
    try:
        with faulty(poison=plan.world.poison):
            return loop.run_until_complete(Run(plan).play())
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        gc.enable()
        logging.disable(logging.NOTSET)
