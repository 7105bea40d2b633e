"""What an alert costs on the path that producers take: the raw topic to effects, one worker, a real Kafka.

Needs `make kafka`, or a TOCSIN_BROKER of your own. Beside it, in the same run, stands the limit:
aiokafka's fetch and `orjson.loads` of the same raw records, and nothing else. Each role is a process
of its own. Prints one JSON object last: alerts_per_second, cpu_us (the worker's processor time an
alert), limit_cpu_us, share (of the limit, by processor time), effects_twice, new, start_cpu_us (how
much of cpu_us is the worker's start). `--profile` says where the worker's microseconds go. `--live
4000 --new 0 --ended 0` measures repeats alone: another worker hears of the 4000 alerts before. It
fails when alerts were lost, or counted as what they are not.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

from app.clock import system_ms
from app.factory import build, make_log, start, stop
from app.files import policy_file
from app.settings import Settings, from_environment
from app.terminal.progress import progress_bar
from app.transport.log import NewRecord
from bench.broker_settings import broker_settings
from bench.samples import sampled, table
from bench.worker import PARTITIONS, effects_twice, limit
from bench.workload import Mix, Raw, workload
from models.topics import Topics, partition_of

BATCH = 1000


def main() -> int:
    """Fill the raw topic, then measure the limit and the worker in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=200_000)
    parser.add_argument("--new", type=float, default=0.05, help="share of new alerts (0.05)")
    parser.add_argument("--ended", type=float, default=0.01, help="share of ends (0.01)")
    parser.add_argument(
        "--live", type=int, default=0, help="alerts that fire before what is measured begins (0)"
    )
    parser.add_argument(
        "--rounds", type=int, default=1, help="workers measured, each on a new Tocsin (1)"
    )
    parser.add_argument("--profile", action="store_true", help="say where the microseconds go")
    parser.add_argument("--role", default="", help=argparse.SUPPRESS)
    parser.add_argument("--prefix", default=f"raw-{os.getpid()}", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if (given := broker_settings()) is None:
        return 1
    config = replace(from_environment(given), prefix=arguments.prefix, partitions=PARTITIONS)
    mix = Mix(arguments.alerts, arguments.new, arguments.ended, live=arguments.live)
    match arguments.role:
        case "limit":
            print(
                json.dumps(
                    asyncio.run(limit(config, Topics(config.prefix).raw, mix.alerts + mix.live))
                )
            )
        case "worker":
            print(json.dumps(asyncio.run(worker(config, mix, profile=arguments.profile))))
        case _:
            rounds = [measure(config, mix, number) for number in range(arguments.rounds)]
            print(json.dumps(sorted(rounds, key=lambda one: one["share"])[len(rounds) // 2]))
    return 0


def measure(config: Settings, mix: Mix, number: int) -> dict[str, float]:
    """One round: the limit, the worker, the limit."""
    config = replace(config, prefix=f"{config.prefix}-{number}")
    raws = workload(mix, system_ms())
    if mix.live:
        asyncio.run(fill(config, islice(raws, mix.live), mix.live))
        role("worker", config, ["--alerts", "0"])
    kinds = asyncio.run(fill(config, raws, mix.alerts))
    kinds["new"] += mix.live
    limits = [role("limit", config)]
    figures = role("worker", config)
    limits.append(role("limit", config))
    expected = {"new": kinds["new"], "repeats": kinds["repeat"], "ended": kinds["ended"]}
    counted = {name: figures[name] for name in expected}
    assert counted == expected, f"counted {counted}, sent {expected}"
    limit_cpu_us = round(median(one["cpu_us"] for one in limits), 2)
    figures |= {
        "limit_cpu_us": limit_cpu_us,
        "share": round(limit_cpu_us / figures["cpu_us"], 3),
        "limit_per_second": round(median(one["per_second"] for one in limits)),
    }
    print(json.dumps(figures), file=sys.stderr)
    return figures


def role(name: str, config: Settings, more: Sequence[str] = ()) -> dict[str, float]:
    """Run this script again in a role, with the arguments given, and return what it measured."""
    given = [*sys.argv[1:], *more]
    command = [sys.executable, __file__, *given, "--role", name, "--prefix", config.prefix]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


async def fill(config: Settings, raws: Iterable[Raw], number: int) -> Counter[str]:
    """Write records into the raw topic; how many there are of each kind."""
    log, topics = make_log(config), Topics(config.prefix)
    await log.start()
    await log.ensure_topics(topics.specs(PARTITIONS))
    batches: dict[int, list[NewRecord]] = {partition: [] for partition in range(PARTITIONS)}
    kinds: Counter[str] = Counter()
    with progress_bar("alerts written", number) as advance:
        for raw in raws:
            kinds[raw.kind] += 1
            partition = partition_of(raw.component, PARTITIONS)
            batches[partition].append(NewRecord(raw.component, raw.value))
            if len(batches[partition]) >= BATCH:
                await log.append(topics.raw, partition, batches[partition])
                advance(BATCH)
                batches[partition] = []
    for partition, batch in batches.items():
        if batch:
            await log.append(topics.raw, partition, batch)
    await log.stop()
    return kinds


async def worker(config: Settings, mix: Mix, *, profile: bool) -> dict[str, float]:
    """A whole worker, until every alert is applied, its effects are sent and its state is written."""
    log = make_log(config)
    await log.start()
    app = build(config, policy_file.load_policy(), log)
    with sampled() if profile else nullcontext(Counter[str]()) as spent:
        began, cpu = time.monotonic(), time.process_time()
        await start(app)
        start_cpu = time.process_time() - cpu
        while app.owner.counts().get("alerts", 0) < mix.live + mix.alerts:
            await asyncio.sleep(0.01)
        await app.owner.settle()
        seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    counts = app.owner.counts()
    await stop(app)
    twice = await effects_twice(config, log)
    await log.stop()
    alerts = mix.alerts or mix.live
    cpu_us = round(cpu / alerts * 1e6, 2)
    for part, part_us in table(spent, cpu_us):
        print(f"{part_us:8.2f} us  {part}", file=sys.stderr)
    return {
        "alerts_per_second": round(alerts / seconds),
        "cpu_us": cpu_us,
        "alerts": counts["alerts"],
        "new": counts["fired"],
        "repeats": counts.get("repeats", 0),
        "ended": counts.get("ended", 0),
        "effects_twice": twice,
        "start_cpu_us": round(start_cpu / alerts * 1e6, 2),
        "seconds": round(seconds, 2),
    }


if __name__ == "__main__":
    sys.exit(main())
