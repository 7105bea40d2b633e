"""The notifier on a real Kafka: a group, claimed partitions, and a second notifier that goes on."""

import asyncio

import orjson

from app.notifier.ledger.contacts import ContactRoute, Contacts
from app.notifier.ledger.delivery import Rules
from app.notifier.runtime.deliverer import Deliverer, Reach
from app.notifier.runtime.kafka_feed import KafkaFeed
from app.transport.kafka import KafkaLog
from app.transport.log import NewRecord
from models.topics import Topics
from tests.support.delivering import PARTITIONS, WatchedChannel, _position, page

TOPICS = Topics("notifying")


async def _deliver(log: KafkaLog, server: str, messages: int) -> list[tuple[str, str]]:
    """What one notifier sends, until so many messages are sent and written down."""
    channel = WatchedChannel()
    contacts = Contacts([ContactRoute("pager", "", "", ("hook",))])
    reach = Reach({"hook": channel}, contacts, Rules({"hook": channel.kind}))
    deliverer = Deliverer(log, TOPICS, PARTITIONS, reach, lambda: 0.0)
    running = asyncio.create_task(deliverer.run())
    feed = asyncio.create_task(KafkaFeed([server], {}, TOPICS, deliverer).follow())
    async with asyncio.timeout(60):
        while len(channel.sent) < messages or deliverer.busy:  # noqa: ASYNC110  it looks on from outside
            await asyncio.sleep(0.05)
    feed.cancel()
    await asyncio.wait({feed})
    await deliverer.stop()
    running.cancel()
    return channel.sent


async def _notify(log: KafkaLog, number: int, **fields: object) -> None:
    document = page(number, **fields)
    header = _position(document).header()
    record = NewRecord(str(document["incident"]).encode(), orjson.dumps(document), (header,))
    await log.append(TOPICS.notifications, 0, [record])


def test_a_second_notifier_goes_on_where_the_first_one_was(broker: str) -> None:
    """Each message is sent once, in order, and what the channel wanted back is there."""
    server = broker.removeprefix("kafka://")

    async def run() -> list[list[tuple[str, str]]]:
        log = KafkaLog([server])
        await log.start()
        await log.ensure_topics(TOPICS.specs(PARTITIONS))
        await _notify(log, 1)
        await _notify(log, 2, episode=2)
        first = await _deliver(log, server, 2)
        await _notify(log, 3, action="resolve", kind="resolved")
        second = await _deliver(log, server, 1)
        await log.stop()
        return [first, second]

    assert asyncio.run(run()) == [
        [("0-1-0", ""), ("0-2-0", "after 0-1-0")],
        [("0-3-0", "after 0-2-0")],
    ]
