"""How the bridge reads bodies.

JSON, perhaps compressed, each of a bounded size in a bounded time, and all of them together.
"""

import asyncio
import zlib
from collections.abc import Callable
from typing import Any

from aiohttp import web

from app import metrics
from app.bridge.access.authorization import asker_of
from app.bridge.connections.limits import BODY_BYTES_MAX, RETRY_SECONDS, Limits
from app.bridge.connections.responses import RequestDeclined
from app.intake.normalise import parse_json
from models.reason import BadInput, Reason

# A web page can send a form, plain text, or nothing named, to a bridge on the loopback without
# asking it first; it has to ask for these. aiohttp's client says octet-stream when it is given
# bytes.
CONTENT_TYPES = ("application/json", "application/octet-stream")
FORM = "application/x-www-form-urlencoded"  # what curl -d says of whatever it sends
ENCODINGS = ("identity", "gzip")
KIB = 1024


class Bodies:
    """Reads bodies, and knows how many bytes are under way."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = 0  # of all bodies that are being read

    async def read_json(
        self,
        request: web.Request,
        types: tuple[str, ...] = CONTENT_TYPES,
        parsed_by: Callable[[bytes], Any] = parse_json,
    ) -> Any:
        """The JSON of a request's body.

        Raises BadInput, or RequestDeclined when there is no body that could be parsed.
        """
        encoding = _content_encoding(request, types)
        sender = asker_of(request)
        try:
            body = await self._read_body(request)
            sender.check_alerts()
            body = _decompress(body) if encoding == "gzip" else body
            sender.count_alerts(len(body) / KIB)
            return parsed_by(body)
        finally:
            self._release_bytes(request)

    async def _read_body(self, request: web.Request) -> bytes:
        chunks: list[bytes] = []
        seconds_max = self._limits.body_seconds
        try:
            async with asyncio.timeout(seconds_max):
                while chunk := await request.content.readany():
                    chunks.append(chunk)
                    self._reserve_bytes(request, len(chunk))
        except TimeoutError:
            text = f"the body did not arrive within {seconds_max:g} s; nothing of it was kept"
            raise RequestDeclined(408, "too_slow", text) from None
        except ConnectionError:
            raise RequestDeclined(
                400, "disconnected", "the sender went away before the end of the body"
            ) from None
        except web.RequestPayloadError as error:
            raise BadInput(Reason.MALFORMED, f"the body cannot be read: {error}") from None
        return b"".join(chunks)

    def _reserve_bytes(self, request: web.Request, size: int) -> None:
        """Count bytes that have arrived.

        Raises RequestDeclined when they are too many, of this body or of all.
        """
        read = request.get(_READ, 0) + size
        if read > BODY_BYTES_MAX:
            raise _too_large()
        if self._bytes + size > self._limits.bodies_bytes:
            text = f"bodies of {self._bytes} bytes are being read, must be at most {self._limits.bodies_bytes}"
            raise RequestDeclined(
                503,
                "bodies_wait",
                f"{text}; nothing of this one was kept, send it again",
                RETRY_SECONDS,
            )
        request[_READ] = read
        self._count_bytes(size)

    def _release_bytes(self, request: web.Request) -> None:
        self._count_bytes(-request.get(_READ, 0))

    def _count_bytes(self, size: int) -> None:
        self._bytes += size
        metrics.BODY_BYTES.set(self._bytes)


_READ = web.RequestKey("read", int)  # bytes of a request's body that were counted


def _content_encoding(request: web.Request, types: tuple[str, ...]) -> str:
    content_type = request.headers.get("Content-Type")
    if content_type is None or request.content_type not in types:
        text = f"the Content-Type is {content_type!r:.80}, must be application/json"
        raise RequestDeclined(415, "unsupported_media_type", text)
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding not in ENCODINGS:
        text = f"the Content-Encoding is {encoding!r:.80}, must be {' or '.join(ENCODINGS)}"
        raise RequestDeclined(415, "unsupported_encoding", text)
    return encoding


def _decompress(body: bytes) -> bytes:
    """The body without its compression.

    Aiohttp could do it, but logs a sender's fault as an error of its own.
    """
    unfolding = zlib.decompressobj(wbits=31)  # gzip's format
    try:
        unfolded = unfolding.decompress(body, BODY_BYTES_MAX + 1)
    except zlib.error as error:
        raise BadInput(
            Reason.MALFORMED, f"the body is not gzip, as its Content-Encoding says: {error}"
        ) from None
    if len(unfolded) > BODY_BYTES_MAX:
        raise _too_large()
    if not unfolding.eof or unfolding.unused_data:
        raise BadInput(
            Reason.MALFORMED, "the body is not one whole gzip stream, as its Content-Encoding says"
        )
    return unfolded


def _too_large() -> RequestDeclined:
    return RequestDeclined(
        413,
        Reason.TOO_LARGE,
        f"the body is larger than {BODY_BYTES_MAX} bytes: send fewer alerts at once",
    )
