"""Where connections come in: as many as there may be, with TLS or without, no more than half of them from one address.

asyncio's server counts nothing, and nobody is told of a connection whose TLS handshake is under
way. So we accept ourselves.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

from app import metrics
from app.bridge.connection import Connection
from app.bridge.limits import Limits
from app.bridge.rate_limits import address_key
from app.bridge.responses import logger

BACKLOG = 128
PAUSE_SECONDS = 1.0  # when the process may open no more files, as asyncio does


class Listener:
    """Listens for a server.

    `context` is asked for each connection, so that certificates can change.
    """

    def __init__(
        self, server: web.Server, limits: Limits, context: Callable[[], ssl.SSLContext | None]
    ) -> None:
        self._server, self._limits, self._context = server, limits, context
        self._listening: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._coming: set[asyncio.Task[None]] = set()
        self._inside: Counter[str] = (
            Counter()
        )  # connections by address, those too whose handshake is under way
        self._number = 0  # of all of these

    async def open(self, host: str, port: int) -> tuple[str, int]:
        """Listen; the first address. Raises OSError when it is taken."""
        try:
            for family, address in await _addresses(host, port):
                self._listening.append(_open_socket(family, address))
        except OSError:
            await self.close()
            raise
        self._accepting = [
            asyncio.create_task(self._accept_connections(one)) for one in self._listening
        ]
        first: tuple[str, int] = self._listening[0].getsockname()[:2]
        return first

    async def close(self) -> None:
        """Listen no more. Connections that are in stay; handshakes that are under way end."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(
            *self._accepting, return_exceptions=True
        )  # whoever was let in has begun to come in then
        for task in tuple(self._coming):
            task.cancel()
        await asyncio.gather(*self._coming, return_exceptions=True)
        for one in self._listening:
            one.close()
        self._listening.clear()

    async def _accept_connections(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connected, peer = await loop.sock_accept(listening)
            except ConnectionError:
                continue  # it went away while it waited
            except OSError as error:
                logger.error("no connection can be accepted: %s", error.strerror)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            address = address_key(peer[0])
            if self._is_full(address):
                connected.close()
            else:
                task = asyncio.create_task(self._let_in(connected, self._reserve_place(address)))
                self._coming.add(task)
                task.add_done_callback(self._coming.discard)

    def _is_full(self, address: str) -> bool:
        """Whether one more connection is too many; it is counted if so."""
        if self._number >= self._limits.connections:
            metrics.CLOSED.labels("too_many").inc()
            return True
        if self._inside[address] >= self._limits.connections_each:
            metrics.CLOSED.labels("too_many_of_one").inc()
            return True
        return False

    def _reserve_place(self, address: str) -> Callable[[], None]:
        """Count a connection in. What is returned counts it out, however often it is called."""
        self._count_connection(address, 1)
        taken = [address]
        return lambda: self._count_connection(taken.pop(), -1) if taken else None

    async def _let_in(self, connected: socket.socket, leave: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Connection(self._server, self._limits, leave), connected, **self._tls()
            )
        except OSError:
            metrics.CLOSED.labels("handshake").inc()
            leave()  # nobody else knows of it
        except asyncio.CancelledError:
            leave()
            raise

    def _tls(self) -> dict[str, Any]:
        context = self._context()
        return (
            {"ssl": context, "ssl_handshake_timeout": self._limits.handshake_seconds}
            if context
            else {}
        )

    def _count_connection(self, address: str, number: int) -> None:
        self._number += number
        self._inside[address] += number
        if not self._inside[address]:
            del self._inside[address]
        metrics.CONNECTIONS.set(self._number)


async def check_address(host: str, port: int) -> None:
    """Raise OSError when nobody can listen there now."""
    for family, address in await _addresses(host, port):
        _open_socket(family, address).close()


async def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    loop = asyncio.get_running_loop()
    known = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in known))


def _open_socket(family: socket.AddressFamily, address: Any) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
        one.listen(BACKLOG)
        one.setblocking(False)  # noqa: FBT003  as the standard library has it
    except OSError:
        one.close()
        raise
    return one
