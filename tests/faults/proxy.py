"""A TCP proxy on loopback that can be cruel.

It cuts, slows, and falls silent without closing (half-open).
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
CHUNK = 64 * 1024
REQUESTS, ANSWERS = "requests", "answers"


class Proxy:
    """From `port` to a server on this machine, until `close`. It runs in a thread of its own."""

    def __init__(self, port: int, target: int) -> None:
        self.connections = 0  # accepted so far
        self._target = target
        self._delay_seconds = 0.0
        self._flows: dict[str, asyncio.Event] = {}
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._do(self._listen(port))

    def cut(self) -> int:
        """Reset every connection; return how many there were."""
        return self._call(self._cut)

    def slow(self, seconds: float) -> None:
        """Every piece that passes waits so long; 0 is as usual."""
        self._delay_seconds = seconds

    def hold(self, *directions: str) -> None:
        """Nothing passes in these directions, and nobody is told.

        Connections stay open, new ones are accepted.
        """
        self._call(lambda: self._let(directions, flow=False))

    def release(self) -> None:
        """What was held goes on its way."""
        self._call(lambda: self._let((REQUESTS, ANSWERS), flow=True))

    def close(self) -> None:
        """Stop listening, and reset what is open."""
        self._call(self._server.close)
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _let(self, directions: Iterable[str], *, flow: bool) -> None:
        for direction in directions:
            if flow:
                self._flows[direction].set()
            else:
                self._flows[direction].clear()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _call(self, work: Callable[[], T]) -> T:
        async def run() -> T:
            return work()

        return self._do(run())

    async def _listen(self, port: int) -> asyncio.Server:
        for direction in (REQUESTS, ANSWERS):
            self._flows[direction] = asyncio.Event()
            self._flows[direction].set()
        return await asyncio.start_server(self._accept, "127.0.0.1", port)

    def _cut(self) -> int:
        number = len(self._open) // 2
        for task in self._tasks:
            task.cancel()
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()
        return number

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            onward, target = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, target}
        pumps = [self._pump(reader, target, REQUESTS), self._pump(onward, writer, ANSWERS)]
        tasks = [asyncio.create_task(pump) for pump in pumps]
        self._tasks.update(tasks)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        self._tasks.difference_update(tasks)
        for one in (writer, target):
            one.close()
            self._open.discard(one)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str
    ) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while piece := await reader.read(CHUNK):
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                await self._flows[direction].wait()
                writer.write(piece)
                await writer.drain()
