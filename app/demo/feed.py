"""Feeding a running Tocsin over HTTP, on virtual time.

The journal's clock is moved, then the alerts of that time are sent. Before each of these steps the
feeder waits until everything in the journal is applied, so that the same input makes the same
records, and incidents with the same ids, on a fast machine and on a slow one. Only what two
partitions tell a third within one millisecond may change places.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import aiohttp

from app.demo.scenario import MINUTE_MS, START_MS, OperatorWord, Step

AT_ONCE = 500  # alerts in a request
STRIDE_MS = 1000  # the least that the clock is moved where nothing is sent
HALTS_MAX = 60  # of one move, before what partitions tell each other makes no more of them
AFTERWARDS_MS = 22 * 3_600_000  # so that deadlines, expiry and settle times pass, and Monday comes


class Feeder:
    """Sends alerts and counts the answers. `now_ms` is where the journal's clock stands."""

    def __init__(self, url: str, session: aiohttp.ClientSession, now_ms: int) -> None:
        self._url = url
        self._session = session
        self._now_ms = now_ms
        self.accepted = 0
        self.refused = 0
        self.commands = 0
        self.per_minute: dict[int, int] = {}  # virtual minute -> alerts

    async def feed(
        self,
        steps: Iterable[Step],
        words: Sequence[OperatorWord],
        on_progress: Callable[[int], None],
    ) -> None:
        """Send all steps with all operators' commands in between, then let the time pass in which everything settles."""
        waiting = list(words)
        for at_ms, alerts in steps:
            while waiting and START_MS + waiting[0].minute * MINUTE_MS <= at_ms:
                await self.send_command(waiting.pop(0))
            await self.move_to(at_ms)
            for start in range(0, len(alerts), AT_ONCE):
                await self.send(alerts[start : start + AT_ONCE])
            minute = at_ms // MINUTE_MS
            self.per_minute[minute] = self.per_minute.get(minute, 0) + len(alerts)
            on_progress(len(alerts))
        await self.move_to(self._now_ms + AFTERWARDS_MS)

    async def move_to(self, at_ms: int) -> None:
        """Move the journal's clock, with halts at deadlines on the way.

        At a halt what one partition tells another is applied at that time. Halts begin a second
        apart. While partitions tell each other nothing each is twice as far away as the one before,
        so that a quiet month is some twenty halts. The engine handles every deadline at its own
        time all the same.
        """
        quiet_since_ms, halts, expected = self._now_ms, 0, 0
        while self._now_ms < at_ms:
            progress = await self.settled()
            records = sum(progress["journal_end"])
            if records != expected and halts < HALTS_MAX:
                quiet_since_ms = self._now_ms
            halt_ms, deadline_ms = at_ms, progress["next_deadline_ms"]
            if deadline_ms is not None:
                stride_ms = max(STRIDE_MS, self._now_ms - quiet_since_ms)
                halt_ms = min(at_ms, max(deadline_ms, self._now_ms + stride_ms))
            await self._call("PUT", "/clock", {"now_ms": halt_ms})
            self._now_ms = halt_ms
            expected = records + len(progress["journal_end"])  # a tick in each partition
            halts += 1

    async def send(self, alerts: list[dict[str, Any]]) -> None:
        """Send a list of alerts."""
        await self.settled()
        answer = await self._call("POST", "/api/v2/alerts", alerts)
        self.accepted += answer.get("accepted", 0)
        self.refused += len(answer.get("refused", []))

    async def send_command(self, word: OperatorWord) -> None:
        """Send an operator's command to the incident that is open under that title."""
        await self.move_to(START_MS + int(word.minute * MINUTE_MS))
        await self.settled()
        async with self._session.get(f"{self._url}/api/v1/incidents?limit=1000") as response:
            page = await response.json()
        for incident in page["items"]:
            if incident["title"].startswith(word.title) and incident["state"] != "resolved":
                await self.settled()
                path = f"/api/v1/incidents/{incident['incident']}/{word.command}"
                await self._call("POST", path, word.body)
                self.commands += 1

    async def send_broken(self, body: bytes) -> None:
        """Send what has to be refused."""
        async with self._session.post(f"{self._url}/api/v2/alerts", data=body) as response:
            self.refused += response.status == 400

    async def settled(self, seconds_max: float = 60) -> dict[str, Any]:
        """The service's progress, once everything in the journal is applied and its effects are sent.

        Raises TimeoutError.
        """
        until = time.monotonic() + seconds_max
        while True:
            async with self._session.get(f"{self._url}/progress") as response:
                progress: dict[str, Any] = await response.json()
            if progress["applied"] == progress["journal_end"]:
                return progress
            if time.monotonic() > until:
                raise TimeoutError(
                    f"the journal was not applied within {seconds_max} s: {progress}"
                )
            await asyncio.sleep(0.002)

    async def keep_running(self) -> None:
        """Let the journal's clock go on at the pace of real time."""
        await self._call("PUT", "/clock", {"now_ms": self._now_ms, "speed": 1})

    async def _call(self, method: str, path: str, body: Any) -> dict[str, Any]:
        while True:
            async with self._session.request(method, f"{self._url}{path}", json=body) as response:
                answer: dict[str, Any] = await response.json()
            if response.status == 503:
                await asyncio.sleep(1)  # nothing was kept, so the same is sent again
                continue
            if response.status >= 400 and "accepted" not in answer:
                raise RuntimeError(
                    f"{method} {path} was answered {response.status}: {answer.get('error')}"
                )
            return answer
