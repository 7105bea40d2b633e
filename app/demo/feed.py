"""Feeding a running Tocsin over HTTP, on virtual time.

The journal's clock is moved, then the alerts of that time are sent.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any

import aiohttp

from app.demo.scenario import MINUTE_MS, START_MS, Step, Word

AT_ONCE = 500  # alerts in a request
WALK_MS = MINUTE_MS  # how far the clock is moved in one step where nothing is sent
WALK_STEPS_MAX = (
    60  # of a gap, however long: each deadline is handled at its own time, whatever the step
)
AFTERWARDS_MS = 22 * 3_600_000  # so that deadlines, expiry and settle times pass, and Monday comes


class Feeder:
    """Sends alerts and counts the answers."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session
        self._now_ms = 0
        self.accepted = 0
        self.refused = 0
        self.said = 0
        self.per_minute: dict[int, int] = {}  # virtual minute -> alerts

    async def feed(self, steps: Iterable[Step], words: Sequence[Word], on_progress: Any) -> None:
        """Send all steps, say all words in between, and then let the time pass in which everything settles."""
        unsaid = list(words)
        for at_ms, alerts in steps:
            while unsaid and START_MS + unsaid[0].minute * MINUTE_MS <= at_ms:
                await self.say(unsaid.pop(0))
            await self.walk_to(max(at_ms, self._now_ms))
            chunks = [alerts[start : start + AT_ONCE] for start in range(0, len(alerts), AT_ONCE)]
            for chunk in chunks:
                await self.send(chunk)
            minute = at_ms // MINUTE_MS
            self.per_minute[minute] = self.per_minute.get(minute, 0) + len(alerts)
            on_progress(len(alerts))
        await self.walk_to(self._now_ms + AFTERWARDS_MS)

    async def walk_to(self, at_ms: int) -> None:
        """Move the journal's clock, in steps where the way is long.

        Not before everything of the time until then is done: a minute of the day is milliseconds
        here, and what the rules tell each other within a second on a real day must not take minutes
        of this one.
        """
        if not self._now_ms:
            self._now_ms = at_ms - 1
        gap = at_ms - self._now_ms
        steps = min(max(gap // WALK_MS, 1), WALK_STEPS_MAX)
        start_ms = self._now_ms
        for number in range(1, steps + 1):
            await self.settled()
            await self._call("PUT", "/clock", {"now_ms": start_ms + gap * number // steps})
        self._now_ms = at_ms

    async def send(self, body: Any) -> None:
        """Send a list of alerts."""
        answer = await self._call("POST", "/api/v2/alerts", body)
        self.accepted += answer.get("accepted", 0)
        self.refused += len(answer.get("refused", []))

    async def say(self, word: Word) -> None:
        """Say something about the incident that is open under that title."""
        await self.walk_to(max(START_MS + int(word.minute * MINUTE_MS), self._now_ms))
        await self.settled()
        async with self._session.get(f"{self._url}/api/v1/incidents?limit=1000") as response:
            page = await response.json()
        for incident in page["items"]:
            if incident["title"].startswith(word.title) and incident["state"] != "resolved":
                await self._call(
                    "POST", f"/api/v1/incidents/{incident['incident']}/{word.command}", word.body
                )
                self.said += 1

    async def send_broken(self, body: bytes) -> None:
        """Send what has to be refused."""
        async with self._session.post(f"{self._url}/api/v2/alerts", data=body) as response:
            self.refused += response.status == 400

    async def settled(self, seconds_max: float = 60) -> dict[str, Any]:
        """Wait until everything in the journal is applied and its effects are sent.

        Return the counts.
        """
        until = time.monotonic() + seconds_max
        while True:
            async with self._session.get(f"{self._url}/progress") as response:
                progress = await response.json()
            if progress["applied"] == progress["journal_end"]:
                counts: dict[str, Any] = progress["counts"]
                return counts
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
                    await asyncio.sleep(
                        1
                    )  # it says Retry-After: nothing was kept, so the same is sent again
                    continue
                if response.status >= 400 and "accepted" not in answer:
                    raise RuntimeError(
                        f"{method} {path} was answered {response.status}: {answer.get('error')}"
                    )
                return answer
