"""Who holds connections keeps nobody out: the one that has waited longest without a token ends."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.bridge.connections.limits import Limits
from app.settings import HttpSecurity
from deploy.kafka.secured import authority, certificate
from tests.support.bridge_metrics import closed_count, gauge, until
from tests.support.driven_loop import pass_time, run_driven
from tests.support.fake_log import FakeLog
from tests.support.raw_http import GET, HOSTS, OK, Wire, connect, get, hang_up
from tests.support.served_bridge import Client, serving
from tests.support.token_files import write

TOKEN = "a" * 20
WITH_TOKEN = GET.replace(b"/healthz", b"/api/v1/incidents").replace(
    b"\r\n\r\n", f"\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
)


async def are_open(wires: list[Wire], request: bytes = GET) -> list[bool]:
    """Which of the connections are answered."""
    return [await get(*wire, request) == OK for wire in wires]


async def end(wires: list[Wire]) -> None:
    """End them all."""
    for _, writer in wires:
        await hang_up(writer)


async def connect_one_by_one(client: Client, hosts: list[str]) -> list[Wire]:
    """Connections from these addresses, each a second older than the next."""
    wires = []
    for host in hosts:
        wires.append(await connect(client, host))
        assert await get(*wires[-1]) == OK
        await pass_time(1)
    return wires


@pytest.mark.parametrize(
    ("last_bytes", "open_ones"),
    [([1, 2, 3, 4], [False, True, True, True]), ([1, 2, 2, 3], [True, False, True, True])],
    ids=["longest idle", "of the address that has most"],
)
def test_the_connection_that_waited_longest_makes_room(
    last_bytes: list[int], open_ones: list[bool]
) -> None:
    """When all places are taken, it ends, of the address that has the most; the new one is answered."""
    before = closed_count("made_room")

    async def scenario() -> Any:
        async with serving(FakeLog(), limits=Limits(connections=4)) as client:
            hosts = [f"127.0.0.{number}" for number in last_bytes]
            wires = await connect_one_by_one(client, hosts)
            wires.append(await connect(client, "127.0.0.9"))
            found = await are_open(wires), gauge("connections")
            await end(wires)
            return found

    assert run_driven(scenario()) == ([*open_ones, True], 4)
    assert closed_count("made_room") == before + 1


def test_an_address_makes_room_for_itself() -> None:
    """It has no more than half of the places; its own connections end for its next one."""
    before = closed_count("made_room")

    async def scenario() -> Any:
        async with serving(FakeLog(), limits=Limits(connections=6)) as client:
            wires = await connect_one_by_one(client, [HOSTS[1], *[HOSTS[0]] * 4])
            found = await are_open(wires)
            await end(wires)
            return found

    assert run_driven(scenario()) == [True, False, True, True, True]
    assert closed_count("made_room") == before + 1


def test_connections_that_are_worked_on_stay() -> None:
    """Where each of them has sent a head and not yet its body, the next one ends at once."""
    before = closed_count("too_many"), closed_count("too_many_of_one")
    head = (
        b"POST /api/v2/alerts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 700\r\n\r\n "
    )

    async def scenario() -> Any:
        async with serving(FakeLog(), limits=Limits(connections=4)) as client:
            wires = [await connect(client, host) for host in (*HOSTS[:2], *HOSTS[:2])]
            for _, writer in wires:
                writer.write(head)
            await until(lambda: gauge("body_bytes") == 4)
            late = [await connect(client, host) for host in (HOSTS[0], HOSTS[2])]
            found = await are_open(late), gauge("connections")
            await end([*wires, *late])
            return found

    assert run_driven(scenario()) == ([False, False], 4)
    after = closed_count("too_many"), closed_count("too_many_of_one")
    assert after == (before[0] + 1, before[1] + 1)


def test_who_showed_a_token_keeps_its_place(tmp_path: Path) -> None:
    """However long it is idle, and however many others come; and places are kept for such ones."""
    write(tmp_path / "tokens", f"a read {TOKEN}\n")
    http = HttpSecurity(tokens_file=str(tmp_path / "tokens"))

    async def scenario() -> Any:
        async with serving(FakeLog(), limits=Limits(connections=16), http=http) as client:
            trusted = await connect(client, HOSTS[0])
            assert await are_open([trusted], WITH_TOKEN) == [True]
            await pass_time(30)
            held = [
                await connect(client, host) for host in (*HOSTS[1:], HOSTS[0]) for _ in range(8)
            ]
            await pass_time(1)
            others = gauge("connections")
            found = await are_open([trusted], WITH_TOKEN)
            await end([trusted, *held])
            return found, others

    # 14 without a token, and the one that is let in to show one; the token's own is beside them
    assert run_driven(scenario()) == ([True], 15)


def test_a_handshake_makes_room(tmp_path: Path) -> None:
    """Connections that never begin TLS end for those who come later."""
    authority(tmp_path, "ca")
    certificate(tmp_path, "bridge", "ca", "IP:127.0.0.1")
    before = closed_count("made_room")
    cert, key = tmp_path / "bridge.crt", tmp_path / "bridge.key"
    http = HttpSecurity(cert_file=str(cert), key_file=str(key))

    async def scenario() -> Any:
        async with serving(FakeLog(), limits=Limits(connections=4), http=http) as client:
            wires = [await connect(client, host) for host in (*HOSTS[:2], *HOSTS[:2], HOSTS[2])]
            await until(lambda: closed_count("made_room") == before + 1)
            found = gauge("connections")
            await asyncio.gather(*(hang_up(writer) for _, writer in wires))
            return found

    assert run_driven(scenario()) == 4
