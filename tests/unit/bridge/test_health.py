"""What the bridge says of Tocsin's own health."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession

from app.bridge.board import availability
from app.bridge.health.health_watch import HEADER, header_text
from app.bridge.health.problems import Problem, ProblemKind, receivers_down, worker_problems
from app.core.engine import Engine
from app.core.state.changelog import META
from app.history.worker_watch import PartitionSign
from app.transport.log import NewRecord, StoredRecord
from models.effect import Position
from models.journal import TICK, encode_tick
from tests.support.fake_log import FakeLog
from tests.support.hand_stopwatch import HandStopwatch
from tests.support.served_bridge import PARTITIONS, Client, serving
from tests.support.shipped_policy import shipped

STATE = "tocsin.state"
ALERTS = "tocsin.alerts"


class Workers:
    """An engine for each partition, with the checkpoints that their workers write."""

    def __init__(self, log: FakeLog) -> None:
        self.log = log
        self.engines = [Engine(partition, shipped()) for partition in range(PARTITIONS)]
        self.number = 0

    def work(self, *, ticks: bool = True) -> None:
        """Apply a record of each partition, and write a checkpoint."""
        self.number += 1
        value = encode_tick("run", self.number * 1000) if ticks else TICK
        for partition, engine in enumerate(self.engines):
            offset = self.log.put("tocsin.journal", partition, [NewRecord(None, value)])
            engine.apply([StoredRecord(offset, self.log.at_ms, None, value)])
            records = [NewRecord(key, item) for key, item in engine.checkpoint()]
            self.log.put(STATE, partition, records)


def watched(look: Callable[[Client, Workers, HandStopwatch], Awaitable[Any]]) -> Any:
    """What `look` returns of a bridge beside workers that have worked once."""
    log, stopwatch = FakeLog(), HandStopwatch()

    async def talk() -> Any:
        async with serving(log, stopwatch=stopwatch) as client:
            workers = Workers(log)
            workers.work()
            stopwatch.now_ms += 2000
            await client.ask("GET", "/api/v1/health")
            return await look(client, workers, stopwatch)

    return asyncio.run(talk())


def test_all_is_well() -> None:
    """While workers report, the bridge says that Tocsin is well, and for each partition how it knows."""

    async def look(client: Client, workers: Workers, stopwatch: HandStopwatch) -> Any:
        stopwatch.now_ms += 12_000
        workers.work()
        return await client.ask("GET", "/api/v1/health"), await client.ask("GET", "/readyz")

    (status, document), ready = watched(look)

    signs = [
        {"partition": number, "applied_offset": 1, "checkpoint_age_ms": 0, "tick_age_ms": 0}
        for number in range(PARTITIONS)
    ]
    assert (status, document["status"], document["problems"]) == (200, "well", [])
    assert document["partitions"] == signs
    assert ready == (200, {"status": "ready"})


def test_a_dead_worker_is_told_and_the_bridge_stays_ready() -> None:
    """Without checkpoints for 10 s monitors get 503; alerts are taken as before."""

    async def look(client: Client, _: Workers, stopwatch: HandStopwatch) -> Any:
        stopwatch.now_ms += 12_000
        health = await client.ask("GET", "/api/v1/health")
        async with client.session.get(f"{client.url}/metrics") as response:
            scraped = await response.text()
        sent = await client.post([{"labels": {"alertname": "A", "component": "c"}}])
        return health, await client.ask("GET", "/readyz"), sent, scraped

    (status, document), ready, sent, scraped = watched(look)

    text = "No worker has reported for 12s in 2 of 2 partitions"
    assert (status, document["status"]) == (503, "degraded")
    assert document["problems"] == [{"problem": "no_worker", "text": text}]
    assert ready == (200, {"status": "degraded", "problems": [text]})
    assert sent[0] == 200
    assert 'tocsin_degraded{problem="no_worker"} 1.0' in scraped
    assert 'tocsin_degraded{problem="behind"} 0.0' in scraped
    assert 'tocsin_checkpoint_age_seconds{partition="1"} 12.0' in scraped


def test_a_worker_that_comes_back() -> None:
    """With its first checkpoint all is well again."""

    async def look(client: Client, workers: Workers, stopwatch: HandStopwatch) -> Any:
        stopwatch.now_ms += 12_000
        dead = await client.ask("GET", "/api/v1/health")
        stopwatch.now_ms += 2000
        workers.work()
        return dead[0], (await client.ask("GET", "/api/v1/health"))[0]

    assert watched(look) == (503, 200)


def test_time_that_stands_still() -> None:
    """Checkpoints without ticks are told apart from a dead worker: nobody is reminded, and nothing is late."""

    async def look(client: Client, workers: Workers, stopwatch: HandStopwatch) -> Any:
        for _ in range(3):
            stopwatch.now_ms += 5000
            workers.work(ticks=False)
            answer = await client.ask("GET", "/api/v1/health")
        return answer

    status, document = watched(look)

    text = "Time has stood still for 15s in 2 of 2 partitions"
    assert status == 503
    assert document["problems"] == [{"problem": "no_ticks", "text": text}]


def test_every_answer_says_that_tocsin_is_degraded() -> None:
    """A header of each answer, also of a refusal, so that commands can tell it; none while all is well."""

    async def header(session: ClientSession, url: str) -> list[str | None]:
        found = []
        for path in ("/api/v1/incidents", "/nothing"):
            async with session.get(url + path) as response:
                found.append(response.headers.get(HEADER))
        return found

    async def look(client: Client, _: Workers, stopwatch: HandStopwatch) -> Any:
        well = await header(client.session, client.url)
        stopwatch.now_ms += 12_000
        await client.ask("GET", "/readyz")
        return well, await header(client.session, client.url)

    text = "No worker has reported for 12s in 2 of 2 partitions"
    assert watched(look) == ([None, None], [text, text])


def test_a_receiver_that_is_down() -> None:
    """What the notifier says of a receiver is told until it is over."""

    def alert(log: FakeLog, state: str) -> None:
        document = {
            "state": state,
            "labels": {"alertname": "TocsinReceiverDown", "receiver": "hook"},
        }
        number = len(log.topics.get((ALERTS, 0), []))
        headers = (Position(number, 0).header(),)
        value = orjson.dumps(document)
        log.put(ALERTS, 0, [NewRecord(b"0123", value, headers)])

    async def look(client: Client, workers: Workers, stopwatch: HandStopwatch) -> Any:
        answers = []
        for state in ("active", "resolved"):
            alert(workers.log, state)
            stopwatch.now_ms += 2000
            answers.append(await client.ask("GET", "/api/v1/health"))
        return [document["problems"] for _, document in answers]

    text = "The receiver hook does not answer"
    assert watched(look) == [[{"problem": "receiver_down", "text": text}], []]


def test_partitions_that_somebody_added() -> None:
    """What is written to a partition that nobody reads is told at the next look, a minute later."""

    async def look(client: Client, workers: Workers, stopwatch: HandStopwatch) -> Any:
        workers.log.put("tocsin.alerts.raw", PARTITIONS + 3, [NewRecord(None, b"{}")])
        answers = []
        for seconds in (2, 60):
            stopwatch.now_ms += seconds * 1000
            workers.work()
            answers.append(await client.ask("GET", "/api/v1/health"))
        return [document["problems"] for _, document in answers]

    text = "Topics have more partitions than the 2 that are read: tocsin.alerts.raw (6)"
    assert watched(look) == [[], [{"problem": "partitions_added", "text": text}]]


def test_a_journal_that_does_not_answer_readers() -> None:
    """The bridge says so, and does not fail."""

    async def look(client: Client, workers: Workers, stopwatch: HandStopwatch) -> Any:
        workers.log.topics[STATE, 0].append(StoredRecord(999, 0, META, b"no JSON"))
        stopwatch.now_ms += 2000
        return await client.ask("GET", "/api/v1/health")

    status, document = watched(look)

    assert (status, document["problems"][0]["problem"]) == (503, "journal_away")


class _SilentLog(FakeLog):
    """A log that takes no reader's question any more."""

    async def read(self, *_: object, **__: object) -> list[StoredRecord]:
        await asyncio.Event().wait()
        raise AssertionError


def test_metrics_are_answered_while_the_journal_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a scrape fails, and the bridge counts as dead."""
    monkeypatch.setattr(availability, "SCRAPE_SECONDS", 0)

    async def talk() -> tuple[int, str]:
        async with (
            serving(_SilentLog()) as client,
            client.session.get(f"{client.url}/metrics") as response,
        ):
            return response.status, await response.text()

    status, scraped = asyncio.run(talk())

    assert status == 200
    assert "tocsin_degraded" in scraped


SIGN = PartitionSign(0, 10, 0, 0, 0)
BOUNDS = {"alerts": 100, "tasks": 10}


@pytest.mark.parametrize(
    ("sign", "problems"),
    [
        (SIGN, []),
        (PartitionSign(0, 10, 10_000, 10_000, 0), []),
        (
            PartitionSign(0, -1, 10_001, 0, 0),
            [Problem(ProblemKind.NO_WORKER, "No worker has reported for 10s in 1 of 1 partition")],
        ),
        (
            PartitionSign(0, 10, 0, 0, -65_000),
            [
                Problem(
                    ProblemKind.CLOCK_WRONG,
                    "The clock that stamps the journal is 1m5s behind;"
                    " time goes on by the worker's own clock",
                )
            ],
        ),
        (PartitionSign(0, 10, 0, 0, 0, {"alerts": 79}), []),
        (
            PartitionSign(0, 10, 0, 0, 0, {"alerts": 80, "tasks": 3}),
            [Problem(ProblemKind.BOUNDS_NEAR, "Partition 0 holds 80 of 100 (bounds.alerts)")],
        ),
    ],
)
def test_what_a_checkpoint_shows(sign: PartitionSign, problems: list[Problem]) -> None:
    """Each limit has a case at it and above it."""
    assert worker_problems([sign], BOUNDS) == problems


def test_an_engine_says_how_much_it_holds() -> None:
    """The meta record of a checkpoint has the size of each thing that the policy bounds."""
    log = FakeLog()
    Workers(log).work()
    meta = log.topics[STATE, 0][-1].value or b""

    bounds = shipped().policy.bounds
    sizes = orjson.loads(meta)["sizes"]
    assert sizes == dict.fromkeys(sizes, 0)
    assert set(sizes) == set(type(bounds).model_fields) - {"alerts_in_incident"}


def test_many_receivers_are_one_line() -> None:
    """Five of them are named."""
    problems = receivers_down(f"hook{number}" for number in range(7))

    text = "The receivers hook0, hook1, hook2, hook3, hook4 and 2 more do not answer"
    assert problems == [Problem(ProblemKind.RECEIVER_DOWN, text)]


def test_a_header_holds_no_line_break() -> None:
    """What others named stays within one line of ASCII."""
    assert header_text([Problem(ProblemKind.RECEIVER_DOWN, "a\r\nb ä")]) == "a?b ?"
