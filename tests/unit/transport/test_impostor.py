"""A broker that does not know the password either.

SCRAM lets the client find out, and Tocsin does not talk to it.
"""

import asyncio
import struct

import pytest

from app.settings import KafkaSecurity
from app.transport.kafka import KafkaLog
from app.transport.log import LogUnavailable
from app.transport.security import client_settings

API_VERSIONS, HANDSHAKE, AUTHENTICATE = 18, 17, 36
SECURITY = KafkaSecurity("SASL_PLAINTEXT", user="tocsin", password="secret")


class Impostor:
    """As much of Kafka's protocol as comes before a client believes in a broker."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.talks: list[asyncio.Task[None] | None] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the client goes away."""
        self.talks.append(asyncio.current_task())
        try:
            while True:
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                request = await reader.readexactly(size)
                key, _, correlation = struct.unpack(">hhi", request[:8])
                self.asked.append(key)
                answer = struct.pack(">i", correlation) + self._answer(key, request)
                writer.write(struct.pack(">i", len(answer)) + answer)
        except asyncio.IncompleteReadError:
            writer.close()
            await writer.wait_closed()

    def _answer(self, key: int, request: bytes) -> bytes:
        if key == API_VERSIONS:
            versions = b"".join(struct.pack(">hhh", one, 0, 1) for one in (HANDSHAKE, AUTHENTICATE))
            return struct.pack(">hi", 0, 2) + versions
        if key == HANDSHAKE:
            return struct.pack(">hi", 0, 1) + _text("SCRAM-SHA-512")
        _, _, nonce = request.rpartition(b"r=")
        first = b"n,,n=" in request
        said = b"r=" + nonce + b"more,s=c2FsdA==,i=4096" if first else b"v=bm90IHRoZSBzaWduYXR1cmU="
        return (
            struct.pack(">h", 0)
            + _text("")
            + struct.pack(">i", len(said))
            + said
            + struct.pack(">q", 0)
        )


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def test_an_impostor_is_found_out() -> None:
    """Nothing is asked of it after it could not prove that it knows the password."""
    impostor = Impostor()

    async def connect() -> None:
        server = await asyncio.start_server(impostor.talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            await KafkaLog([f"127.0.0.1:{port}"], security=client_settings(SECURITY)).start()
        finally:
            await asyncio.gather(*[talk for talk in impostor.talks if talk])
            server.close()

    with pytest.raises(
        LogUnavailable,
        match=r"it does not know the password either, so it is not the broker it says it is",
    ):
        asyncio.run(connect())

    assert impostor.asked == [API_VERSIONS, HANDSHAKE, AUTHENTICATE, AUTHENTICATE] * 2
