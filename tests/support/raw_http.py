"""Connections to a bridge that a test writes bytes to, from addresses of its choice."""

import asyncio
from contextlib import suppress

from tests.support.served_bridge import Client

# All of Linux's loopback network is this machine.
HOSTS = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = b"HTTP/1.1 200 OK"
Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(client: Client, source: str = HOSTS[0]) -> Wire:
    """A connection to the bridge from an address."""
    host, port = client.url.rpartition("/")[2].split(":")
    return await asyncio.open_connection(host, int(port), local_addr=(source, 0))


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """End a connection, if the bridge has not done so."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def get(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes = GET
) -> bytes:
    """The first line of the answer on an open connection; empty when it is closed."""
    try:
        writer.write(request)
        line = await reader.readline()
        if line:
            head = await reader.readuntil(b"\r\n\r\n")
            size = next(
                int(one.split()[1])
                for one in head.splitlines()
                if one.lower().startswith(b"content-length")
            )
            await reader.readexactly(size)
    except ConnectionError:
        return b""
    return line.strip()
