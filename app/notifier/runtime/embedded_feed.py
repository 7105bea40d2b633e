"""What the deliverer reads, from the embedded journal: all partitions, inside the process that writes them."""

from app.notifier.runtime.deliverer import Deliverer
from app.transport.sqlite import SqliteLog
from models.topics import Topics


async def follow_embedded(
    log: SqliteLog, topics: Topics, partitions: int, deliverer: Deliverer
) -> None:
    """Own all partitions and hand over what is appended, until cancelled."""
    woken = log.follow()
    offsets: dict[tuple[str, int], int] = {}
    for partition in range(partitions):
        places = await deliverer.take_over(partition)
        offsets[topics.notifications, partition] = places.notifications
        offsets[topics.deliveries, partition] = places.deliveries
    while True:
        woken.clear()
        waiting = [
            (topic, partition)
            for (topic, partition), offset in offsets.items()
            if log.written(topic, partition) > offset
        ]
        for topic, partition in waiting:
            records = await log.read(topic, partition, offsets[topic, partition])
            if not records:
                continue
            if topic == topics.deliveries:
                deliverer.on_deliveries(partition, records)
            else:
                await deliverer.on_notifications(partition, records)
            offsets[topic, partition] = records[-1].offset + 1
        if not waiting:
            await woken.wait()
