"""Memory: what is free goes back to the system, and what is kept takes what it holds."""

import asyncio
import subprocess
import sys
import tracemalloc

import pytest

from app import memory
from app.core.engine import Engine
from app.intake.normalise import Entries
from app.intake.records import Intake
from app.transport.log import StoredRecord
from tests.support.engines import ROOT
from tests.support.shipped_policy import shipped

NOW_MS = 1_776_000_000_000  # 2026-04-12T13:20:00Z

# Every fiftieth of 200,000 kilobytes stays: nearly all pages between them are free, and the C
# library keeps them.
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
        [sys.executable, "-c", LEAVES_HOLES],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
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


def test_records_take_what_they_hold() -> None:
    """Alerts in the journal, effects and checkpoints wait by thousands.

    None of them keeps the buffer it was written into.
    """
    entries = [
        {"labels": {"alertname": f"A{number}"}, "startsAt": "2026-04-12T13:00:00Z"}
        for number in range(500)
    ]
    engine = Engine(0, shipped())
    tracemalloc.start()
    try:
        records, _ = Intake().records(Entries(entries, ""), NOW_MS, shipped())
        effects = engine.apply(
            [StoredRecord(number, NOW_MS, *one) for number, one in enumerate(records)]
        )
        wait = {
            "records": [one.value or b"" for one in records],
            "effects": [one.value for one in effects],
            "checkpoint": [value or b"" for _, value in engine.checkpoint()],
        }
        numbers = {name: (len(values), sum(map(len, values))) for name, values in wait.items()}
        del records, effects
        freed = {name: _freed_with(wait, name) for name in list(wait)}
    finally:
        tracemalloc.stop()

    assert all(number >= 500 for number, _ in numbers.values())
    assert all(freed[name] < size + 200 * number for name, (number, size) in numbers.items())


def _freed_with(wait: dict[str, list[bytes]], name: str) -> int:
    before, _ = tracemalloc.get_traced_memory()
    del wait[name]
    return before - tracemalloc.get_traced_memory()[0]
