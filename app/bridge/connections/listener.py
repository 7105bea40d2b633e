"""Where connections come in: as many as there may be, with TLS or without, no more than half of them from one address.

asyncio's server counts nothing, and nobody is told of a connection whose TLS handshake is under
way. So we accept ourselves.

When there is no place, the connection that has waited longest for its other side and has shown no
token ends, so that nobody can keep others out by holding connections. Whoever shows a token keeps
its place.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from app import metrics
from app.bridge.connections.connection import Connection
from app.bridge.connections.limits import Limits
from app.bridge.connections.rate_limits import address_key
from app.bridge.connections.responses import logger

BACKLOG = 128
PAUSE_SECONDS = 1.0  # when the process may open no more files, as asyncio does


@dataclass(slots=True, eq=False)
class _Place:
    """The place of a connection, also of one whose handshake is under way."""

    address: str
    since: float  # when it was taken, by the loop's clock
    socket: socket.socket
    task: asyncio.Task[None] | None = None  # the handshake
    connection: Connection | None = None

    @property
    def waits_since(self) -> float | None:
        """Since when it waits for its other side; None while it may not be closed."""
        if self.connection is None or not self.connection.is_made:
            return self.since
        return self.connection.since if self.connection.may_be_closed else None

    def close(self) -> None:
        """End the connection, or its handshake."""
        if self.connection is not None and self.connection.is_made:
            self.connection.close_for_room()
        elif self.task is not None:
            metrics.CLOSED.labels("made_room").inc()
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)  # else it waits for TLS to say goodbye
            self.task.cancel()
            if self.connection is None:
                self.socket.close()  # the handshake has not begun, so nobody else will


class Listener:
    """Listens for a server.

    `context` is asked for each connection, so that certificates can change. `identified` says
    whether anybody is asked for a token or a certificate.
    """

    def __init__(
        self,
        server: web.Server,
        limits: Limits,
        context: Callable[[], ssl.SSLContext | None],
        *,
        identified: bool = False,
    ) -> None:
        self._server, self._limits, self._context = server, limits, context
        self._kept = limits.connections_kept if identified else 0
        self._listening: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._coming: set[asyncio.Task[None]] = set()
        self._places: set[_Place] = set()
        self._inside: Counter[str] = Counter()  # places by address

    async def open(self, host: str, port: int) -> tuple[str, int]:
        """Listen; the first address. Raises OSError when it is taken."""
        try:
            for family, address in await _addresses(host, port):
                self._listening.append(_open_socket(family, address))
        except OSError:
            await self.close()
            raise
        self._accepting = [
            asyncio.create_task(self._accept_connections(listening))
            for listening in self._listening
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
        for listening in self._listening:
            listening.close()
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
            if not self._has_room(address):
                connected.close()
                continue
            place = _Place(address, loop.time(), connected)
            self._places.add(place)
            self._inside[address] += 1
            metrics.CONNECTIONS.set(len(self._places))
            place.task = asyncio.create_task(self._let_in(place))
            self._coming.add(place.task)
            place.task.add_done_callback(self._coming.discard)

    def _has_room(self, address: str) -> bool:
        """Whether one more connection has a place, which is made if need be. What has none is counted."""
        if self._inside[address] >= self._limits.connections_each:
            if not self._make_room(address):
                metrics.CLOSED.labels("too_many_of_one").inc()
                return False
        elif len(self._places) >= self._limits.connections:
            if not self._make_room():
                metrics.CLOSED.labels("too_many").inc()
                return False
        elif self._kept and self._untrusted() >= self._limits.connections - self._kept:
            self._make_room()  # the kept places are for those who will have shown a token
        return True

    def _untrusted(self) -> int:
        return sum(
            place.connection is None or not place.connection.trusted for place in self._places
        )

    def _make_room(self, address: str | None = None) -> bool:
        """Close a connection that waits for its other side, of an address or of any.

        It is of the address that has the most, and has waited longest. So an address with few
        connections does not lose them to one with many.
        """
        waiting = [
            (self._inside[place.address], -since, place)
            for place in self._places
            if address in (None, place.address) and (since := place.waits_since) is not None
        ]
        if not waiting:
            return False
        place = max(waiting, key=lambda item: item[:2])[2]
        place.close()
        self._leave(place)
        return True

    def _leave(self, place: _Place) -> None:
        """Count a connection out, however often it is said."""
        if place not in self._places:
            return
        self._places.remove(place)
        self._inside[place.address] -= 1
        if not self._inside[place.address]:
            del self._inside[place.address]
        metrics.CONNECTIONS.set(len(self._places))

    def _connection_of(self, place: _Place) -> Connection:
        place.connection = Connection(self._server, self._limits, lambda: self._leave(place))
        return place.connection

    async def _let_in(self, place: _Place) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._connection_of(place), place.socket, **self._tls()
            )
        except OSError:
            metrics.CLOSED.labels("handshake").inc()
            self._leave(place)  # nobody else knows of it
        except asyncio.CancelledError:
            self._leave(place)
            raise

    def _tls(self) -> dict[str, Any]:
        context = self._context()
        return (
            {"ssl": context, "ssl_handshake_timeout": self._limits.handshake_seconds}
            if context
            else {}
        )


async def check_address(host: str, port: int) -> None:
    """Raise OSError when nobody can listen there now."""
    for family, address in await _addresses(host, port):
        _open_socket(family, address).close()


async def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    loop = asyncio.get_running_loop()
    known = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in known))


def _open_socket(family: socket.AddressFamily, address: Any) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)  # noqa: FBT003  as the standard library has it
    except OSError:
        listening.close()
        raise
    return listening
