"""The pages of a bridge in front of a log in memory, and somebody who looks at them without a script."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, TypeVar

from aiohttp import ClientSession, CookieJar

from app.bridge.resources import Bridge
from app.clock import Stopwatch
from app.settings import HttpSecurity, Settings
from app.web.security import TOKEN_FIELD
from app.web.site import Site
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import PARTITIONS
from tests.support.shipped_policy import shipped

T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """What a browser got."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def words(self) -> str:
        """Its text without tags, on one line."""
        reader = PageReader()
        reader.feed(self.text)
        return " ".join("".join(reader.texts).split())


class PageReader(HTMLParser):
    """The tags, the attributes and the texts of a page, as a browser would find them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        """Note it."""
        self.texts.append(data)


@dataclass
class Visitor:
    """A browser without scripts, with its cookies."""

    session: ClientSession
    url: str
    bridge: Bridge

    async def get(self, path: str, **headers: str) -> Seen:
        """A page. Redirects are not followed."""
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, fields: Mapping[str, str], **headers: str) -> Seen:
        """The answer to a form as it is given."""
        return await self._ask("POST", path, dict(fields), headers)

    async def submit(self, page: str, path: str, **fields: str) -> Seen:
        """The answer to a form that stands on a page."""
        seen = await self.get(page)
        token = re.search(rf'name="{TOKEN_FIELD}" value="(\w+)"', seen.text)
        assert token is not None, f"{page} has no form"
        return await self.post(path, {TOKEN_FIELD: token[1], **fields})

    async def _ask(
        self, method: str, path: str, fields: dict[str, str] | None, headers: Mapping[str, str]
    ) -> Seen:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(
            method, self.url + path, data=fields, headers=given, allow_redirects=False
        ) as response:
            return Seen(response.status, await response.text(), dict(response.headers))


@asynccontextmanager
async def visiting(
    log: FakeLog,
    http: HttpSecurity | None = None,
    answer_seconds: float = 30,
    stopwatch: Stopwatch | None = None,
) -> AsyncIterator[Visitor]:
    """Somebody who looks at the pages of a bridge in front of the log."""
    settings = Settings(port=0, partitions=PARTITIONS, http=http or HttpSecurity())
    bridge = Bridge(
        settings, shipped(), log, answer_seconds=answer_seconds, pages=Site, stopwatch=stopwatch
    )
    await bridge.start()
    try:
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
            yield Visitor(session, bridge.url, bridge)
    finally:
        await bridge.stop()


def visit(
    log: FakeLog,
    look: Callable[[Visitor], Awaitable[T]],
    http: HttpSecurity | None = None,
    answer_seconds: float = 30,
) -> T:
    """What `look` returns of a visit."""

    async def whole() -> T:
        async with visiting(log, http, answer_seconds) as visitor:
            return await look(visitor)

    return asyncio.run(whole())


def see(log: FakeLog, path: str, **more: Any) -> Seen:
    """One page."""
    return visit(log, lambda visitor: visitor.get(path), **more)
