"""A path may have a slash at its end, and the prefix of a proxy; HEAD is answered where GET is."""

import asyncio
from typing import Any

import pytest

from app.bridge.connections.paths import plain_path
from app.settings import HttpSecurity
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import alert, serving

PREFIX = HttpSecurity(route_prefix="/ops/tocsin")


@pytest.mark.parametrize(
    ("path", "prefix", "expected"),
    [
        ("/", "", "/"),
        ("/a/", "", "/a"),
        ("/a//", "", "/a"),
        ("/a%2F/", "", "/a%2F"),
        ("/tocsin", "/tocsin", "/"),
        ("/tocsin/", "/tocsin", "/"),
        ("/tocsin/a/", "/tocsin", "/a"),
        ("/tocsinful", "/tocsin", "/tocsinful"),
        ("/a", "/tocsin", "/a"),
    ],
)
def test_the_plain_path(path: str, prefix: str, expected: str) -> None:
    """The prefix goes as a whole part or not at all."""
    assert plain_path(path, prefix) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/api/v2/silences/?active=false",
        "/ops/tocsin/api/v2/silences?active=false",
        "/api/v2/silences?active=false",
        "/ops/tocsin/-/healthy/",
        "/-/ready",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_each_way_to_write_a_path_is_answered(path: str, method: str) -> None:
    """With 200, and its query is kept."""

    async def scenario() -> int:
        async with (
            serving(FakeLog(), http=PREFIX) as client,
            client.session.request(method, client.url + path) as response,
        ):
            return response.status

    assert asyncio.run(scenario()) == 200


def test_a_body_is_taken_behind_a_slash() -> None:
    """Nobody is sent elsewhere for it."""

    async def scenario() -> Any:
        async with serving(FakeLog(), http=PREFIX) as client:
            return await client.ask("POST", "/ops/tocsin/api/v2/alerts/", [alert("c")])

    assert asyncio.run(scenario()) == (200, {"status": "success", "accepted": 1})
