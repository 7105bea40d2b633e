"""A start waits for a log that is away, and SIGTERM ends it."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from app.transport.kafka import KafkaLog
from app.transport.log import LogAway, LogUnavailable
from app.worker.patient_start import RETRY_SECONDS, started, unless_stopped
from tests.support.engines import ROOT

NOBODY = "kafka://127.0.0.1:1"  # a port that nobody listens on


def starting(
    problems: Sequence[Exception], caplog: pytest.LogCaptureFixture
) -> tuple[float, list[str]]:
    """For how long a start waited that failed with these problems first, and what it logged."""
    left, waited = list(problems), 0.0

    async def start() -> None:
        if left:
            raise left.pop(0)

    async def pause(seconds: float) -> None:
        nonlocal waited
        waited += seconds

    with caplog.at_level(logging.WARNING):
        asyncio.run(started(start, pause, lambda: waited))
    return waited, [record.getMessage() for record in caplog.records]


def test_a_start_that_works_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It neither waits nor logs."""
    assert starting([], caplog) == (0.0, [])


def test_a_log_that_is_away_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """The first failure is logged, and then one a minute, whatever the number of tries."""
    waited, lines = starting([LogAway("nobody listens")] * 45, caplog)

    assert waited == 45 * RETRY_SECONDS
    assert lines == ["waiting: nobody listens"] * 2 + ["Kafka answers"]


def test_a_log_that_turns_us_away_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """A wrong password stays wrong."""
    with pytest.raises(LogUnavailable, match="wrong password"):
        starting([LogUnavailable("wrong password")], caplog)

    assert caplog.messages == []


def test_a_kafka_that_nobody_runs_is_away() -> None:
    """A refused connection is what a start waits for."""

    async def start() -> None:
        log = KafkaLog(["127.0.0.1:1"])
        try:
            await log.start()
        finally:
            await log.stop()

    with pytest.raises(LogAway, match="nobody listens there"):
        asyncio.run(start())


def test_a_start_is_given_up_when_somebody_says_so() -> None:
    """What was begun is cancelled; what is done is done."""

    async def run() -> tuple[bool, bool, bool]:
        cancelled, told = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            try:
                told.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

        given_up = await unless_stopped(work(), told)
        return given_up, cancelled.is_set(), await unless_stopped(asyncio.sleep(0), asyncio.Event())

    assert asyncio.run(run()) == (False, True, True)


@pytest.mark.parametrize("name", ["worker", "bridge"])
def test_sigterm_during_a_start_ends_with_0(name: str) -> None:
    """A process that waits for Kafka says so in one line, goes on, and leaves when it is told to."""
    with subprocess.Popen(
        [sys.executable, "-m", "app", name],
        env=os.environ | {"TOCSIN_BROKER": NOBODY, "TOCSIN_PORT": "0"},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            waiting = next(line for line in process.stderr if "waiting: " in line)
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
            status = process.wait(60)
        finally:
            process.kill()

    assert "Kafka at 127.0.0.1:1 cannot be used: nobody listens there" in waiting
    assert status == 0
    assert "Traceback" not in rest
