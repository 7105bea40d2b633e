"""What tells open pages that something has changed, and what browsers may do with pages."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientResponse

from app.web import streams
from models.effect import Stream
from tests.support.fake_log import FakeLog
from tests.support.incident_documents import add, log_of, snapshot
from tests.support.served_page import Visitor, see, visit, visiting

GUARDED = ["/", "/history", "/silences", "/silences/new", "/login", "/incidents/INC-1-00A"]


async def event_of(response: ClientResponse) -> str:
    """The kind of the next event."""
    while True:
        line = (await response.content.readline()).decode()
        if line.startswith("event: "):
            return line.removeprefix("event: ").strip()


def streamed(log: FakeLog, look: Callable[[Visitor, ClientResponse], Awaitable[Any]]) -> Any:
    """What `look` returns of an open stream."""

    async def whole(visitor: Visitor) -> Any:
        async with visitor.session.get(f"{visitor.url}/events") as response:
            return await look(visitor, response)

    return visit(log, whole)


def test_news() -> None:
    """An open page hears that it is connected, and then of each change of an incident."""
    log = log_of({Stream.INCIDENTS: [snapshot()]})

    async def look(_: Visitor, response: ClientResponse) -> list[str]:
        first = await event_of(response)
        add(log, Stream.INCIDENTS, [snapshot(state="acknowledged")])
        return [response.content_type, first, await event_of(response)]

    assert streamed(log, look) == ["text/event-stream", "hello", "changed"]


def test_a_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page without news is told now and then, so that ages go on."""
    monkeypatch.setattr(streams.Streams.__init__, "__defaults__", (100, 0.01, 0.0))

    async def look(_: Visitor, response: ClientResponse) -> list[str]:
        return [await event_of(response), await event_of(response)]

    assert streamed(FakeLog(), look) == ["hello", "beat"]


def test_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams are bounded; whoever comes too late is told when to come again."""
    monkeypatch.setattr(streams.Streams.__init__, "__defaults__", (1, 15.0, 1.0))

    async def look(visitor: Visitor, response: ClientResponse) -> tuple[int, str]:
        await event_of(response)
        refused = await visitor.get("/events")
        return refused.status, refused.headers["Retry-After"]

    assert streamed(FakeLog(), look) == (503, "15")


def test_streams_end_with_the_bridge() -> None:
    """A bridge that stops does not wait for its open pages, and follows nothing any more."""
    log = FakeLog()

    async def whole() -> None:
        async with (
            visiting(log) as visitor,
            visitor.session.get(f"{visitor.url}/events") as response,
        ):
            await event_of(response)
            assert len(log.followers) == 1
            await visitor.bridge.stop()

    asyncio.run(whole())

    assert log.followers == []


@pytest.mark.parametrize("path", GUARDED)
def test_what_browsers_may_do(path: str) -> None:
    """Each page, also a refusal, loads and runs what is ours only, and is kept by nobody."""
    headers = see(FakeLog(), path).headers

    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")


def test_what_a_page_is_made_of() -> None:
    """The style, the script and the icon come from this server, and their addresses change with them."""

    async def look(visitor: Visitor) -> list[tuple[int, str, str]]:
        page = await visitor.get("/")
        addresses = {
            part.partition('"')[0] for part in page.text.split('"') if part.startswith("/static/")
        }
        seen = [await visitor.get(address) for address in sorted(addresses)]
        seen.append(await visitor.get("/static/0/page.css"))
        seen.append(await visitor.get("/static/0/secret"))
        return [
            (one.status, one.headers["Content-Type"], one.headers.get("Cache-Control", ""))
            for one in seen
        ]

    kept = "public, max-age=31536000, immutable"
    found = visit(FakeLog(), look)

    assert sorted(found[:3]) == [
        (200, "image/svg+xml; charset=utf-8", kept),
        (200, "text/css; charset=utf-8", kept),
        (200, "text/javascript; charset=utf-8", kept),
    ]
    assert found[3] == (200, "text/css; charset=utf-8", "no-store")
    assert found[4][0] == 404
