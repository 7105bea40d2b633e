"""A connection to the bridge that cannot be held for ever: in each of its phases but one a timer runs.

The one is while a request is worked on: reading its body has a time of its own
(`app.bridge.request_bodies`), and so has the journal. aiohttp has a timer for idle connections
only, and waits for ever for who does not take an answer.
"""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from app import metrics
from app.bridge.limits import Limits
from app.bridge.responses import error_json


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
            lingering_time=limits.linger_seconds,
        )
        self._on_lost = on_lost
        self._seconds = {
            Phase.HEAD: limits.head_seconds,
            Phase.ANSWER: limits.answer_seconds,
            Phase.IDLE: limits.idle_seconds,
        }
        self._phase: Phase | None = None  # None while a request is worked on
        self._timer: asyncio.TimerHandle | None = None
        self._wire: asyncio.Transport | None = None  # aiohttp forgets its own before all is sent

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The first request has to come."""
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        super().connection_made(transport)
        self._enter_phase(Phase.HEAD)

    def data_received(self, data: bytes) -> None:
        """The next request begins with its first byte."""
        if data and self._phase is Phase.IDLE:
            self._enter_phase(Phase.HEAD)
        super().data_received(data)

    def begin_request(self) -> None:
        """The headers are here."""
        self._enter_phase(None)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer."""
        self._enter_phase(Phase.ANSWER)
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._enter_phase(Phase.IDLE)

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
        metrics.REFUSED.labels("no_http").inc()
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
        super().connection_lost(exc)
        self._on_lost()

    def _enter_phase(self, phase: Phase | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._phase, self._timer = phase, None
        if phase is not None and self._wire is not None:
            self._timer = asyncio.get_running_loop().call_later(
                self._seconds[phase], self._give_up, phase
            )

    def _give_up(self, phase: Phase) -> None:
        metrics.CLOSED.labels(phase).inc()
        wire = self._wire
        self.force_close()
        if wire is not None:
            wire.abort()  # closing alone would wait until all is sent


class _NoAccessLog(AbstractAccessLogger):
    """A log of requests that is off: metrics count them."""

    enabled = False

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write nothing."""
