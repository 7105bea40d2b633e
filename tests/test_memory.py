"""Memory that is free goes back to the system."""

import asyncio
import subprocess
import sys

import pytest

from app import memory
from tests.running import ROOT

# Every fiftieth of 200,000 kilobytes stays: nearly all pages between them are free, and the C library keeps them.
LEAVES_HOLES = """
import re
from pathlib import Path
from app.memory import give_back

def size():
    return int(re.findall(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[0])

kept = [bytes(1000) for _ in range(200_000)]
kept = kept[::50]
before = size()
give_back()
print(before, size())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is glibc's")
def test_pages_in_which_nothing_stands_are_given_back() -> None:
    """A process that has freed most of its memory is small again."""
    told = subprocess.run(
        [sys.executable, "-c", LEAVES_HOLES], check=True, capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    before, after = map(int, told.stdout.split())

    assert before > 150_000
    assert after < before / 2


def test_it_happens_again_and_again_until_the_service_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the background, and not after it."""
    times: list[int] = []
    monkeypatch.setattr(memory, "EVERY_SECONDS", 0.001)
    monkeypatch.setattr(memory, "give_back", lambda: times.append(1))

    async def serve() -> int:
        async with memory.given_back():
            while True:
                await asyncio.sleep(0.001)
                if len(times) >= 3:
                    break
        await asyncio.sleep(0.01)
        during = len(times)
        await asyncio.sleep(0.02)
        return during

    assert asyncio.run(asyncio.wait_for(serve(), 30)) == len(times)
