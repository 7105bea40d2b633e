"""A bridge that is served in front of a log in memory, and a client that talks to it."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import orjson
from aiohttp import ClientSession

from app.bridge.connections.limits import Limits
from app.bridge.resources import Bridge
from app.clock import Clock, Stopwatch
from app.core.rules.compiled_policy import CompiledPolicy
from app.settings import HttpSecurity, Settings
from tests.support.fake_log import FakeLog
from tests.support.shipped_policy import shipped

JSON = {"Content-Type": "application/json"}
PARTITIONS = 2
INCIDENT = "INC-20260412T031502Z-01K3F"  # of partition 1
Answer = tuple[int, Any]


@dataclass
class Client:
    """Talks to one bridge."""

    session: ClientSession
    url: str

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Status and answer."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        given = JSON if headers is None else headers
        content = None if body is None else io.BytesIO(data)  # aiohttp warns of large bytes
        async with self.session.request(
            method, self.url + path, data=content, headers=given
        ) as response:
            return response.status, orjson.loads(await response.read())

    async def post(self, body: Any, headers: dict[str, str] | None = None) -> Answer:
        """Status and answer to alerts."""
        return await self.ask("POST", "/api/v2/alerts", body, headers)


@asynccontextmanager
async def serving(
    log: FakeLog,
    clock: Clock | None = None,
    limits: Limits | None = None,
    http: HttpSecurity | None = None,
    worker: Any = None,
    policy: CompiledPolicy | None = None,
    answer_seconds: float = 0.0,
    link_key_file: str = "",
    pagerduty_key_file: str = "",
    stopwatch: Stopwatch | None = None,
    heartbeat_url: str = "",
    sns_topics: tuple[str, ...] = (),
    sns_confirm: bool = False,
) -> AsyncIterator[Client]:
    """A client of a bridge in front of the log; its policy is the shipped one where none is given.

    A command is not waited for unless `answer_seconds` says so. The files are settings.
    """
    driven = "driven" if clock else "system"
    security = http or HttpSecurity()
    settings = Settings(port=0, partitions=PARTITIONS, clock=driven, http=security)
    settings = replace(settings, heartbeat_url=heartbeat_url)
    settings = replace(settings, sns_topics=sns_topics, sns_confirm=sns_confirm)
    settings = replace(settings, link_key_file=link_key_file, pagerduty_key_file=pagerduty_key_file)
    bridge = Bridge(
        settings,
        policy or shipped(),
        log,
        worker=worker,
        clock=clock,
        limits=limits,
        answer_seconds=answer_seconds,
        stopwatch=stopwatch,
    )
    await bridge.start()
    try:
        async with ClientSession(skip_auto_headers=["Content-Type"]) as session:
            yield Client(session, bridge.url)
    finally:
        await bridge.stop()


def with_bridge(
    log: FakeLog,
    talk: Callable[[Client], Awaitable[Any]],
    clock: Clock | None = None,
    policy: CompiledPolicy | None = None,
) -> Any:
    """What `talk` returns of a conversation with a bridge."""

    async def conversation() -> Any:
        async with serving(log, clock, policy=policy) as client:
            return await talk(client)

    return asyncio.run(conversation())


def alert(component: str, **fields: Any) -> dict[str, Any]:
    """An alert of a component, as a sender sends it."""
    return {"labels": {"alertname": "A", "component": component}, **fields}


def error(reason: str, text: str) -> dict[str, str]:
    """An error's whole body."""
    return {"status": "error", "reason": reason, "error": text}
