"""What tells open pages that something has changed: server-sent events, a bounded number of streams.

An event says that there is news, and no more. The page asks for itself again, so that what it shows
is made in one place, and whoever may not read any more sees nothing.
"""

import asyncio
from contextlib import suppress

from aiohttp import web

from app.bridge.connections.responses import RequestDeclined, logger
from app.bridge.parts import BridgeParts
from app.transport.log import LogUnavailable
from app.web.security import HEADERS

STREAMS_MAX = 100
BEAT_SECONDS = 15.0  # without news: ages and clocks go on, and a dead connection is noticed
PAUSE_SECONDS = 1.0  # between two events of one stream
RETRY_SECONDS = 5.0  # when the journal is away
LASTS_SECONDS = 3600.0  # then the browser comes again
SEND_SECONDS = 20.0  # for a browser to take an event


class Streams:
    """All streams of a bridge. They share one follower of the journal's effects."""

    def __init__(
        self,
        parts: BridgeParts,
        streams_max: int = STREAMS_MAX,
        beat_seconds: float = BEAT_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._log = parts.log
        topics = (parts.topics.incidents, parts.topics.timeline, parts.topics.silences)
        partitions = parts.settings.partitions
        self._places = [(topic, number) for topic in topics for number in range(partitions)]
        self._max, self._beat, self._pause = streams_max, beat_seconds, pause_seconds
        self._open: set[asyncio.Task[None]] = set()
        self._number = 0
        self._changed = asyncio.Condition()
        self._following = asyncio.Event()  # set while no news can be missed
        self._watching: asyncio.Task[None] | None = None

    @property
    def number_open(self) -> int:
        """How many streams there are."""
        return len(self._open)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """A stream, until the browser goes away. Raises Declined when there are too many."""
        if len(self._open) >= self._max:
            text = f"there are {self._max} open pages already; this one is renewed now and then"
            raise RequestDeclined(503, "too_many_streams", text, int(BEAT_SECONDS))
        headers = HEADERS | {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        response.content_type, response.charset = "text/event-stream", "utf-8"
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        try:
            await response.prepare(request)
            async with asyncio.timeout(LASTS_SECONDS):
                await self._serve(response)
        except (ConnectionError, TimeoutError):
            pass  # it went away, or it takes nothing, or it has lasted for long enough
        finally:
            self._open.discard(task)
            if not self._open and self._watching is not None:
                self._watching.cancel()
                self._watching = None
        return response

    async def stop(self) -> None:
        """End all streams."""
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, response: web.StreamResponse) -> None:
        with suppress(TimeoutError):  # the journal may be away; the page says so then
            async with asyncio.timeout(self._beat):
                await self._following.wait()
        seen = self._number
        await _send(response, "retry: 3000\nevent: hello\ndata: 0\n\n")
        while True:
            changed = await self._news(seen)
            seen = self._number
            kind = "changed" if changed else "beat"
            await _send(response, f"event: {kind}\ndata: {seen}\n\n")
            await asyncio.sleep(self._pause)

    async def _news(self, seen: int) -> bool:
        """Wait until there is news since then, but not for long; whether there is."""
        async with self._changed:
            try:
                async with asyncio.timeout(self._beat):
                    await self._changed.wait_for(lambda: self._number != seen)
            except TimeoutError:
                return False
        return True

    async def _watch(self) -> None:
        while True:
            try:
                async with self._log.following(self._places) as follower:
                    self._following.set()
                    while True:
                        await follower.next()
                        async with self._changed:
                            self._number += 1
                            self._changed.notify_all()
                        await asyncio.sleep(self._pause)
            except LogUnavailable as error:
                logger.warning("open pages hear of no news: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                self._following.clear()


async def _send(response: web.StreamResponse, text: str) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await response.write(text.encode())
