"""One worker's rate on a real Kafka, with everything on, beside what one core can fetch and parse at all in the same run.

Needs `make kafka`, or a TOCSIN_BROKER of your own. Prints one JSON object last: alerts_per_second
of the worker, limit_per_second (aiokafka's fetch and `orjson.loads` of the same records, nothing
else), their share, alerts, incidents, and effects_twice. Each role is a process of its own, so each
has one core's worth of Python.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import orjson
from aiokafka import AIOKafkaConsumer

sys.path.insert(0, str(Path(__file__).parent.parent))

from app.demo.storm import storm_steps
from app.factory import build, connect, make_log, start, stop
from app.files import policy_file
from app.history.effects import incidents_of
from app.intake.normalise import from_list
from app.settings import Settings, from_environment
from app.transport.log import Log, NewRecord
from app.transport.security import client_settings
from bench.broker_settings import broker_settings
from models.effect import Stream, position_from
from models.journal import encode_alert
from models.topics import Topics, partition_of

PARTITIONS = 4
LIVE = 10_000  # different alerts, so one in a hundred is news; in the real set it is one in 1,870
BATCH = 2000


def main() -> int:
    """Fill a journal, then measure the limit and the worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=1_000_000)
    parser.add_argument("--live", type=int, default=LIVE)
    parser.add_argument("--role", default="")
    parser.add_argument("--prefix", default=f"bench-{os.getpid()}")
    arguments = parser.parse_args()
    if (given := broker_settings()) is None:
        return 1
    config = replace(from_environment(given), prefix=arguments.prefix, partitions=PARTITIONS)
    if arguments.role == "limit":
        print(
            json.dumps(asyncio.run(limit(config, Topics(config.prefix).journal, arguments.alerts)))
        )
    elif arguments.role == "worker":
        print(json.dumps(asyncio.run(worker(config))))
    else:
        asyncio.run(fill(config, arguments.alerts, arguments.live))
        limits = [role("limit", arguments) for _ in range(3)]
        found = role("worker", arguments)
        best = sorted(limits, key=lambda one: one["per_second"])[1]
        share = round(found["alerts_per_second"] / best["per_second"], 2)
        print(
            json.dumps(
                found
                | {
                    "limit_per_second": best["per_second"],
                    "share": share,
                    "limit_cpu_us": best["cpu_us"],
                }
            )
        )
    return 0


def role(name: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Run this script again in a role, and return what it measured."""
    command = [
        sys.executable,
        __file__,
        "--role",
        name,
        "--prefix",
        arguments.prefix,
        "--alerts",
        str(arguments.alerts),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


async def fill(config: Settings, alerts: int, live: int) -> None:
    """Write the storm's mix into the journal as the bridge would, with `live` different alerts of 590 bytes or so."""
    policy, log, topics = policy_file.load_policy(), make_log(config), Topics(config.prefix)
    await log.start()
    await log.ensure_topics(topics.specs(PARTITIONS))
    dice, kinds = random.Random(7), list[tuple[bytes, bytes]]()
    for _, step in storm_steps(live, 7):
        for one in step:
            one["labels"] |= {
                "instance": f"10.0.{len(kinds) // 250}.{len(kinds) % 250}:9100",
                "run": "x" * 40,
            }
            one["annotations"]["description"] = (
                "what the detector says about it, at some length " * 3
            )
            found, _ = from_list([one], log.now_ms())
            kinds.append(
                (
                    policy.place(found[0].labels, found[0].fingerprint).key.encode(),
                    encode_alert(found[0]),
                )
            )
    batches: dict[int, list[NewRecord]] = {partition: [] for partition in range(PARTITIONS)}
    # One host takes nearly all of a storm; spread over partitions, so that the worker and not one
    # partition is measured.
    for number in range(alerts):
        _, value = kinds[number] if number < len(kinds) else dice.choice(kinds)
        key = f"host-{partition_of(value[:30], 200)}".encode()
        partition = partition_of(key, PARTITIONS)
        batches[partition].append(NewRecord(key, value))
        if len(batches[partition]) >= BATCH:
            await log.append(topics.journal, partition, batches[partition])
            batches[partition] = []
    for partition, batch in batches.items():
        if batch:
            await log.append(topics.journal, partition, batch)
    await log.stop()


async def limit(config: Settings, topic: str, alerts: int) -> dict[str, float]:
    """Fetch and parse every record of a topic, and nothing else."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=config.bootstrap,
        **client_settings(config.kafka),
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=2 * 1024 * 1024,
    )
    await consumer.start()
    seen, began, cpu = 0, time.monotonic(), time.process_time()
    while seen < alerts:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                orjson.loads(record.value)
            seen += len(records)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    await consumer.stop()
    return {"per_second": round(seen / seconds), "cpu_us": round(cpu / seen * 1e6, 2)}


async def worker(config: Settings) -> dict[str, float]:
    """A whole worker.

    Engine, effects, checkpoints, commits; until everything is applied and its effects are sent.
    """
    log = make_log(config)
    await connect(config, log, worker=True)
    app = build(config, policy_file.load_policy(), log)
    ends = [await log.end_offset(Topics(config.prefix).journal, one) for one in range(PARTITIONS)]
    began = cpu = 0.0
    await start(app)
    began, cpu = time.monotonic(), time.process_time()
    pipes = app.owner.pipes
    before = sum(pipe.settled_offset + 1 for pipe in pipes.values())
    while len(pipes) < PARTITIONS or any(
        pipes[one].settled_offset + 1 < ends[one] for one in range(PARTITIONS)
    ):
        await asyncio.sleep(0.005)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    counts = app.owner.counts()
    await stop(app)
    incidents, twice = len(await incidents_of(log, config)), await effects_twice(config, log)
    await log.stop()
    applied = counts["alerts"] - before
    return {
        "alerts_per_second": round(applied / seconds),
        "cpu_us": round(cpu / applied * 1e6, 2),
        "alerts": counts["alerts"],
        "repeats": counts["repeats"],
        "incidents": incidents,
        "effects_twice": twice,
        "seconds": round(seconds, 2),
    }


async def effects_twice(config: Settings, log: Log) -> int:
    """How many effects stand more than once in their topic."""
    twice = 0
    for stream in Stream:
        if stream is Stream.JOURNAL:
            continue
        for partition in range(PARTITIONS):
            seen: set[object] = set()
            offset = 0
            while records := await log.read(
                getattr(Topics(config.prefix), stream), partition, offset
            ):
                offset = records[-1].offset + 1
                for record in records:
                    position = position_from(tuple(record.headers))
                    twice += position in seen
                    seen.add(position)
    return twice


if __name__ == "__main__":
    sys.exit(main())
