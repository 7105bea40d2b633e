"""A local HTTP server that stands for a service: it records what it gets, and can be told to misbehave."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

import orjson
from aiohttp import web


class Fault(StrEnum):
    """How a service misbehaves once."""

    RATE_LIMITED = "429 with Retry-After"
    BROKEN = "500"
    SILENT = "no answer"
    HALF_ANSWER = "half an answer, then the connection breaks"
    REDIRECT = "a redirect"
    ECHO = "400 that repeats the request"


@dataclass(frozen=True)
class Received:
    """A request."""

    method: str
    path: str  # with the query
    headers: dict[str, str]  # names in small letters
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return orjson.loads(self.body)

    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass
class Server:
    """Answers each request with `answer`; a subclass speaks a service's protocol."""

    requests: list[Received] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    url: str = ""
    _runner: web.AppRunner | None = None
    _closing: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, received: Received) -> web.Response:
        """The service's answer to a request that it understands."""
        return web.json_response({"path": received.path})

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=1 << 24)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        assert self._runner is not None
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(request.method, request.path_qs, headers, await request.read())
        self.requests.append(received)
        if not self.faults:
            return self.answer(received)
        match self.faults.popleft():
            case Fault.RATE_LIMITED:
                return self.rate_limited()
            case Fault.BROKEN:
                return web.Response(status=500, text="oops\r\nSet-Cookie: x")
            case Fault.SILENT:
                await self._closing.wait()
                return web.Response()
            case Fault.HALF_ANSWER:
                return await _half(request, self.answer(received))
            case Fault.REDIRECT:
                return web.Response(status=302, headers={"Location": f"{self.url}/elsewhere"})
            case Fault.ECHO:
                text = f"cannot take {request.path_qs} {dict(request.headers)} {received.body.decode()}"
                return web.Response(status=400, text=text)

    def rate_limited(self) -> web.Response:
        """The answer to too many requests."""
        return web.Response(status=429, headers={"Retry-After": "7"}, text="slow down")


async def _half(request: web.Request, answer: web.Response) -> web.StreamResponse:
    """The answer's status and the first half of its body, then nothing more."""
    body = answer.body if isinstance(answer.body, bytes) else b""
    response = web.StreamResponse(
        status=answer.status, headers={"Content-Type": answer.content_type}
    )
    response.content_length = len(body) + 10
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    assert request.transport is not None
    request.transport.close()
    return response
