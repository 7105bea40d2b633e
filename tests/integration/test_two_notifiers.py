"""Two notifiers share the partitions of a real Kafka, and one of them is killed at a time that a seed draws."""

import asyncio
import base64
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.transport.kafka import KafkaLog
from app.transport.log import NewRecord
from models.effect import Position
from models.topics import Topics, partition_of
from tests.support.delivering import page
from tests.support.engines import Tocsin, wait_until
from tests.support.receivers.counting import CountingReceiver

PARTITIONS = 4
INCIDENTS, EPISODES = 40, 3
UNDER_WAY_MAX = 64  # tries of one notifier at one time, each of which may come again after its kill
FILE = """
version: 1
receivers:
  hook: {{webhook: {{url: "{url}", secret_env: HOOK_SECRET}}}}
contacts:
  - {{channel: pager, through: [hook]}}
allow_private_addresses: [127.0.0.1/32]
delivery: {{timeout: 5s}}
"""


@pytest.fixture
def receiver() -> Iterator[CountingReceiver]:
    """A receiver, for one test."""
    receiver = CountingReceiver()
    yield receiver
    receiver.stop()


async def _notify(bootstrap: str, topics: Topics, episodes: range) -> None:
    """Pages for many incidents and many contacts, each in the partition of its incident."""
    log = KafkaLog([bootstrap])
    await log.start()
    await log.ensure_topics(topics.specs(PARTITIONS))
    for episode in episodes:
        for incident in range(INCIDENTS):
            name = f"INC-20260412T031502Z-{incident:03}"
            fields = {"incident": name, "address": f"contact-{incident}", "receiver": name}
            offset = episode * INCIDENTS + incident
            partition = partition_of(name.encode(), PARTITIONS)
            message = page(offset, **fields, id=f"{partition}-{offset}-0", episode=episode)
            header = Position(offset, 0).header()
            record = NewRecord(name.encode(), orjson.dumps(message), (header,))
            await log.append(topics.notifications, partition, [record])
    await log.stop()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_page_arrives_though_one_of_two_notifiers_is_killed(
    broker: str, tmp_path: Path, receiver: CountingReceiver, seed: int
) -> None:
    """The other one takes its partitions over: nothing is lost, nothing is late of its turn."""
    prefix = f"two-{seed}"
    file = tmp_path / "receivers.yaml"
    file.write_text(FILE.format(url=receiver.url))
    settings = {
        "TOCSIN_BROKER": broker,
        "TOCSIN_PARTITIONS": str(PARTITIONS),
        "TOCSIN_PREFIX": prefix,
        "TOCSIN_RECEIVERS": str(file),
        "HOOK_SECRET": f"whsec_{base64.b64encode(bytes(32)).decode()}",
    }
    bootstrap = broker.removeprefix("kafka://")
    asyncio.run(_notify(bootstrap, Topics(prefix), range(1, 2)))
    notifiers = [Tocsin("notifier", **settings) for _ in range(2)]
    killed_after = random.Random(seed).randrange(INCIDENTS * EPISODES - 1)
    asyncio.run(_notify(bootstrap, Topics(prefix), range(2, EPISODES + 1)))
    wait_until(lambda: len(receiver.bodies) > killed_after, "enough arrived for a kill")
    notifiers.pop(seed % 2).kill()
    wait_until(
        lambda: len(_first_arrivals(receiver)) == INCIDENTS * EPISODES, "every page has arrived"
    )
    notifiers[0].stop()

    arrivals = Counter(body["data"]["id"] for body in receiver.bodies)
    by_incident: dict[str, list[int]] = {}
    for message in _first_arrivals(receiver).values():
        by_incident.setdefault(message["incident"], []).append(message["episode"])
    assert sum(arrivals.values()) - len(arrivals) <= UNDER_WAY_MAX
    assert {tuple(episodes) for episodes in by_incident.values()} == {tuple(range(1, EPISODES + 1))}


def _first_arrivals(receiver: CountingReceiver) -> dict[str, dict[str, Any]]:
    """The messages by id, in the order in which they came first."""
    arrived: dict[str, dict[str, Any]] = {}
    for body in list(receiver.bodies):
        message = body["data"]
        arrived.setdefault(message["id"], message)
    return arrived
