"""HTTP to receivers: bounds, redirects, private addresses, secrets."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from app.notifier.connections.addresses import AddressPolicy, CheckedResolver, PrivateAddress
from app.notifier.connections.http import (
    ANSWER_BYTES_MAX,
    HttpClient,
    Request,
    json_request,
    retry_after_s,
)
from app.notifier.outcome import Refused, TryAgain
from deploy.kafka.secured import authority, certificate
from tests.support.asynchronous import asynchronous
from tests.support.receivers.context import LOCAL
from tests.support.receivers.server import Fault, Received, Server

PUBLIC = ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946")
PRIVATE = (
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:db8::1",
    "localhost",
)


class Resolver(AbstractResolver):
    """Gives one list of addresses after another."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The next list."""
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.answers.pop(0)
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Large(Server):
    """Answers with more than anybody wants."""

    def answer(self, received: Received) -> web.Response:  # noqa: ARG002 - every answer is alike
        """Twice the largest answer."""
        return web.Response(body=b"x" * (2 * ANSWER_BYTES_MAX))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address: str) -> None:
    """An address of the public Internet needs no permission."""
    assert AddressPolicy().permits(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused(address: str) -> None:
    """Private, local, shared, multicast and reserved addresses are refused, also inside an IPv6 address."""
    assert not AddressPolicy().permits(address)


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1"])
def test_a_listed_network_is_permitted(address: str) -> None:
    """`allow_private_addresses` permits what it lists."""
    policy = AddressPolicy([ip_network("10.1.0.0/16"), ip_network("fd12::/16")])

    assert policy.permits(address)
    assert not policy.permits("10.2.0.1")


@asynchronous
async def test_a_name_keeps_its_permitted_addresses() -> None:
    """Of a name's addresses only the permitted ones are connected to."""
    resolver = CheckedResolver(AddressPolicy(), Resolver(["10.0.0.1", PUBLIC[0]], ["10.0.0.1"]))

    results = await resolver.resolve("mixed.example", 443)
    with pytest.raises(PrivateAddress, match=r"private\.example has a private address"):
        await resolver.resolve("private.example", 443)

    assert [result["host"] for result in results] == [PUBLIC[0]]


@asynchronous
async def test_a_name_that_becomes_private_reaches_nobody() -> None:
    """A name is checked by the answer that is connected to: DNS rebinding reaches no private server."""
    async with Server() as server:
        port = server.url.rpartition(":")[2]
        client = HttpClient(AddressPolicy(), resolver=Resolver(["127.0.0.1"]))
        with pytest.raises(Refused, match=r"^hook: rebound\.example has a private address"):
            await client.post(Request("hook", f"http://rebound.example:{port}/"))
        await client.close()

    assert server.requests == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "127.1", "0x7f.0.0.1"]
)
@asynchronous
async def test_a_private_address_in_the_url_reaches_nobody(host: str) -> None:
    """An address in the URL is checked as well, in any spelling that the system's resolver takes."""
    async with Server() as server:
        port = server.url.rpartition(":")[2]
        client = HttpClient(AddressPolicy())
        with pytest.raises((Refused, TryAgain)):
            await client.post(Request("hook", f"http://{host}:{port}/"))
        await client.close()

    assert server.requests == []


@pytest.mark.parametrize(
    "url", ["", "ftp://x.example/", "file:///etc/passwd", "https://", "http://[", "x"]
)
@asynchronous
async def test_a_url_that_is_none_is_refused(url: str) -> None:
    """Only http and https with a host are followed."""
    client = HttpClient(LOCAL)

    with pytest.raises(Refused, match=r"^hook: its URL"):
        await client.post(Request("hook", url))
    await client.close()


@asynchronous
async def test_an_answer_is_returned() -> None:
    """A status of 2xx with a whole body is the answer."""
    async with Server() as server:
        client = HttpClient(LOCAL)
        answer = await client.post(
            json_request("hook", f"{server.url}/a", {"b": 1}, headers={"X-Key": "k"})
        )
        await client.close()

    assert (answer.status, answer.whole, answer.document()) == (200, True, {"path": "/a"})
    assert [
        (request.method, request.json(), request.headers["x-key"]) for request in server.requests
    ] == [("POST", {"b": 1}, "k")]


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (Fault.RATE_LIMITED, TryAgain, "hook at 127.0.0.1 answered 429: slow down"),
        (Fault.BROKEN, TryAgain, "hook at 127.0.0.1 answered 500: oops Set-Cookie: x"),
        (
            Fault.REDIRECT,
            Refused,
            "hook at 127.0.0.1 answered 302, a redirect, which is not followed",
        ),
        (Fault.SILENT, TryAgain, "hook at 127.0.0.1 gave no answer within 0.2 s"),
    ],
)
@asynchronous
async def test_a_fault_is_permanent_or_temporary(
    fault: Fault, kind: type[Exception], message: str
) -> None:
    """Each fault says whether another attempt may succeed, and a redirect is followed by no request."""
    async with Server() as server:
        server.faults.append(fault)
        client = HttpClient(LOCAL, timeout_s=0.2)
        with pytest.raises(kind) as caught:
            await client.post(Request("hook", f"{server.url}/a"))
        await client.close()

    assert str(caught.value) == message
    assert [request.path for request in server.requests] == ["/a"]


@asynchronous
async def test_half_an_answer_is_no_whole_one() -> None:
    """A body that breaks off is marked, and its status counts."""
    async with Server() as server:
        server.faults.append(Fault.HALF_ANSWER)
        client = HttpClient(LOCAL)
        answer = await client.post(Request("hook", server.url))
        await client.close()

    assert (answer.status, answer.whole, answer.document()) == (200, False, {})


@asynchronous
async def test_a_large_answer_is_cut() -> None:
    """No more than ANSWER_BYTES_MAX of a body is read."""
    async with Large() as server:
        client = HttpClient(LOCAL)
        answer = await client.post(Request("hook", server.url))
        await client.close()

    assert (len(answer.body), answer.whole) == (ANSWER_BYTES_MAX, False)


@asynchronous
async def test_a_secret_stands_in_no_error() -> None:
    """A service that repeats the request shows neither the secrets nor the path, which is one at many services."""
    async with Server() as server:
        server.faults.append(Fault.ECHO)
        client = HttpClient(LOCAL)
        request = Request(
            "hook", f"{server.url}/hooks/path-secret?q=query-secret", b"body-secret", {"Key": "head-secret"},
            secrets=("body-secret", "head-secret"),
        )  # fmt: skip
        with pytest.raises(Refused) as caught:
            await client.post(request)
        await client.close()

    assert "answered 400: cannot take [secret]" in str(caught.value)
    assert not any(
        f"{part}-secret" in str(caught.value) for part in ("path", "query", "body", "head")
    )


@asynchronous
async def test_a_refused_connection_is_temporary() -> None:
    """A port where nobody listens may be listened at later."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = HttpClient(LOCAL)
        with pytest.raises(TryAgain, match=r"^hook at 127\.0\.0\.1: no connection: "):
            await client.post(
                Request("hook", f"http://127.0.0.1:{unused.getsockname()[1]}/secret-path")
            )
        await client.close()


@asynchronous
async def test_a_wrong_certificate_is_not_accepted(tmp_path: Path) -> None:
    """A server whose certificate nobody known signed gets no request."""
    authority(tmp_path, "ca")
    certificate(tmp_path, "server", "ca", "IP:127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(1))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    client = HttpClient(LOCAL)
    with pytest.raises(TryAgain, match=r"its certificate is not accepted: "):
        await client.post(
            Request("hook", f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        )
    await client.close()
    server.close()

    assert received in ([], [b""])


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("999999", 3600.0), ("inf", 3600.0), ("nan", None), ("soon", None), ("", None)],
)  # fmt: skip
def test_retry_after_is_read_and_bounded(value: str, seconds: float | None) -> None:
    """A number is seconds; nonsense is nothing; nobody makes us wait for more than an hour."""
    assert retry_after_s({"Retry-After": value}) == seconds


def test_retry_after_may_be_a_date() -> None:
    """A date in the past means now, one far away an hour."""
    now = datetime.now(UTC)
    past, future = (format_datetime(now + timedelta(days=days), usegmt=True) for days in (-1, 1))

    assert retry_after_s({"Retry-After": past}) == 0.0
    assert retry_after_s({"Retry-After": future}) == 3600.0
