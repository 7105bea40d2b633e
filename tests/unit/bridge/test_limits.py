"""The limits of the bridge, each at, below and above.

What is too much is refused, by a reason, and counted.
"""

import asyncio
import gzip
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest

from app.bridge.connections.limits import Limits, limits_of
from app.bridge.resources import Bridge
from app.settings import BadSettings, HttpSecurity, Settings
from app.transport.log import NewRecord
from models.effect import Position
from tests.support.bridge_metrics import closed_count, gauge, refused_count, until
from tests.support.driven_loop import pass_time, run_driven
from tests.support.fake_log import FakeLog
from tests.support.raw_http import GET, OK, connect, get, hang_up
from tests.support.served_bridge import JSON, Client, alert, error, serving
from tests.support.shipped_policy import shipped
from tests.support.token_files import bearer, write


def talk(
    limits: Limits, what: Callable[[Client], Awaitable[Any]], log: FakeLog | None = None
) -> Any:
    """What `what` returns of a conversation with a bridge of these limits, on a loop that it drives."""

    async def conversation() -> Any:
        async with serving(log or FakeLog(), limits=limits) as client:
            return await what(client)

    return run_driven(conversation())


def test_settings_are_limits() -> None:
    """Those that can be set; and the default of each is the same in both."""
    assert limits_of(HttpSecurity()) == Limits()
    assert limits_of(HttpSecurity(requests=1, alerts=2, connections=7)) == Limits(
        requests_per_second=1, alerts_per_second=2, connections=7
    )
    assert (Limits(connections=7).connections_each, Limits(connections=2).connections_each) == (
        3,
        1,
    )


def test_who_asks_too_much_is_told_when_to_come_again(caplog: pytest.LogCaptureFixture) -> None:
    """429 with Retry-After, counted and logged once.

    Probes are answered all the same, and nothing comes into the journal.
    """
    log, before = FakeLog(), refused_count("too_much")
    limits = Limits(requests_per_second=0.001, burst_seconds=3000)

    async def scenario(client: Client) -> list[Any]:
        answers: list[Any] = []
        for _ in range(5):
            async with client.session.post(
                f"{client.url}/api/v2/alerts", json=[alert("c")], headers=JSON
            ) as response:
                answers.append(
                    (response.status, response.headers.get("Retry-After"), await response.json())
                )
        answers.append((await client.ask("GET", "/healthz"))[0])
        return answers

    *answers, probe = talk(limits, scenario, log)

    text = "address 127.0.0.1 sends more than it may; nothing of this was kept, send it again in 1000 s"
    good, refused = (
        (200, None, {"status": "success", "accepted": 1}),
        (429, "1000", error("too_much", text)),
    )
    assert answers == [good, good, good, refused, refused]
    assert (probe, len(log.batches), refused_count("too_much") - before) == (200, 3, 2)
    assert [
        record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING
    ] == ["address 127.0.0.1 sends more than it may, and is asked to wait for 1000 s"]


@pytest.mark.parametrize(
    ("alerts", "status"),
    [(1, 200), (89, 200), (100, 429)],
    ids=["below", "at", "above"],
)
def test_alerts_count(alerts: int, status: int) -> None:
    """Each alert counts, and each KiB of the body as it is unfolded.

    100 are spent by 90 alerts or so, 2 by nothing.
    """
    body = orjson.dumps([alert("c") for _ in range(alerts)]).ljust(10 * 1024)
    packed = JSON | {"Content-Encoding": "gzip"}

    async def scenario(client: Client) -> list[int]:
        return [
            (await client.post(gzip.compress(body), packed))[0],
            (await client.post([alert("c")]))[0],
        ]

    assert talk(Limits(alerts_per_second=0.01, burst_seconds=10_000), scenario) == [200, status]


def test_what_is_refused_counts() -> None:
    """A body that is no JSON costs its bytes, so that nobody can send such ones for ever."""

    async def scenario(client: Client) -> list[int]:
        return [(await client.post(b"{".ljust(5 * 1024)))[0] for _ in range(3)]

    assert talk(Limits(alerts_per_second=0.001, burst_seconds=10_000), scenario) == [400, 400, 429]


def test_each_sender_has_its_own(tmp_path: Any) -> None:
    """By token, wherever it asks from; and who has none can only shut out others who have none."""
    names = ("a", "b")
    write(tmp_path / "tokens", "".join(f"{name} read {name * 20}\n" for name in names))

    async def scenario() -> list[int]:
        limits, http = (
            Limits(requests_per_second=0.001, burst_seconds=2000),
            HttpSecurity(tokens_file=str(tmp_path / "tokens")),
        )
        async with serving(FakeLog(), limits=limits, http=http) as client:
            given = [*[JSON] * 3, *[bearer("a" * 20)] * 3, *[bearer("b" * 20)] * 3]
            return [
                (await client.ask("GET", "/api/v1/incidents", None, headers))[0]
                for headers in given
            ]

    assert asyncio.run(scenario()) == [401, 401, 429, 200, 200, 429, 200, 200, 429]


@pytest.mark.parametrize("more", [-1, 0, 1], ids=["below", "at", "above"])
def test_bodies_that_are_read_at_once(more: int) -> None:
    """Of all senders together.

    What does not fit is sent again later, and what was read is given back, however it ended.
    """
    limits, before = Limits(bodies_bytes=1000), refused_count("bodies_wait")
    head = b"POST /api/v2/alerts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 700\r\n\r\n"

    async def scenario(client: Client) -> list[Any]:
        _, writer = await connect(client)
        writer.write(head + b" " * 600)
        while gauge("body_bytes") != 600:
            await client.ask("GET", "/healthz")
        first = await client.post(orjson.dumps([]).ljust(400 + more))
        await hang_up(writer)
        while gauge("body_bytes"):
            await client.ask("GET", "/healthz")
        return [first, (await client.post(orjson.dumps([]).ljust(1000)))[0], gauge("body_bytes")]

    first, *rest = talk(limits, scenario)

    text = "bodies of 600 bytes are being read, must be at most 1000; nothing of this one was kept, send it again"
    good = (200, {"status": "success", "accepted": 0})
    assert first == ((503, error("bodies_wait", text)) if more > 0 else good)
    assert (rest, refused_count("bodies_wait") - before) == ([200, 0], max(more, 0))


def test_a_head_that_dribbles() -> None:
    """A connection that sends its headers byte by byte ends when their time is over, however lively it seems; others do not."""
    before = closed_count("head")

    async def scenario(client: Client) -> tuple[int, bytes]:
        reader, writer = await connect(client)
        await until(lambda: gauge("connections") == 1)
        sent = 0
        while closed_count("head") == before:
            writer.write(b"GET /healthz HTTP/1.1\r\nX: "[sent : sent + 1] or b"x")
            sent += 1
            await pass_time(0.5)
        with suppress(ConnectionError):
            assert await reader.read() == b""
        await hang_up(writer)
        reader, writer = await connect(client)
        answer = await get(reader, writer)
        await hang_up(writer)
        return sent, answer

    sent, answer = talk(Limits(head_seconds=10), scenario)

    assert (sent, answer, closed_count("head") - before) == (20, OK, 1)


def test_a_connection_that_says_nothing() -> None:
    """It has as long as for headers."""
    before = closed_count("head")

    async def scenario(client: Client) -> bytes:
        reader, writer = await connect(client)
        await until(lambda: gauge("connections") == 1)
        await pass_time(10)
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            await hang_up(writer)

    assert talk(Limits(head_seconds=10), scenario) == b""
    assert closed_count("head") == before + 1


def test_a_second_request_that_dribbles() -> None:
    """The time for headers begins with their first byte, also on a connection that has been in use."""
    before = closed_count("head"), closed_count("idle")

    async def scenario(client: Client) -> list[bytes]:
        reader, writer = await connect(client)
        first = await get(reader, writer)
        await pass_time(15)
        writer.write(GET[:-2])
        while closed_count("head") == before[0]:
            await client.ask("GET", "/healthz")  # what was written before is read before
            await pass_time(5)
        with suppress(ConnectionError):
            assert await reader.read() == b""
        await hang_up(writer)
        return [first]

    assert talk(Limits(head_seconds=10, idle_seconds=20), scenario) == [OK]
    assert (closed_count("head"), closed_count("idle")) == (before[0] + 1, before[1])


def test_an_idle_connection() -> None:
    """It is used again as long as its time lasts, which begins anew with each request, and ends then."""
    before = closed_count("idle")

    async def scenario(client: Client) -> list[bytes]:
        reader, writer = await connect(client)
        found = []
        for _ in range(4):
            found.append(await get(reader, writer))
            await pass_time(74)
        await pass_time(1)
        with suppress(ConnectionError):
            assert await reader.read() == b""
        await hang_up(writer)
        return found

    assert talk(Limits(idle_seconds=75), scenario) == [OK] * 4
    assert closed_count("idle") == before + 1


def test_an_answer_that_nobody_takes() -> None:
    """Who asks for much and reads nothing is left alone with it."""
    before, log = closed_count("answer"), FakeLog()
    snapshot = {"incident": "INC", "state": "open", "opened_at": "", "parents": []}
    snapshot |= {"text": "x" * 16 * 1024 * 1024}
    log.put(
        "tocsin.incidents",
        0,
        [NewRecord(b"INC", orjson.dumps(snapshot), (Position(0, 0).header(),))],
    )

    async def scenario(client: Client) -> Any:
        _, writer = await connect(client)
        writer.write(GET.replace(b"/healthz", b"/api/v1/incidents"))
        while closed_count("answer") == before:
            await client.ask("GET", "/healthz")
            await pass_time(1)
        while gauge("connections") != 1:  # the client's own
            await client.ask("GET", "/healthz")
        taken = await client.ask("GET", "/api/v1/incidents")
        await hang_up(writer)
        return taken

    status, answer = talk(Limits(answer_seconds=30), scenario, log)
    assert (status, answer["items"]) == (200, [snapshot | {"part_of": "", "fingerprints": []}])


SECRET = "correct-horse-battery-staple"


@pytest.mark.parametrize(
    "head",
    [
        f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {SECRET}\0\r\n\r\n",
        f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {SECRET}{'x' * 9000}\r\n\r\n",
        f"Authorization: Bearer {SECRET}\r\n\r\n",
        f"GET /{SECRET} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {SECRET}, chunked\r\nContent-Length: 1\r\n\r\n",
        f"GET /{SECRET} HTTP/1.1\r\nHost: localhost\r\n" + "X: y\r\n" * 200 + "\r\n",
    ],
    ids=["control", "long", "no request", "smuggled", "many"],
)
def test_a_head_that_is_not_http(caplog: pytest.LogCaptureFixture, head: str) -> None:
    """It is refused and counted, and what was sent is neither logged nor told.

    There may be a token in it.
    """
    caplog.set_level(logging.DEBUG)
    before = refused_count("no_http")

    async def scenario(client: Client) -> bytes:
        reader, writer = await connect(client)
        writer.write(head.encode())
        answer = await reader.read()
        await hang_up(writer)
        return answer

    answer = talk(Limits(), scenario)

    told = error("no_http", "the request line and the headers cannot be read as HTTP")
    assert (answer.split()[1], orjson.loads(answer.partition(b"\r\n\r\n")[2])) == (b"400", told)
    assert SECRET not in caplog.text
    assert "Traceback" not in caplog.text
    assert refused_count("no_http") == before + 1


def test_a_body_that_nobody_wanted(caplog: pytest.LogCaptureFixture) -> None:
    """What is refused before its body is read is answered.

    A body that then cannot be read is nobody's fault here.
    """
    text = f"POST /nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n"

    async def scenario(client: Client) -> bytes:
        reader, writer = await connect(client)
        writer.write(text.encode())
        answer = await reader.read()
        await hang_up(writer)
        return answer

    answer = talk(Limits(), scenario)

    assert answer.split()[1] in (b"404", b"400")
    assert (SECRET in caplog.text, "Traceback" in caplog.text) == (False, False)


def test_stopping_does_not_wait_for_who_is_silent() -> None:
    """Connections that are open when the bridge stops end with it, and no time passes meanwhile."""

    async def scenario() -> bytes:
        async with serving(FakeLog()) as client:
            reader, writer = await connect(client)
            await get(reader, writer)
            silent = (await connect(client))[1]
        rest = await reader.read()
        for one in (writer, silent):
            await hang_up(one)
        return rest

    assert run_driven(scenario()) == b""


def test_a_taken_port_is_told() -> None:
    """As the setting that names it, and nothing is left open."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        async def scenario() -> None:
            bridge = Bridge(Settings(port=taken.getsockname()[1]), shipped(), FakeLog())
            try:
                await bridge.start()
            finally:
                await bridge.stop()

        with pytest.raises(BadSettings, match="is taken: stop what uses it, or set TOCSIN_PORT"):
            asyncio.run(scenario())
