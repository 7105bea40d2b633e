"""How long after its alert was sent an escalation stands in its topic, under load: bridge, worker and Kafka on one machine.

Needs `make kafka`, or a TOCSIN_BROKER of your own. Sends alerts at a steady rate as Prometheus
does, 64 in a body, and now and then one more that always escalates, alone; a consumer of
`tocsin.escalations` notes when each arrives. Beside it, in the same run, how long a record takes
through the same Kafka when nothing is done with it. Prints one JSON object last; times are in ms.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import aiohttp
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

sys.path.insert(0, str(Path(__file__).parent.parent))

from app.transport.kafka import KafkaLog
from bench.border import kinds
from bench.broker_settings import broker_settings
from models.topics import Topics, TopicSpec, partition_of

BODY = 64
PARTITIONS = 4


def main() -> int:
    """Start worker and bridge, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=10_000, help="alerts a second (10000)")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument(
        "--live", type=int, default=5_000, help="different alerts; all others repeat them"
    )
    arguments = parser.parse_args()
    if (given := broker_settings()) is None:
        return 1
    settings = dict(given) | {
        "TOCSIN_PREFIX": f"latency-{os.getpid()}",
        "TOCSIN_PARTITIONS": str(PARTITIONS),
        "TOCSIN_PORT": "0",
    }
    settings |= {"TOCSIN_SENDER_ALERTS": "0", "TOCSIN_SENDER_REQUESTS": "0"}
    processes = {name: _start(name, settings) for name in ("bridge", "worker")}
    try:
        url = json.loads(processes["bridge"].stdout.readline())["url"]  # type: ignore[union-attr]
        processes["worker"].stdout.readline()  # type: ignore[union-attr]
        print(json.dumps(asyncio.run(measure(settings, url, arguments))))
    finally:
        for process in processes.values():
            process.terminate()
            process.wait()
    return 0


def _start(command: str, settings: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "app", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | settings,
        cwd=Path(__file__).parent.parent,
    )


async def measure(
    settings: dict[str, str], url: str, arguments: argparse.Namespace
) -> dict[str, object]:
    """The percentiles of both."""
    servers = settings["TOCSIN_BROKER"].removeprefix("kafka://").replace(";", ",")
    alerts = list(kinds(arguments.live))
    bodies = [orjson.dumps(alerts[start : start + BODY]) for start in range(0, len(alerts), BODY)]
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
        escalations = Escalations(servers, settings["TOCSIN_PREFIX"])
        await escalations.start()
        for body in bodies:  # what is new costs more; the load is repeats, as it is in real life
            await _post(session, url, body)
        for partition in range(PARTITIONS):  # and all of it is applied
            name = next(
                f"c{n}" for n in count() if partition_of(f"c{n}".encode(), PARTITIONS) == partition
            )
            await _gate(session, url, name)
            while name not in escalations.seen:
                await asyncio.sleep(0.01)
        began = time.monotonic()
        load = asyncio.create_task(_load(session, url, bodies, arguments))
        times, unseen = await _escalated(session, url, escalations, arguments.seconds)
        rate = round(await load / (time.monotonic() - began - 2))
        await escalations.stop()
    bare = await _bare(servers, settings["TOCSIN_PREFIX"])
    return {
        "alerts_per_second": rate,
        "escalation": spread(times),
        "not_seen": unseen,
        "kafka_alone": spread(bare),
    }


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> None:
    async with session.post(f"{url}/api/v2/alerts", data=body) as answer:
        assert answer.status == 200, await answer.text()


async def _load(
    session: aiohttp.ClientSession, url: str, bodies: list[bytes], arguments: argparse.Namespace
) -> int:
    """Post bodies at the rate, each on its beat whether or not the one before was answered.

    The number of alerts.
    """
    beat, posts = BODY / arguments.rate, set[asyncio.Task[None]]()
    began = time.monotonic()
    number = 0
    while (due := began + number * beat) < began + arguments.seconds:
        await asyncio.sleep(max(due - time.monotonic(), 0))
        post = asyncio.create_task(_post(session, url, bodies[number % len(bodies)]))
        posts.add(post)
        post.add_done_callback(posts.discard)
        number += 1
    await asyncio.gather(*posts)
    return number * BODY


class Escalations:
    """When each escalation was first seen, by the component of its incident."""

    def __init__(self, servers: str, prefix: str) -> None:
        self.seen: dict[str, float] = {}
        self._consumer = _consumer(servers, Topics(prefix).escalations)

    async def start(self) -> None:
        """Begin to listen."""
        await self._consumer.start()
        self._listening = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        """Listen no more."""
        self._listening.cancel()
        await self._consumer.stop()

    async def _listen(self) -> None:
        async for record in self._consumer:
            self.seen.setdefault(orjson.loads(record.value)["component"], time.monotonic())


async def _gate(session: aiohttp.ClientSession, url: str, name: str) -> float:
    """Send an alert that always escalates; when it was sent."""
    at = time.monotonic()
    await _post(
        session,
        url,
        orjson.dumps(
            [
                {
                    "labels": {
                        "alertname": "UnauthorizedAccess",
                        "category": "security",
                        "component": name,
                    }
                }
            ]
        ),
    )
    return at


async def _escalated(
    session: aiohttp.ClientSession, url: str, escalations: Escalations, seconds: int
) -> tuple[list[float], int]:
    """Milliseconds from sending each such alert until its escalation is read.

    And how many never were.
    """
    sent: dict[str, float] = {}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        name = f"gate-{len(sent)}"
        sent[name] = await _gate(session, url, name)
        await asyncio.sleep(0.05)
    await asyncio.sleep(2)
    seen = escalations.seen
    return [(seen[name] - at) * 1000 for name, at in sent.items() if name in seen], len(
        set(sent) - set(seen)
    )


async def _bare(servers: str, prefix: str) -> list[float]:
    """The same through Kafka alone: a record is sent, acknowledged by all, and read."""
    topic = f"{prefix}.bare"
    log = KafkaLog(servers.split(","))
    await log.ensure_topics([TopicSpec(topic, 1, {})])
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
    await producer.start()
    await producer.send_and_wait(topic, b"first")
    consumer = _consumer(servers, topic)
    await consumer.start()
    times = []
    for _ in range(200):
        began = time.monotonic()
        await producer.send_and_wait(topic, b"hello")
        await consumer.getone()
        times.append((time.monotonic() - began) * 1000)
    await producer.stop()
    await consumer.stop()
    return times


def _consumer(servers: str, topic: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        auto_offset_reset="latest",
        fetch_max_wait_ms=100,
        metadata_max_age_ms=1000,
    )


def spread(times: list[float]) -> dict[str, float]:
    """Percentiles of milliseconds."""
    ordered = sorted(times)
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    last = len(ordered) - 1
    return {"number": len(ordered)} | {
        name: round(ordered[min(int(len(ordered) * share), last)], 1)
        for name, share in shares.items()
    }


if __name__ == "__main__":
    sys.exit(main())
