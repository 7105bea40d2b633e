"""A policy that changes while Tocsin runs.

Through the journal, refused where it is broken, and the same in a replay.
"""

import asyncio
import json
import logging
import signal
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession
from prometheus_client import REGISTRY

from app.bridge.resources import Bridge
from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.files.policy_file import BadPolicy
from app.history.policies import policy_in
from app.settings import Settings
from app.transport.log import LogUnavailable, NewRecord, StoredRecord
from app.transport.sqlite import SqliteLog
from app.worker.policy_announcement import PolicyAnnouncer
from app.worker.policy_reload import PolicyReloader
from app.worker.worker import Worker
from models.journal import TICK, encode_policy
from models.topics import Topics
from tests.support.engines import Tocsin, assert_exactly_once, read_all, wait_until
from tests.support.fake_log import FakeLog
from tests.support.policy_owners import TEXT, fingerprint_of, text_of
from tests.support.shipped_policy import shipped

JOURNAL = Topics().journal


def put(file: Path, text: str | None) -> None:
    """Write a file, or remove it."""
    file.unlink(missing_ok=True)
    if text is not None:
        file.write_text(text)


def counted(result: str) -> float:
    """How often the policy was read again with this result."""
    return REGISTRY.get_sample_value("tocsin_policy_reloads_total", {"result": result}) or 0.0


def in_use(fingerprint: str) -> float | None:
    """What the metric says of a policy."""
    return REGISTRY.get_sample_value("tocsin_policy_info", {"fingerprint": fingerprint})


class Service:
    """A `tocsin up` on a folder, with a policy file of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "policy.yaml"
        self.file.write_text(text_of("data"))
        self.process = self.start()
        self._number = 0

    def start(self) -> Tocsin:
        """Another process on the same folder."""
        return Tocsin(
            "up",
            TOCSIN_BROKER=f"embedded:{self.folder}",
            TOCSIN_POLICY=str(self.file),
            TOCSIN_PARTITIONS="2",
        )

    def owners(self) -> set[tuple[str, str]]:
        """Who gets new alerts of two partitions, and by which policy."""
        self._number += 1
        names = [f"c{self._number}-{one}" for one in range(8)]
        self.process.post(
            "/api/v2/alerts", [{"labels": {"alertname": "A", "component": name}} for name in names]
        )
        found: list[dict[str, Any]] = []

        def all_there() -> bool:
            with urllib.request.urlopen(f"{self.process.url}/api/v1/incidents") as answer:
                found[:] = [
                    one for one in json.loads(answer.read())["items"] if one["component"] in names
                ]
            return len(found) == len(names)

        wait_until(all_there, "the incidents are open")
        return {(one["owner"], one["policy"]) for one in found}

    def metric(self, name: str) -> str:
        """A metric's line of the process."""
        with urllib.request.urlopen(f"{self.process.url}/metrics") as answer:
            return next(
                (line for line in answer.read().decode().splitlines() if line.startswith(name)), ""
            )


@pytest.mark.slow
def test_a_running_service_follows_its_policy_file(tmp_path: Path) -> None:
    """Changed, broken, repaired, by SIGHUP, over HTTP, and across a restart and a kill.

    A replay gives the same bytes.
    """
    service = Service(tmp_path)
    seen = [service.owners()]

    service.file.write_text(text_of("ai"))
    wait_until(
        lambda: service.metric(f'tocsin_policy_info{{fingerprint="{fingerprint_of("ai")}"') != "",
        "it is renewed",
    )
    seen.append(service.owners())

    service.file.write_text(text_of("nobody").replace("close_after: 5m", "close_afer: 5m"))
    status, answer = service.process.post("/-/reload", b"")
    seen.append(service.owners())

    service.file.write_text(text_of("security"))
    service.process.process.send_signal(signal.SIGHUP)
    wait_until(
        lambda: service.metric('tocsin_policy_reloads_total{result="changed"}')[-3:] == "2.0",
        "SIGHUP is followed",
    )
    seen.append(service.owners())

    service.process.stop()
    service.file.write_text(text_of("platform"))
    service.process = service.start()
    seen.append(service.owners())

    service.file.write_text(text_of("infrastructure"))
    changed = service.process.post("/-/reload", b"")
    service.process.kill()
    service.file.write_text(
        text_of("platform")
    )  # back to what the last checkpoint may have, while it was down
    service.process = service.start()
    wait_until(
        lambda: {owner for owner, _ in service.owners()} == {"platform"}, "the file is followed"
    )
    service.process.stop()

    assert seen == [
        {(owner, fingerprint_of(owner))} for owner in ("data", "ai", "ai", "security", "platform")
    ]
    answered = {"status": "success", "changed": True, "policy": fingerprint_of("infrastructure")}
    assert changed == (200, answered | {"receivers": False})
    assert (status, answer["status"], answer["reason"]) == (400, "error", "malformed")
    assert [problem.split(": ", 1)[1] for problem in answer["problems"]] == [
        "incidents.close_after: is missing, must be there",
        "incidents.close_afer: is not a key that there is here; did you mean 'close_after'?",
    ]

    told = asyncio.run(policies_told(tmp_path))
    known = [
        fingerprint_of(owner)
        for owner in ("data", "ai", "security", "platform", "infrastructure", "platform")
    ]
    assert told == [known, known]


async def policies_told(folder: Path) -> list[list[str]]:
    """The policies in each partition's journal, repetitions left out.

    The effects are those of a replay.
    """
    log = SqliteLog(folder, read_only=True)
    await log.start()
    try:
        await assert_exactly_once(log, Settings(broker=f"embedded:{folder}", partitions=2))
        found = []
        for partition in range(2):
            values = [
                orjson.loads(one.value or b"{}") for one in await read_all(log, JOURNAL, partition)
            ]
            told = [value["policy"] for value in values if "policy" in value]
            found.append(
                [one for number, one in enumerate(told) if told[number - 1 : number] != [one]]
            )
        return found
    finally:
        await log.stop()


def reloading(
    tmp_path: Path, run: Callable[[Path, PolicyReloader, list[str]], Awaitable[None]]
) -> list[str]:
    """The fingerprints that a user of a reloader was told of, short: the owner."""
    file = tmp_path / "policy.yaml"
    put(file, text_of("data"))
    told: list[str] = []

    async def use(policy: CompiledPolicy) -> None:
        told.append(policy.policy.default_owner)

    async def scenario() -> None:
        reloader = PolicyReloader(str(file))
        reloader.hand_to(use)
        await run(file, reloader, told)

    asyncio.run(scenario())
    return told


def test_what_is_refused_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log has every mistake in one line, the metrics say so, and the policy of before stays."""
    before = {result: counted(result) for result in ("changed", "same", "refused")}

    async def run(file: Path, reloader: PolicyReloader, _: list[str]) -> None:
        put(
            file,
            text_of("data")
            .replace("close_after: 5m", "close_after: 5 m")
            .replace("retain_resolved: 1h", "retain_resolved: soon"),
        )
        with pytest.raises(BadPolicy):
            await reloader.reload()
        put(file, None)
        with pytest.raises(BadPolicy, match="cannot be read"):
            await reloader.reload()
        put(file, f"# a comment\n{text_of('data')}")
        assert not await reloader.reload()
        assert (reloader.policy.fingerprint, in_use(fingerprint_of("data"))) == (
            fingerprint_of("data"),
            1.0,
        )
        put(file, text_of("ai"))
        assert await reloader.reload()
        assert (in_use(fingerprint_of("data")), in_use(fingerprint_of("ai"))) == (None, 1.0)

    with caplog.at_level(logging.INFO, logger="tocsin.policy"):
        told = reloading(tmp_path, run)

    assert told == ["ai"]
    first, second, same, renewed = [record.getMessage() for record in caplog.records]
    assert first.startswith(
        f"the policy is NOT renewed, {fingerprint_of('data')} stays in force: {tmp_path}/policy.yaml:"
    )
    assert "incidents.close_after: is '5 m', must be" in first
    assert "; " in first
    assert "incidents.retain_resolved: is 'soon', must be" in first
    assert "cannot be read: No such file" in second
    assert same == f"the policy is the same, {fingerprint_of('data')}"
    assert (
        renewed == f"the policy is renewed, from {fingerprint_of('data')} to {fingerprint_of('ai')}"
    )
    assert {result: counted(result) - before[result] for result in before} == {
        "changed": 1,
        "same": 1,
        "refused": 2,
    }


def test_a_file_is_read_when_it_keeps_still(tmp_path: Path) -> None:
    """While it is being written, what stands in it may look whole; a broken one is told of once."""

    async def run(file: Path, reloader: PolicyReloader, told: list[str]) -> None:
        await reloader.reload_if_changed()
        put(file, text_of("ai"))
        await reloader.reload_if_changed()
        put(file, text_of("security"))
        await reloader.reload_if_changed()
        assert told == []
        await reloader.reload_if_changed()
        assert told == ["security"]
        put(file, "nothing")
        before = counted("refused")
        for _ in range(4):
            await reloader.reload_if_changed()
        assert counted("refused") == before + 1

    assert reloading(tmp_path, run) == ["security"]


def test_a_fault_of_ours_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The watching goes on, and what comes next is followed."""

    async def run(file: Path, reloader: PolicyReloader, told: list[str]) -> None:
        async def faulty(policy: CompiledPolicy) -> None:
            assert policy.policy.default_owner != "ai"

        reloader.hand_to(faulty)
        put(file, text_of("ai"))
        await reloader.reload_quietly()
        put(file, text_of("security"))
        await reloader.reload_quietly()
        assert told == ["ai", "security"]

    reloading(tmp_path, run)

    assert [
        "a fault while the policy" in record.getMessage()
        for record in caplog.records
        if record.exc_info
    ] == [True]


def test_a_journal_that_is_away(tmp_path: Path) -> None:
    """The others are told all the same, and whoever asked hears of it."""

    async def run(file: Path, reloader: PolicyReloader, told: list[str]) -> None:
        async def away(_: CompiledPolicy) -> None:
            raise LogUnavailable("it is away")

        reloader.hand_to(away)
        reloader.hand_to(reloader._users[0])
        put(file, text_of("ai"))
        with pytest.raises(LogUnavailable):
            await reloader.reload()
        assert told == ["ai", "ai"]

    reloading(tmp_path, run)


def test_over_http(tmp_path: Path) -> None:
    """The bridge keys new components, and knows teams, by the new policy.

    It has the resource only where there is a file.
    """
    file = tmp_path / "policy.yaml"
    put(file, TEXT)
    log = FakeLog()
    alert = [{"labels": {"alertname": "A", "site": "x", "job": "y"}}]

    async def scenario() -> tuple[list[bytes | None], list[int]]:
        reloader = PolicyReloader(str(file))
        bridge = Bridge(Settings(port=0, partitions=1), reloader.policy, log, reloader=reloader)
        reloader.hand_to(bridge.use)
        await bridge.start()
        try:
            async with ClientSession() as session:
                statuses = []
                for text in (
                    TEXT,
                    TEXT.replace("  labels: [component,", "  labels: [site, component,"),
                ):
                    put(file, text)
                    async with session.post(f"{bridge.url}/-/reload") as answer:
                        statuses.append(answer.status)
                    async with session.post(f"{bridge.url}/api/v2/alerts", json=alert) as answer:
                        statuses.append(answer.status)
                async with session.post(
                    f"{bridge.url}/-/reload", headers={"Origin": "http://127.0.0.1"}
                ) as answer:
                    statuses.append(answer.status)
        finally:
            await bridge.stop()
        return [record.key for _, batch in log.batches for record in batch], statuses

    keys, statuses = asyncio.run(scenario())

    assert (keys, statuses) == ([b"y", b"x"], [200, 200, 200, 200, 403])
    assert "/-/reload" not in [
        route.path for route in Bridge(Settings(), shipped(), FakeLog()).routes()
    ]


def announced(
    journal: list[str], applied: int, owners: list[str], engine_owner: str = "data", away: int = -1
) -> list[str]:
    """The owners named by the policies that an announcer appended: on start, then one after the other.

    `journal` is what its partition has by then, of which the engine has applied so many records.
    """

    def policy(owner: str) -> CompiledPolicy:
        return CompiledPolicy(shipped().document | {"default_owner": owner})

    async def scenario() -> list[str]:
        log = FakeLog()
        for owner in journal:
            value = (
                TICK
                if owner == "tick"
                else encode_policy(policy(owner).fingerprint, policy(owner).document)
            )
            log.topics.setdefault((JOURNAL, 0), []).append(
                StoredRecord(len(log.topics.get((JOURNAL, 0), [])), log.at_ms, None, value)
            )
        records = list(log.topics.get((JOURNAL, 0), []))
        engine = Engine(0, policy(engine_owner))
        engine.apply(records[:applied])
        announcer = PolicyAnnouncer(log, JOURNAL, 0)
        if policy_in(records) is None:
            await announcer.begin(engine.policy)
        await announcer.start(engine, policy(owners[0]))
        engine.apply(records[applied:])
        for number, owner in enumerate(owners):
            log.away = {0} if number == away else set()
            try:
                await announcer.keep(engine, policy(owner))
            except LogUnavailable:
                assert number == away
        written = [
            orjson.loads(record.value or b"")["document"]["default_owner"]
            for _, batch in log.batches
            for record in batch
        ]
        return [str(one) for one in written]

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("journal", "applied", "owners", "away", "expected"),
    [
        ([], 0, ["data"], -1, ["data"]),  # a fresh journal begins with its policy
        (
            ["tick"],
            0,
            ["data", "data"],
            -1,
            ["data"],
        ),  # the bridge was faster than the first worker
        (
            ["tick"],
            0,
            ["ai", "ai"],
            -1,
            ["data", "ai"],
        ),  # it changed while the first worker took over: by both, in order
        (["data", "tick"], 0, ["data", "data"], -1, []),  # there was no checkpoint yet
        (["data", "tick"], 2, ["data", "data"], -1, []),
        (["data", "tick"], 2, ["ai", "ai"], -1, ["ai"]),  # the worker came back with another one
        (
            ["data", "ai"],
            1,
            ["data", "data"],
            -1,
            ["data"],
        ),  # the last owner's was not in the checkpoint
        (
            ["data", "ai"],
            1,
            ["ai", "ai"],
            -1,
            ["ai"],
        ),  # not known yet to be there; the engine passes over the second
        (
            ["data", "tick"],
            1,
            ["data", "ai", "data", "data"],
            -1,
            ["ai", "data"],
        ),  # changed and back, before it was applied
        (
            ["data"],
            1,
            ["data", "ai", "ai"],
            1,
            ["ai"],
        ),  # what the journal did not take is tried again
    ],
)
def test_the_newest_policy_of_a_journal_is_its_owners(
    journal: list[str], applied: int, owners: list[str], away: int, expected: list[str]
) -> None:
    """Whatever the owner before has left, and whenever the policy changes."""
    assert announced(journal, applied, owners, away=away) == expected


def test_a_policy_that_somebody_else_appends_is_answered() -> None:
    """A worker that does not know that it was replaced, or a request of a dead one: in the end the owner's own is in force.

    While its own append is on the way, or is not applied yet, nothing is appended a second time.
    """

    async def scenario() -> tuple[list[str], str]:
        log, mine, other = (
            FakeLog(),
            shipped(),
            CompiledPolicy(shipped().document | {"default_owner": "ai"}),
        )
        engine, announcer = Engine(0, mine), PolicyAnnouncer(log, JOURNAL, 0)
        await announcer.begin(mine)
        await announcer.start(engine, mine)

        async def apply() -> None:
            engine.apply(
                [one for one in log.topics[JOURNAL, 0] if one.offset > engine.applied_offset]
            )
            log.open.clear()
            first = asyncio.create_task(announcer.keep(engine, mine))
            await asyncio.sleep(0)
            second = asyncio.create_task(announcer.keep(engine, mine))
            await asyncio.sleep(0)
            log.open.set()
            await asyncio.gather(first, second)
            await announcer.keep(engine, mine)

        await apply()
        for _ in range(2):
            log.put(JOURNAL, 0, [NewRecord(None, encode_policy(other.fingerprint, other.document))])
            await apply()
            await apply()
        values = [orjson.loads(record.value or b"") for record in log.topics[JOURNAL, 0]]
        return [
            one["document"]["default_owner"] for one in values
        ], engine.policy.policy.default_owner

    mine = shipped().policy.default_owner

    assert asyncio.run(scenario()) == ([mine, "ai", mine, "ai", mine], mine)


def test_a_worker_hands_a_policy_to_its_partitions() -> None:
    """Those that it owns, at once; one that is away gets it with a batch that comes later."""

    async def scenario() -> list[tuple[int, str]]:
        log, policy = FakeLog(), shipped()
        worker = Worker(Settings(partitions=3), policy, log, Topics())
        for partition in (0, 2):
            await worker.take_over(partition, 1)
        log.batches.clear()
        log.away = {2}
        other = CompiledPolicy(policy.document | {"default_owner": "ai"})
        with pytest.raises(LogUnavailable):
            await worker.use(other)
        log.away = set()
        await worker.pipes[2].announce_policy()
        worker.release()
        return [
            (partition, orjson.loads(batch[0].value or b"")["policy"])
            for partition, batch in log.batches
        ]

    fingerprint = fingerprint_of("ai")
    assert asyncio.run(scenario()) == [(0, fingerprint), (2, fingerprint)]


def test_a_policy_that_changes_while_a_partition_is_taken_over() -> None:
    """It is in force without waiting for the partition's next record."""

    async def scenario() -> list[str]:
        log, first, newest = (
            FakeLog(),
            *(
                CompiledPolicy(shipped().document | {"default_owner": one})
                for one in ("ai", "data")
            ),
        )
        log.put(JOURNAL, 0, [NewRecord(None, encode_policy(first.fingerprint, first.document))])
        log.open.clear()
        worker = Worker(Settings(partitions=1), shipped(), log, Topics())
        taking = asyncio.create_task(worker.take_over(0, 1))
        await log.called.wait()  # its policy is on the way
        await worker.use(newest)
        log.open.set()
        await taking
        worker.release()
        return [orjson.loads(one.value or b"")["policy"] for one in log.topics[JOURNAL, 0]]

    assert asyncio.run(scenario()) == [
        fingerprint_of("ai"),
        shipped().fingerprint,
        fingerprint_of("data"),
    ]


def test_two_workers_begin_one_journal() -> None:
    """Who is second goes by what the first has written: a partition has one beginning."""

    async def scenario() -> tuple[str, list[str]]:
        log, first = FakeLog(), CompiledPolicy(shipped().document | {"default_owner": "ai"})
        log.put(JOURNAL, 0, [NewRecord(None, TICK)])
        log.open.clear()
        worker = Worker(Settings(partitions=1), shipped(), log, Topics())
        taking = asyncio.create_task(worker.take_over(0, 1))
        await log.called.wait()  # it has read that there is none
        log.put(JOURNAL, 0, [NewRecord(None, encode_policy(first.fingerprint, first.document))])
        log.open.set()
        await taking
        began = worker.pipes[0].engine.policy.fingerprint
        worker.release()
        return began, [
            orjson.loads(one.value or b"").get("policy", "") for one in log.topics[JOURNAL, 0]
        ]

    told = ["", fingerprint_of("ai"), shipped().fingerprint, shipped().fingerprint]
    assert asyncio.run(scenario()) == (fingerprint_of("ai"), told)


def test_before_the_first_checkpoint_a_partition_begins_as_its_journal() -> None:
    """What a worker with another policy has told is not decided anew by ours.

    Ours is in force after it.
    """

    async def scenario() -> tuple[str, list[str]]:
        log, first, other = (
            FakeLog(),
            CompiledPolicy(shipped().document | {"default_owner": "ai"}),
            shipped(),
        )
        log.put(
            JOURNAL, 0, [NewRecord(None, TICK), NewRecord(None, b'{"policy":"x","document":{}}')]
        )
        log.put(JOURNAL, 0, [NewRecord(None, encode_policy(first.fingerprint, first.document))])
        worker = Worker(Settings(partitions=1), other, log, Topics())
        await worker.take_over(0, 1)
        began = worker.pipes[0].engine.policy.fingerprint
        worker.release()
        return began, [orjson.loads(batch[0].value or b"")["policy"] for _, batch in log.batches]

    assert asyncio.run(scenario()) == (fingerprint_of("ai"), [shipped().fingerprint])
