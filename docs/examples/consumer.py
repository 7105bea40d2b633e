"""Print the messages of tocsin.notifications on Kafka (HOST:PORT) or in a journal's folder."""

import asyncio
import sys
from pathlib import Path

import orjson

from app.transport.kafka import KafkaLog
from app.transport.sqlite import SqliteLog
from models.effect import Position, place_from

TOPIC = "tocsin.notifications"


def text_of(event: dict) -> str:
    sign = "RING" if event["wakes"] else event["action"]
    head = f"{event['at']} {sign} {event['receiver']}: [{event['severity']}] {event['title']}"
    links = [f"{title}: {url}" for title, url in event["links"].items()]
    return "\n    ".join([head, event["text"], f"why: {event['reason']['text']}", *links])


async def print_messages(where: str) -> None:
    log = KafkaLog([where]) if ":" in where else SqliteLog(Path(where), read_only=True)
    await log.start()
    for partition in range((await log.list_topics())[TOPIC]):
        newest, offset = (0, Position(-1, -1)), await log.start_offset(TOPIC, partition)
        while offset < await log.end_offset(TOPIC, partition):
            for record in await log.read(TOPIC, partition, offset):
                offset = record.offset + 1
                place = place_from(tuple(record.headers))
                if place and place > newest:  # else it came before
                    newest = place
                    print(text_of(orjson.loads(record.value)))
    await log.stop()


if __name__ == "__main__":
    asyncio.run(print_messages(sys.argv[1]))
