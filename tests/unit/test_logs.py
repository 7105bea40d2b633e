"""What the log leaves out."""

import asyncio
import gc
import json
import logging
import os
import ssl
import subprocess
import sys

import pytest

from app.logs import InertFormatter, JsonFormatter, OnceAMinute, is_news


async def _forget(error: Exception) -> None:
    """Let asyncio find an error that nobody asked for."""
    asyncio.get_running_loop().create_future().set_exception(error)
    gc.collect()
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("error", "news"),
    [
        (ssl.SSLError(1, "bad certificate"), False),
        (ConnectionResetError(), False),
        (RuntimeError("ours"), True),
    ],
)
def test_connections_that_were_given_up(
    caplog: pytest.LogCaptureFixture, error: Exception, news: bool
) -> None:
    """asyncio's complaint of a stream that nobody waits for is no news.

    Any other that nobody asked for is.
    """
    asyncio.run(_forget(error))

    # Collecting may find what another test left behind.
    records = [one for one in caplog.records if one.exc_info and one.exc_info[1] is error]
    assert [(record.levelno, is_news(record)) for record in records] == [(logging.ERROR, news)]


AIOKAFKA = (
    "Unable connect to node with id 1: [Errno 111] Connect call failed ('127.0.0.1', 9092)",
    "Unable to update metadata from [1]",
    "Failed fetch messages from 1: NodeNotReadyError: Attempt to send a request to node which is not ready",
    "Got error produce response: NodeNotReadyError: Attempt to send a request to node which is not ready",
    "Group Coordinator Request failed: [Error 15] GroupCoordinatorNotAvailableError",
    "Marking the coordinator dead (node 1)for group tocsin.",
)


def _lines(*records: tuple[float, str, int, str]) -> list[str]:
    """What is written of records, each with its second, its logger, its level and its message."""
    once, formatter = OnceAMinute(), InertFormatter("%(message)s")
    lines = []
    for second, name, level, message in records:
        record = logging.LogRecord(name, level, __file__, 1, message, (), None)
        record.created = 1_000_000 + second
        if once.filter(record):
            lines.append(formatter.format(record))
    return lines


def test_a_broker_that_is_away_is_one_line_a_minute() -> None:
    """aiokafka tells of each attempt in several messages; they have one cause, and the next line counts them."""
    attempts = [
        (number / 10, "aiokafka.consumer", logging.ERROR, AIOKAFKA[number % len(AIOKAFKA)])
        for number in range(1200)
    ]

    assert _lines(*attempts) == [
        AIOKAFKA[0],
        f"{AIOKAFKA[600 % len(AIOKAFKA)]} (599 more like it since the last line)",
    ]


def test_causes_are_told_apart() -> None:
    """Another cause, another partition and our own view of the broker have lines of their own."""
    away = "time stands still: Kafka at 127.0.0.1:9092 does not answer"
    records = [
        (0.0, "aiokafka", logging.ERROR, AIOKAFKA[0]),
        (1.0, "tocsin.ticks", logging.WARNING, away),
        (2.0, "tocsin.ticks", logging.WARNING, away),
        (3.0, "aiokafka", logging.ERROR, "Topic t is not authorized for this client"),
        (4.0, "tocsin.worker", logging.WARNING, "partition 1: late"),
        (5.0, "tocsin.worker", logging.WARNING, "partition 2: late"),
    ]

    messages = [message for *_, message in records]
    assert _lines(*records) == [*messages[:2], *messages[3:]]


@pytest.mark.parametrize(("name", "level"), [("tocsin", logging.INFO), ("faust", logging.CRITICAL)])
def test_what_is_an_event_of_its_own_is_always_told(name: str, level: int) -> None:
    """News and the end of the process are not left out, however often they come."""
    assert _lines(*[(0.0, name, level, "taken over")] * 3) == ["taken over"] * 3


def test_each_dead_letter_is_told() -> None:
    """Ours with a traceback are faults to be looked at, each of them."""
    once = OnceAMinute()
    fault = (RuntimeError, RuntimeError("poison"), None)
    records = [
        logging.LogRecord("tocsin.worker", logging.ERROR, __file__, 1, "dead letter", (), fault)
        for _ in range(2)
    ]

    assert [once.filter(record) for record in records] == [True, True]


def test_what_is_remembered_has_a_bound() -> None:
    """Causes without end do not fill the memory."""
    once = OnceAMinute()
    for number in range(5000):
        message = f"cause {number}"
        once.filter(logging.LogRecord("tocsin", logging.ERROR, __file__, 1, message, (), None))

    assert len(once._passed_s) <= 1000


def test_a_record_as_json() -> None:
    """A line is an object whose time is UTC, with the ids that the caller knew as fields."""
    record = logging.LogRecord(
        "tocsin.worker", logging.INFO, __file__, 1, "partition %d: taken over", (3,), None
    )
    record.created, record.partition, record.offset = 1_790_496_000.25, 3, 41
    record.left_out = 2

    assert json.loads(JsonFormatter().format(record)) == {
        "time": "2026-09-27T08:00:00.250Z",
        "level": "INFO",
        "logger": "tocsin.worker",
        "message": "partition 3: taken over",
        "partition": 3,
        "offset": 41,
        "left_out": 2,
    }


def test_json_is_one_line_that_no_terminal_obeys() -> None:
    """Line breaks, escapes and a traceback are within one line of printable ASCII."""
    text = "a\nb\x1b[2J\x7f\x9b\u202e\ud800"
    fault = RuntimeError(text)
    record = logging.LogRecord(
        "aiokafka", logging.ERROR, __file__, 1, "%s", (text,), (RuntimeError, fault, None)
    )
    line = JsonFormatter().format(record)

    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["message"] == text
    assert json.loads(line)["traceback"].startswith("RuntimeError: a")


_OTHERS = """
import logging
import faust
from app.logs import to_stderr
to_stderr()
faust.App("x", logging_config=None)
for name in ("tocsin.worker", "faust.worker", "mode.services", "aiokafka.consumer"):
    logging.getLogger(name).warning("hello", extra={"partition": 1})
"""


@pytest.mark.parametrize(("log_format", "is_json"), [("json", True), ("text", False), ("", False)])
def test_the_lines_of_others_have_the_same_format(log_format: str, is_json: bool) -> None:
    """What Faust, Mode and aiokafka log is JSON too where the setting says so."""
    environment = os.environ | {"TOCSIN_LOG_FORMAT": log_format}
    command = [sys.executable, "-W", "ignore", "-c", _OTHERS]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    lines = [line for line in ended.stderr.splitlines() if "hello" in line]

    assert [line.startswith("{") for line in lines] == [is_json] * 4
    if is_json:
        assert {json.loads(line)["partition"] for line in lines} == {1}
