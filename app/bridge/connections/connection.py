"""A connection to the bridge that cannot be held for ever: in each of its phases but one a timer runs.

The one is while a request is worked on: reading its body has a time of its own
(`app.bridge.access.request_bodies`), and so has the journal. aiohttp has a timer for idle connections
only, and waits for ever for who does not take an answer.

A chunk of one byte costs as much as a chunk of a kilobyte, and aiohttp would parse what an answered
request still sends. So the framing of a chunked body is bounded, and what comes behind an answer is
dropped unread.
"""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractAccessLogger

from app import metrics
from app.bridge.connections.limits import FRAMING_BYTES_FREE, FRAMING_SHARE, Limits
from app.bridge.connections.refusals import count_refusal
from app.bridge.connections.responses import RequestDeclined, error_json

PIECE_BYTES = 4096  # that are parsed before the framing is looked at: at most 800 chunks
DROPPED_BYTES_MAX = 16 * 1024 * 1024  # behind an answer; a body that is too large is not larger


class Phase(StrEnum):
    """What a connection waits for, as `tocsin_bridge_connections_closed_total` names it."""

    HEAD = "head"  # the end of the headers
    ANSWER = "answer"  # that the answer is taken
    IDLE = "idle"  # the next request


class Connection(web.RequestHandler):
    """aiohttp's, with timers. `on_lost` is called once, when it is gone."""

    def __init__(self, server: web.Server, limits: Limits, on_lost: Callable[[], None]) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log_class=_NoAccessLog,
            auto_decompress=False,
            lingering_time=0.0,  # `_drop_rest` does it, and parses nothing
        )
        self._on_lost = on_lost
        self._linger_seconds = limits.linger_seconds
        self._seconds = {
            Phase.HEAD: limits.head_seconds,
            Phase.ANSWER: limits.answer_seconds,
            Phase.IDLE: limits.idle_seconds,
        }
        self._phase: Phase | None = None  # None while a request is worked on
        self._timer: asyncio.TimerHandle | None = None
        self._wire: asyncio.Transport | None = None  # aiohttp forgets its own before all is sent
        self._chunked: StreamReader | None = None  # the body that is arriving, if it is chunked
        self._chunked_bytes = 0  # of it as it came, with its framing
        self._dropping: asyncio.Future[None] | None = None  # done when the rest need not be dropped
        self._dropped_bytes = 0
        self.trusted = False  # a token or a certificate was shown
        self.since = 0.0  # when the phase began, by the loop's clock

    @property
    def is_made(self) -> bool:
        """Whether it is open: its handshake is over, and it has not been lost."""
        return self._wire is not None

    @property
    def may_be_closed(self) -> bool:
        """Whether it can be closed to make room: nobody has proved who it is, nothing is under way."""
        return self._phase is not None and not self.trusted

    @property
    def framing_bytes(self) -> int:
        """What the chunks of the body that was read last had around them, in bytes."""
        return 0 if self._chunked is None else self._chunked_bytes - self._chunked.total_bytes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The first request has to come."""
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        super().connection_made(transport)
        self._enter_phase(Phase.HEAD)

    def data_received(self, data: bytes) -> None:
        """The next request begins with its first byte."""
        if self._dropping is not None:
            self._drop(len(data))
            return
        if data and self._phase is Phase.IDLE:
            self._enter_phase(Phase.HEAD)
        if not data:  # aiohttp asks for what it has kept back
            super().data_received(data)
        for start in range(0, len(data), PIECE_BYTES):
            self._receive_piece(data[start : start + PIECE_BYTES])

    def begin_request(self) -> None:
        """The headers are here."""
        self._enter_phase(None)

    def close_for_room(self) -> None:
        """End it, because another connection needs its place."""
        self._end_connection("made_room")

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer. If nobody read the whole body, the connection ends with it."""
        self._enter_phase(Phase.ANSWER)
        if not request.content.at_eof():
            resp.force_close()
        try:
            finished = await super().finish_response(request, resp, start_time)
            if not request.content.is_eof():
                await self._drop_rest()
        finally:
            self._enter_phase(Phase.IDLE)
        return finished

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is answered to a request whose head cannot be read.

        Aiohttp would log it as a fault, with what was sent.
        """
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        count_refusal("no_http", "a request line or headers cannot be read as HTTP")
        response = error_json(
            status, "no_http", "the request line and the headers cannot be read as HTTP"
        )
        response.force_close()
        return response

    def log_exception(self, *args: Any, **more: Any) -> None:
        """Log a fault of ours.

        A body that cannot be read, and that nobody wanted to read, is none.
        """
        if not isinstance(more.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **more)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._wire = self._timer = None
        self._end_dropping()
        super().connection_lost(exc)
        self._on_lost()

    def eof_received(self) -> None:
        """Nothing more is sent."""
        self._end_dropping()
        super().eof_received()

    def _receive_piece(self, data: bytes) -> None:
        """Parse a piece, in which a chunked body may begin or go on."""
        body = self._chunked
        if body is not None and body.exception() is not None:
            return
        super().data_received(data)
        if self._messages:
            message, payload = self._messages[-1]
            is_body = isinstance(payload, StreamReader) and getattr(message, "chunked", False)
            begins = payload if is_body else None
            if begins is not body:
                self._chunked, self._chunked_bytes = begins, 0
                return
        if body is None or body.is_eof():
            return
        self._chunked_bytes += len(data)
        if self.framing_bytes > FRAMING_BYTES_FREE + body.total_bytes // FRAMING_SHARE:
            text = (
                f"the chunks of the body have {self.framing_bytes} bytes around {body.total_bytes}"
            )
            body.set_exception(
                RequestDeclined(400, "small_chunks", f"{text}: send it in larger chunks")
            )

    async def _drop_rest(self) -> None:
        """Take what is still sent, and look at none of it, so that the answer is read.

        To close at once would make the other side throw away an answer that it has not read yet.
        """
        wire = self._wire
        if wire is None:
            return
        self._dropping = asyncio.get_running_loop().create_future()
        if wire.can_write_eof():
            wire.write_eof()
        wire.resume_reading()
        try:
            async with asyncio.timeout(self._linger_seconds):
                await self._dropping
        except TimeoutError:
            pass
        self.force_close()

    def _drop(self, size: int) -> None:
        self._dropped_bytes += size
        if self._dropped_bytes > DROPPED_BYTES_MAX:
            self._end_dropping()

    def _end_dropping(self) -> None:
        if self._dropping is not None and not self._dropping.done():
            self._dropping.set_result(None)

    def _enter_phase(self, phase: Phase | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._phase, self._timer = phase, None
        loop = asyncio.get_running_loop()
        self.since = loop.time()
        if phase is not None and self._wire is not None:
            self._timer = loop.call_later(self._seconds[phase], self._end_connection, phase)

    def _end_connection(self, why: str) -> None:
        metrics.CLOSED.labels(why).inc()
        wire = self._wire
        self.force_close()
        if wire is not None:
            wire.abort()  # closing alone would wait until all is sent


class _NoAccessLog(AbstractAccessLogger):
    """A log of requests that is off: metrics count them."""

    enabled = False

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write nothing."""
