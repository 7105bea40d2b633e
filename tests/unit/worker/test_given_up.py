"""A worker whose journal is away, and one that Faust has given up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import orjson
import pytest

from agents import ticks
from app import factory
from app.clock import Clock
from app.core.engine import Engine
from app.factory import build, until_told
from app.settings import Settings
from app.transport.sqlite import SqliteLog
from app.worker.worker import Worker
from models.topics import Topics
from tests.support.fake_log import FakeLog
from tests.support.shipped_policy import shipped

Tick = Callable[[], Awaitable[None]]


class Timers:
    """What `attach` asks of an app."""

    def __init__(self) -> None:
        self.rebalancing = False
        self.tick: Tick

    def timer(self, _: float, name: str) -> Callable[[Tick], Tick]:
        """Keep the timer's function."""
        assert name == "tocsin.ticks"

        def keep(function: Tick) -> Tick:
            self.tick = function
            return function

        return keep


def test_a_tick_that_the_journal_does_not_take_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is told, and the next one is tried; an error would make Faust give the whole app up."""

    async def run() -> list[tuple[int, str]]:
        log, app = FakeLog(), Timers()
        worker = Worker(Settings(), shipped(), log, Topics())
        pipes: Any = {one: SimpleNamespace(engine=Engine(one, shipped())) for one in (0, 1)}
        worker.pipes = pipes
        worker.ready.set()
        ticks.attach_ticks(app, worker, Clock())
        log.away = {1}
        await app.tick()
        log.away = set()
        await app.tick()
        return [
            (partition, next(iter(orjson.loads(record.value or b""))))
            for partition, records in log.batches
            for record in records
        ]

    with caplog.at_level(logging.WARNING):
        appended = asyncio.run(run())

    assert appended == [(0, "tick"), (0, "tick"), (1, "tick")]
    assert [record.getMessage() for record in caplog.records] == [
        "time stands still: tocsin.journal 1 does not answer"
    ]


def test_a_clock_that_stands_still_gets_no_tick() -> None:
    """Whoever drives the clock appends the ticks; the worker's come when the clock runs again."""

    async def run() -> list[int]:
        log, app = FakeLog(), Timers()
        clock = Clock(lambda: 1000, driven=True, begins_ms=5)
        worker = Worker(Settings(), shipped(), log, Topics())
        pipes: Any = {0: SimpleNamespace(engine=Engine(0, shipped()))}
        worker.pipes = pipes
        worker.ready.set()
        ticks.attach_ticks(app, worker, clock)
        numbers = [clock.now_ms()]
        for speed in (0.0, 1.0):
            clock.set(6, speed)
            await app.tick()
            numbers.append(len(log.batches))
        return numbers

    assert asyncio.run(run()) == [5, 0, 1]


def test_a_worker_that_faust_has_given_up_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that lives on and works on nothing would keep its partitions for ever."""
    told: list[tuple[str, BaseException]] = []

    def ended(what: str, error: BaseException) -> NoReturn:
        told.append((what, error))
        raise SystemExit(70)

    async def run() -> None:
        config = Settings(broker=f"embedded:{tmp_path}")
        app: Any = build(config, shipped(), SqliteLog(tmp_path))
        waiting = asyncio.create_task(until_told(app, asyncio.Event()))
        await asyncio.sleep(0)
        await app.crash(RuntimeError("no more"))
        await waiting

    monkeypatch.setattr(factory, "crash_process", ended)
    with pytest.raises(SystemExit):
        asyncio.run(run())

    assert [(what, str(error)) for what, error in told] == [
        ("Faust has given the worker up", "no more")
    ]
