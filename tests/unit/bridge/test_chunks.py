"""Chunked bodies: the framing has a bound and a price, and nothing is parsed behind an answer."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from app.bridge.connections.connection import DROPPED_BYTES_MAX
from app.bridge.connections.limits import FRAMING_BYTES_FREE, Limits
from tests.support.bridge_metrics import gauge, refused_count, until
from tests.support.driven_loop import pass_time, run_driven
from tests.support.fake_log import FakeLog
from tests.support.raw_http import OK, connect, get, hang_up
from tests.support.served_bridge import Client, error, serving

HEAD = (
    b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
)
POST = HEAD % (b"/api/v2/alerts", b"application/json")
END = b"0\r\n\r\n"


def talk(what: Callable[[Client], Awaitable[Any]], limits: Limits | None = None) -> Any:
    """What `what` returns of a conversation with a bridge, on a loop that it drives."""

    async def conversation() -> Any:
        async with serving(FakeLog(), limits=limits) as client:
            return await what(client)

    return run_driven(conversation())


async def exchange(client: Client, *parts: bytes) -> tuple[int, Any]:
    """Status and body of the answer to these bytes, after which the bridge closes."""
    reader, writer = await connect(client)
    for part in parts:
        writer.write(part)
    answer = await reader.read()
    await hang_up(writer)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nConnection: close" in head
    return int(head.split()[1]), orjson.loads(body)


def chunks(number: int, extension: bytes = b"") -> bytes:
    """So many chunks of a byte."""
    return b"1%s\r\n \r\n" % extension * number


@pytest.mark.parametrize("extension", [b"", b";x=" + b"y" * 1000], ids=["small", "extended"])
def test_framing_has_a_bound(extension: bytes) -> None:
    """A body whose chunks have more around them than in them is refused before it has ended."""
    before = refused_count("small_chunks")

    async def scenario(client: Client) -> tuple[int, Any]:
        return await exchange(client, POST, chunks(40_000 // (len(extension) + 5), extension))

    status, body = talk(scenario)

    assert (status, body["reason"]) == (400, "small_chunks")
    assert refused_count("small_chunks") == before + 1


@pytest.mark.parametrize("size", [600, 4096, 65_536])
def test_chunks_of_a_usual_size_are_taken(size: int) -> None:
    """However many there are."""
    body = orjson.dumps([]).ljust(1024 * 1024)
    pieces = [body[start : start + size] for start in range(0, len(body), size)]

    async def scenario(client: Client) -> bytes:
        reader, writer = await connect(client)
        framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        answer = await get(reader, writer, POST + framed + END)
        await hang_up(writer)
        return answer

    assert talk(scenario) == OK


def test_framing_costs() -> None:
    """Chunks are charged to whoever sends them, also where nobody is asked for a token."""
    limits = Limits(alerts_per_second=0.01, burst_seconds=10_000)
    number = FRAMING_BYTES_FREE // 5 - 10

    async def scenario(client: Client) -> list[int]:
        paths = [b"/healthz", b"/api/v2/alerts"]
        posts = [HEAD % (path, b"application/json") + chunks(number) + END for path in paths]
        return [(await exchange(client, post))[0] for post in posts]

    assert talk(scenario, limits) == [405, 429]


def test_nothing_is_parsed_behind_an_answer() -> None:
    """What follows a refusal is dropped: it is no request, and no fault. Then the connection ends."""
    before = refused_count("no_http")

    async def scenario(client: Client) -> Any:
        reader, writer = await connect(client)
        writer.write(HEAD % (b"/api/v2/alerts", b"text/plain"))
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"no chunk" * 1000)
        body = await reader.read()
        still_open = gauge("connections")
        await hang_up(writer)
        await until(lambda: gauge("connections") == 0)
        return head.split()[1], orjson.loads(body), still_open

    text = "the Content-Type is 'text/plain', must be application/json"
    expected = (b"415", error("unsupported_media_type", text), 1)
    assert talk(scenario) == expected
    assert refused_count("no_http") == before


def test_who_goes_on_to_send_is_cut_off() -> None:
    """After a time, and after as many bytes as no body has."""

    async def scenario(client: Client) -> list[float | None]:
        found = []
        for number in (1, DROPPED_BYTES_MAX // 65_536 + 2):
            reader, writer = await connect(client)
            writer.write(HEAD % (b"/api/v2/alerts", b"text/plain"))
            await reader.readuntil(b"\r\n\r\n")
            try:
                for _ in range(number):
                    writer.write(b"x" * 65_536)
                    await writer.drain()
            except ConnectionError:
                pass
            if number == 1:
                found.append(gauge("connections"))
                await pass_time(10)
            await until(lambda: gauge("connections") == 0)
            found.append(gauge("connections"))
            await hang_up(writer)
        return found

    assert talk(scenario, Limits(linger_seconds=10)) == [1, 0, 0]
