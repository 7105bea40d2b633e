"""How long `tocsin explain` takes on a journal of 1,000,000 records, spread over the partitions and all in one.

Makes the journals in a temporary folder (through the embedded log, with a real worker's engines,
effects and checkpoints), then runs the command as an operator would, in processes of their own.
Prints one JSON object last.

    python bench/explain.py [--records 1000000] [--folder DIR]     # DIR is kept, and used again when it is there
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parent.parent))


from app.clock import Clock
from app.core.rules.compiled_policy import CompiledPolicy
from app.files import policy_file
from app.intake.normalise import from_list
from app.settings import Settings
from app.transport.log import NewRecord
from app.transport.sqlite import SqliteLog
from bench.churn import Churn
from models.journal import ALERT_START, encode_alert
from models.text.instant import format_instant
from models.topics import Topics, partition_of
from tests.support.played_journals import Player

START_MS = 1_790_496_000_000
RATE = 2000  # alerts in a second of the journal's time
NEW = 20  # of them, one in a hundred, new; each is repeated for a while
LIVES = 600
PARTITIONS = 8
ROOT = Path(__file__).parent.parent


def main() -> None:
    """Make what is missing, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--folder", default="")
    arguments = parser.parse_args()
    folder = Path(arguments.folder or tempfile.mkdtemp(prefix="tocsin-explain-"))
    found = {}
    for name, spread in (("spread", True), ("skewed", False)):
        journal = folder / name
        if not (journal / "journal.db").exists():
            began = time.monotonic()
            asyncio.run(make(journal, arguments.records, spread=spread))
            print(
                f"{name}: {arguments.records} records made in {time.monotonic() - began:.0f} s",
                file=sys.stderr,
            )
        found[name] = measure(journal, folder / f"{name}-cache")
    print(json.dumps(found))


async def make(folder: Path, records: int, *, spread: bool) -> None:
    """A journal of so many alert records.

    Churn with repeats, ends and silence, and what rules and timers make of it.
    """
    clock, policy = Clock(driven=True), policy_file.load_policy()
    clock.set(START_MS)
    log = SqliteLog(folder, clock)
    await log.start()
    player = Player(log, Settings(partitions=PARTITIONS), policy, clock.set)
    await player.start()
    churn, left, now_ms = Churn(RATE, NEW, LIVES), records, START_MS
    while left > 0:
        now_ms += 1000
        clock.set(now_ms)
        batches: dict[int, list[NewRecord]] = {}
        for partition, record in _records(churn, policy, now_ms, spread=spread)[:left]:
            batches.setdefault(partition, []).append(record)
        left -= sum(len(batch) for batch in batches.values())
        for partition, batch in batches.items():
            await player.append(partition, batch)
        await player.tick()
    await player.stop()
    await log.stop()


def _records(
    churn: Churn, policy: CompiledPolicy, now_ms: int, *, spread: bool
) -> list[tuple[int, NewRecord]]:
    # As Prometheus does, each says since when it fires, so that a repeat is a plain one.
    alerts, _ = from_list(
        [one | {"startsAt": format_instant(START_MS)} for one in churn.next()], now_ms
    )
    found = []
    for alert in alerts:
        component = policy.place(alert.labels, alert.fingerprint).key
        partition = partition_of(component.encode(), PARTITIONS) if spread else 0
        found.append((partition, NewRecord(component.encode(), encode_alert(alert))))
    return found


def measure(journal: Path, cache: Path) -> dict[str, object]:
    """What the commands take, processes and all.

    First without the snapshots that they leave, then with them.
    """
    found: dict[str, object] = {"starting": _seconds(["--help"], cache)}
    for name, words in asyncio.run(_questions(journal)).items():
        shutil.rmtree(cache, ignore_errors=True)
        command = ["--journal", str(journal), *words]
        found[name] = {
            "id": words[-1],
            "first": _seconds(command, cache),
            "again": _seconds(command, cache),
        }
    return found


def _seconds(words: list[str], cache: Path) -> dict[str, float]:
    """Seconds by the clock, and of processor time, which other work on the machine changes less."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "app", "explain", *words]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, cwd=ROOT, env=environment)
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(seconds, 2), "cpu": round(cpu, 2)}


async def _questions(journal: Path) -> dict[str, list[str]]:
    """What to ask of a journal: of its middle and its end, in its fullest partition."""
    log, topics = SqliteLog(journal, read_only=True), Topics()
    await log.start()
    ends = {one: await log.end_offset(topics.journal, one) for one in range(PARTITIONS)}
    fullest = max(ends, key=lambda one: ends[one])
    questions = {}
    for name, share in (("middle", 0.5), ("end", 0.98)):
        offset = int(ends[fullest] * share)
        repeats = await log.read(topics.journal, fullest, offset, 2000)
        record = next(one.offset for one in repeats if (one.value or b"").startswith(ALERT_START))
        questions[f"record, {name}"] = ["--record", f"{fullest}:{record}"]
        place = int(await log.end_offset(topics.timeline, fullest) * share)
        opened = [
            orjson.loads(one.value or b"")
            for one in await log.read(topics.timeline, fullest, place, 5000)
        ]
        questions[f"incident, {name}"] = [
            next(one["incident"] for one in opened if one["kind"] == "Opened")
        ]
        place = int(await log.end_offset(topics.notifications, fullest) * share)
        told = await log.read(topics.notifications, fullest, place, 1)
        questions[f"notification, {name}"] = [orjson.loads(told[0].value or b"")["id"]]
    await log.stop()
    return questions


if __name__ == "__main__":
    main()
