"""Where processor time goes: a sampler that looks at the stack after each millisecond of it.

It costs some hundredths, and bends nothing: a profiler that hears of every call makes many small
functions look dear. A sample belongs to the innermost frame that a part names.
"""

import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

INTERVAL_S = 0.001

# Each part: what a frame's place ends with or contains, `file.py:function` or a piece of a path.
# The first that fits decides.
PARTS: Mapping[str, tuple[str, ...]] = {
    "recognise or parse a raw value": (
        "agents/ingest.py",
        "app/intake/",
        "app/core/rules/places.py",
    ),
    "engine: repeats and dispatch": ("app/core/engine.py",),
    "deadlines": (
        *("app/core/incident_timers.py", "deadlines", "app/core/notification/mute_times.py"),
        "models/policy/time_interval.py",
    ),
    "snapshots": ("app/core/state/snapshot.py",),
    "rules of the policy": ("app/core/rules/", "models/text/pattern.py", "models/matcher.py"),
    "messages": ("app/core/notification/",),
    "effects": ("models/effect.py", "state/turn.py"),
    "checkpoint": ("app/core/state/changelog.py", "app/core/state/changelog_types.py"),
    "engine: the rest of a new alert": ("app/core/",),
    "worker and log": ("app/worker/", "app/transport/", "app/history/", "app/metrics.py"),
    "kafka: send": ("aiokafka/producer/", "aiokafka/record/default_records.py"),
    "kafka: fetch": ("aiokafka/consumer/", "aiokafka/record/"),
    "kafka: protocol": ("aiokafka/",),
    "faust": ("faust/", "mode/"),
    "event loop": ("asyncio/",),
}


@contextmanager
def sampled() -> Iterator[Counter[str]]:
    """Count nanoseconds by part for as long as the block runs. Only in a process's main thread.

    Faust fetches in a thread of its own: what each thread has spent since the last look goes to
    where it stands now.
    """
    spent: Counter[str] = Counter()
    seen: dict[int, int] = {}

    def look(_: int, frame: FrameType | None) -> None:
        stands = sys._current_frames()  # noqa: SLF001  the documented way to see other threads
        for thread in threading.enumerate():
            name = thread.ident
            if name is None or name not in stands:
                continue
            now = time.clock_gettime_ns(time.pthread_getcpuclockid(name))
            here = frame if thread is threading.main_thread() else stands[name]
            if name in seen:
                spent[_part_of(here)] += now - seen[name]
            seen[name] = now

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
    try:
        yield spent
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


_parts: dict[tuple[str, str], str] = {}


def _part_of(frame: FrameType | None) -> str:
    while frame is not None:
        place = frame.f_code.co_filename, frame.f_code.co_name
        part = _parts.get(place)
        if part is None:
            part = _parts[place] = _named(f"{place[0]}:{place[1]}")
        if part:
            return part
        frame = frame.f_back
    return "the rest"


def _named(place: str) -> str:
    for part, pieces in PARTS.items():
        if any(place.endswith(f":{piece}") or piece in place.partition(":")[0] for piece in pieces):
            return part
    return ""


def table(spent: Mapping[str, int], cpu_us: float) -> list[tuple[str, float]]:
    """Each part's share of `cpu_us`, the dearest first."""
    total = sum(spent.values()) or 1
    shares = [(part, round(cpu_us * time_ns / total, 2)) for part, time_ns in spent.items()]
    return sorted(shares, key=lambda share: -share[1])
