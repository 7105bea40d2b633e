"""Debian's Chromium, and the demo's day in a Tocsin to look at."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from app.demo.feed import Feeder
from app.demo.scenario import MINUTE_MS, START_MS, bad_day, operator_words
from tests.support.engines import Tocsin

PHONE, DESK = (390, 844), (1400, 900)
SECONDS = 60_000  # ms that a page may take for anything; for a busy machine
ALERT = {"alertname": "DiskFull", "component": "postgres", "severity": "critical"}


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser. It is never skipped: a test without one fails."""
    binary = shutil.which("chromium")
    assert binary, "chromium is missing: install Debian's package chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Tab:
    """A page in a browser context of its own, and everything that went wrong in it."""

    page: Page
    complaints: list[str]

    def text(self) -> str:
        """What is to be read."""
        return " ".join(self.page.inner_text("body").split())


@contextmanager
def tab(
    browser: Browser,
    url: str,
    size: tuple[int, int] = DESK,
    scheme: Any = "light",
    *,
    scripts: bool = True,
) -> Iterator[Tab]:
    """A tab. It notes errors, and what the security policy forbade."""
    context = browser.new_context(
        base_url=url,
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        java_script_enabled=scripts,
    )
    context.set_default_timeout(SECONDS)
    opened = Tab(context.new_page(), [])
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.page.on("dialog", lambda dialog: opened.complaints.append(dialog.message))
    opened.page.on(
        "console",
        lambda message: (
            opened.complaints.append(message.text)
            if "Content Security Policy" in message.text
            else None
        ),
    )
    yield opened
    context.close()


def findings(page: Page) -> list[str]:
    """What axe-core calls serious or critical."""
    violations = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in violations
        for node in one["nodes"]
        if one["impact"] in ("serious", "critical")
    ]


def demo_until(folder: Path, minute: int) -> Tocsin:
    """A Tocsin that has lived through the demo's day until this minute. Its clock stands there."""
    steps = [step for step in bad_day() if step[0] <= START_MS + minute * MINUTE_MS]
    begins_ms = steps[0][0] - 1
    service = Tocsin(
        "up",
        TOCSIN_BROKER=f"embedded:{folder}",
        TOCSIN_CLOCK=f"driven:{begins_ms}",
        TOCSIN_SENDER_ALERTS="0",
        TOCSIN_SENDER_REQUESTS="0",
    )
    asyncio.run(_feed(service.url, steps, begins_ms))
    return service


async def _feed(url: str, steps: list[tuple[int, list[dict[str, Any]]]], begins_ms: int) -> None:
    async with aiohttp.ClientSession(json_serialize=json.dumps) as session:
        feeder, waiting = Feeder(url, session, begins_ms), operator_words()
        for at_ms, alerts in steps:
            while waiting and START_MS + waiting[0].minute * MINUTE_MS <= at_ms:
                await feeder.send_command(waiting.pop(0))
            await feeder.move_to(at_ms)
            await feeder.send(alerts)
        await feeder.settled()
