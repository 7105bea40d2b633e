"""The whole app on the embedded journal, as a process of its own."""

import asyncio
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.demo.storm import storm_steps
from app.settings import Settings
from app.transport.sqlite import SqliteLog
from tests.support.engines import ROOT, Tocsin, assert_exactly_once

GOOD = {"labels": {"alertname": "A", "component": "c"}}
BODIES: tuple[Any, ...] = (
    b"{",
    b"{}",
    b"[" * 100_000,
    b'[{"labels": {"a": "\\ud800"}}]',
    b"[NaN]",
    [{"labels": {}}],
    [{"labels": {"a": 1}}],
    [{"labels": {"a": "x" * 2**20}}],
    b" " * (11 * 2**20),
    [GOOD | {"startsAt": "yesterday"}],
    [GOOD | {"startsAt": "9999-12-31T23:59:59Z", "endsAt": "0001-01-01T00:00:00Z"}],
    [GOOD, {"labels": None}],
)


@pytest.mark.slow
def test_a_killed_service_loses_no_alert_and_repeats_no_effect(tmp_path: Path) -> None:
    """kill -9 in the middle of a storm, twice.

    Afterwards everything is as if nothing had happened.
    """
    broker = f"embedded:{tmp_path}"
    steps = [alerts for _, alerts in storm_steps(6000, seed=3)]
    sent = 0
    service = Tocsin("up", TOCSIN_BROKER=broker)
    for number, alerts in enumerate(steps):
        if number in (70, 140):
            service.kill()
            service = Tocsin("up", TOCSIN_BROKER=broker)
        status, answer = service.post("/api/v2/alerts", alerts)
        assert (status, answer["accepted"]) == (200, len(alerts))
        sent += len(alerts)
    service.wait_applied()
    service.stop()

    async def check() -> dict[str, int]:
        log = SqliteLog(tmp_path, read_only=True)
        await log.start()
        try:
            return await assert_exactly_once(log, Settings(broker=broker))
        finally:
            await log.stop()

    counts = asyncio.run(check())

    assert (counts["alerts"], counts["fired"] + counts["repeats"]) == (sent, sent)
    assert counts["incidents"] == 9


@pytest.mark.slow
def test_a_state_that_is_gone_is_made_anew(tmp_path: Path) -> None:
    """Without any checkpoint the journal is applied from its beginning, and what was sent before is not sent again."""
    broker = f"embedded:{tmp_path}"
    service = Tocsin("up", TOCSIN_BROKER=broker)
    for _, alerts in storm_steps(1500, seed=5):
        service.post("/api/v2/alerts", alerts)
    service.stop()
    connection = sqlite3.connect(tmp_path / "journal.db")
    with connection:
        gone = connection.execute("DELETE FROM batches WHERE topic = 'tocsin.state'").rowcount
    connection.close()
    (tmp_path / "journal.end").unlink()
    service = Tocsin("up", TOCSIN_BROKER=broker)
    service.post("/api/v2/alerts", [GOOD])
    service.wait_applied()
    service.stop()

    async def check() -> dict[str, int]:
        log = SqliteLog(tmp_path, read_only=True)
        await log.start()
        try:
            return await assert_exactly_once(log, Settings(broker=broker))
        finally:
            await log.stop()

    assert gone > 0
    assert asyncio.run(check())["alerts"] == 1501


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tocsin, str]]:
    """A service, and its TOCSIN_BROKER; it has to end well after all that was asked of it."""
    broker = f"embedded:{tmp_path_factory.mktemp('running')}"
    service = Tocsin("up", TOCSIN_BROKER=broker)
    yield service, broker
    service.stop()


def test_refuses_a_second_service_on_one_journal(running: tuple[Tocsin, str]) -> None:
    """Two services on one folder would tear the journal, so the second is told to stay away."""
    with pytest.raises(AssertionError) as refused:
        Tocsin("up", TOCSIN_BROKER=running[1]).kill()

    assert str(refused.value) == "tocsin up ended with status 1 before it was ready"


def test_answers_for_every_kind_of_input(running: tuple[Tocsin, str]) -> None:
    """Whatever is posted, the answer says whether it was kept, and if not why."""
    service, _ = running
    answers = [service.post("/api/v2/alerts", body) for body in BODIES]
    answers += [
        service.post("/webhook/alertmanager", {"version": "5", "alerts": []}),
        service.post(
            "/webhook/alertmanager", {"version": "4", "alerts": [GOOD | {"status": "resolved"}]}
        ),
        service.post("/api/v1/incidents/nonsense/acknowledge", {"by": "me"}),
        service.post("/api/v1/incidents/INC-20260412T031502Z-00K3F/acknowledge", {"by": 7}),
        service.post("/api/v1/nothing", {}),
    ]

    assert [(status, answer.get("reason")) for status, answer in answers] == [
        (400, "malformed"),
        (400, "malformed"),
        (400, "malformed"),
        (400, "malformed"),
        (400, "malformed"),
        (400, "no_labels"),
        (400, "bad_label"),
        (400, "too_large"),
        (413, "too_large"),
        (400, "bad_time"),
        (200, None),
        (400, "no_labels"),
        (400, "unsupported_version"),
        (200, None),
        (400, "unknown_incident"),
        (400, "malformed"),
        (404, "no_such_resource"),
    ]
    assert answers[-6][1] == {
        "status": "error",
        "reason": "no_labels",
        "error": "1 of 2 alerts refused; the others are accepted",
        "accepted": 1,
        "refused": [
            {
                "reason": "no_labels",
                "error": "[1].labels: has no label, must have at least one with a value",
            },
        ],
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["TOCSIN_PORT", "TOCSIN_METRICS_PORT"])
def test_a_port_that_is_taken_ends_it(tmp_path: Path, name: str) -> None:
    """Without its port the process ends before it starts anything, and says why in one line.

    One that stays would look alive and take nothing.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = {"TOCSIN_BROKER": f"embedded:{tmp_path / 'journal'}", "TOCSIN_PORT": "0"}
        ended = _ended(settings | {name: str(port)})

    line = (
        f"tocsin: port {port} of 127.0.0.1 is taken: stop what uses it, or set {name} to another\n"
    )
    assert ended == (1, "", line)
    assert not (tmp_path / "journal").exists()


def test_an_address_of_another_machine_ends_it(tmp_path: Path) -> None:
    """A host that is not ours is told as the setting that names it."""
    host = "192.0.2.1"  # RFC 5737: nobody's
    settings = {"TOCSIN_BROKER": f"embedded:{tmp_path}", "TOCSIN_PORT": "0", "TOCSIN_HOST": host}
    status, _, line = _ended(settings | {"TOCSIN_INSECURE": "yes"})

    assert (status, line.partition(" (")[0]) == (
        1,
        f"tocsin: TOCSIN_HOST is '{host}', must be an address of this machine",
    )


def test_a_missing_environment_is_told_in_one_line() -> None:
    """A Python without our packages says which one is missing and what to do, and shows no traceback."""
    status, _, line = _ended({}, "-S")

    assert (status, line.count("\n")) == (1, 1)
    assert re.match(rf"tocsin: {sys.executable} has no package '\w+': use the environment", line)


def _ended(settings: dict[str, str], *options: str) -> tuple[int, str, str]:
    """The status of a `tocsin up` that does not start, and what it wrote to its output and its log."""
    command = [sys.executable, *options, "-m", "app", "up"]
    ended = subprocess.run(
        command,
        env=os.environ | settings,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr
