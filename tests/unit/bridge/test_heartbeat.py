"""The heartbeat goes out while effects flow, and only then."""

import asyncio

import pytest
from aiohttp import web

from app.bridge.health.health_watch import HealthWatch
from app.bridge.health.heartbeat import Heartbeat
from app.bridge.writer import JournalWriter
from app.history.view import View
from app.settings import BadSettings, Settings, from_environment
from app.transport.log import NewRecord
from models.topics import Topics
from tests.support.fake_log import FakeLog
from tests.support.hand_stopwatch import HandStopwatch
from tests.support.shipped_policy import shipped

META = b'{"magic":"tocsin state","offset":%d,"clock":["run",%d,0,0,0,0]}'


def beaten(status: int = 200, *, works: bool = True, away: bool = False) -> tuple[str, list[str]]:
    """The result of a heartbeat 12 s after the first look, and what was asked of the monitor."""
    log, stopwatch, asked = FakeLog(), HandStopwatch(), list[str]()

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status)

    def checkpoint(number: int) -> None:
        log.put("tocsin.state", 0, [NewRecord(b"m", META % (number, number))])

    async def run() -> str:
        app = web.Application()
        app.router.add_get("/ping/secret", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        view = View(log, Topics(), 1)
        watch = HealthWatch(Settings(partitions=1), view, shipped, stopwatch)
        checkpoint(1)
        await watch.now()
        stopwatch.now_ms += 12_000
        if works:
            checkpoint(2)
        log.away = {0} if away else set()
        writer = JournalWriter(log, "tocsin.journal", 1)
        heartbeat = Heartbeat(f"http://127.0.0.1:{port}/ping/secret", watch, writer)
        await heartbeat.start()
        try:
            return await heartbeat.beat()
        finally:
            await heartbeat.stop()
            await writer.stop()
            await runner.cleanup()

    return asyncio.run(run()), asked


def test_it_is_sent_while_effects_flow() -> None:
    """The address is asked."""
    result, asked = beaten()

    assert (result, set(asked)) == ("sent", {"/ping/secret"})


def test_it_is_withheld_without_a_worker() -> None:
    """What a dead worker cannot do must not look done."""
    assert beaten(works=False) == ("withheld", [])


def test_it_is_withheld_while_the_journal_takes_nothing() -> None:
    """A bridge that cannot append says nothing either."""
    assert beaten(away=True) == ("withheld", [])


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_monitor_that_refuses_it_is_a_failure(status: int) -> None:
    """It is counted, and nothing ends."""
    assert beaten(status)[0] == "failed"


def test_a_monitor_that_is_away_is_a_failure() -> None:
    """The same."""

    async def run() -> str:
        log = FakeLog()
        watch = HealthWatch(Settings(partitions=1), View(log, Topics(), 1), shipped)
        writer = JournalWriter(log, "tocsin.journal", 1)
        heartbeat = Heartbeat("http://127.0.0.1:1/", watch, writer)
        await heartbeat.start()
        try:
            return await heartbeat.beat()
        finally:
            await heartbeat.stop()

    assert asyncio.run(run()) == "failed"


@pytest.mark.parametrize("url", ["ftp://x/y", "monitor.example", "http:///path"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """It is not shown: whoever has it can send heartbeats."""
    with pytest.raises(BadSettings, match="TOCSIN_HEARTBEAT_URL must be an address") as refusal:
        from_environment({"TOCSIN_HEARTBEAT_URL": url})

    assert url not in str(refusal.value)
