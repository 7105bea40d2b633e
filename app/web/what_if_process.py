"""A what-if run for the page: processes of their own, one run at a time, with a limit of time.

What another policy would have done is computed by the commands that do it in a terminal: `tocsin
record` takes the part of the journal, `tocsin replay --policy` plays it.
"""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from app.settings import Settings

RUN_SECONDS = 120.0
OUTPUT_BYTES_MAX = 64 * 1024  # of what a command says
PAGE_BYTES_MAX = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when, as RFC 3339; an empty end is now."""

    begin: str
    end: str


class RunFailed(Exception):
    """A run gave no page; the message says why, in the commands' words."""


class WhatIfRuns:
    """Runs one after another. Whoever comes while one goes on is sent away."""

    def __init__(self, settings: Settings, seconds: float = RUN_SECONDS) -> None:
        self._environment = os.environ | {
            "TOCSIN_BROKER": settings.broker,
            "TOCSIN_PREFIX": settings.prefix,
            "TOCSIN_PARTITIONS": str(settings.partitions),
            "TOCSIN_POLICY": settings.policy_file,
        }
        self._seconds = seconds
        self._running = asyncio.Lock()

    async def page_of(self, span: Span, policy: str) -> str:
        """The page that says what the policy would have done. Raises RunFailed."""
        if self._running.locked():
            raise RunFailed("Another run goes on. Try again when it has ended.")
        async with self._running:
            with TemporaryDirectory(prefix="tocsin-what-if-") as folder:
                try:
                    async with asyncio.timeout(self._seconds):
                        return await self._play(Path(folder), span, policy)
                except RunFailed as failure:  # nobody has to know where it ran
                    raise RunFailed(str(failure).replace(f"{folder}/", "")) from None
                except TimeoutError:
                    raise RunFailed(
                        f"The run took more than {self._seconds:g} s. Choose less time, or run"
                        " tocsin record and tocsin replay --policy in a terminal."
                    ) from None

    async def _play(self, folder: Path, span: Span, policy: str) -> str:
        recording, policy_file = folder / "recording", folder / "policy.yaml"
        page = folder / "page.html"
        policy_file.write_text(policy, encoding="utf-8")
        # A policy that is wrong is told before anything is read.
        await self._run("policy", "check", str(policy_file))
        bounds = ["--from", span.begin, *(["--to", span.end] if span.end else [])]
        await self._run("record", *bounds, str(recording))
        await self._run(
            *("replay", "--journal", str(recording)),
            *("--policy", str(policy_file), "--html", str(page)),
        )
        if page.stat().st_size > PAGE_BYTES_MAX:
            raise RunFailed(f"The page is larger than {PAGE_BYTES_MAX} bytes: choose less time.")
        return page.read_text(encoding="utf-8").replace(f"{folder}/", "")

    async def _run(self, *arguments: str) -> None:
        """Run one command to its end. Raises RunFailed with what it said when it fails."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", *arguments),
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None
        output = b""
        try:
            while chunk := await process.stdout.read(OUTPUT_BYTES_MAX):
                output = (output + chunk)[-OUTPUT_BYTES_MAX:]
            status = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if status:
            raise RunFailed(output.decode(errors="replace").strip() or f"it ended with {status}")
