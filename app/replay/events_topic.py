"""The events that an Alertmanager's event recorder wrote to a topic of Kafka, in its format `json`."""

import re
from typing import NamedTuple

from app.history.not_retained import NotRetained
from app.settings import KAFKA, Settings
from app.transport.kafka import KafkaLog
from app.transport.security import client_settings

_ADDRESS = re.compile(r"kafka://([^/\s]+)/([A-Za-z0-9._-]{1,249})")


class EventsTopic(NamedTuple):
    """A topic, and the brokers that have it."""

    servers: tuple[str, ...]
    topic: str


def is_topic(name: str) -> bool:
    """Whether a name is meant as a topic, and not as a file."""
    return name.startswith(KAFKA)


def topic_of(address: str) -> EventsTopic:
    """The topic of `kafka://HOST[:PORT][,HOST...]/TOPIC`. Raises NotRetained."""
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise NotRetained(f"{address!r:.120} must be such as kafka://localhost:9092/TOPIC")
    servers = [server for server in parts[1].replace(";", ",").split(",") if server]
    if not servers:
        raise NotRetained(f"{address!r:.120} has no host")
    with_ports = (server if ":" in server else f"{server}:9092" for server in servers)
    return EventsTopic(tuple(with_ports), parts[2])


async def read_topic(address: str, config: Settings) -> list[bytes]:
    """The events in a topic, as they stand when it is read, partition by partition.

    `config` says how to reach a Kafka that asks who we are (`TOCSIN_KAFKA_*`). Raises NotRetained
    when there is no such topic, and LogUnavailable.
    """
    place = topic_of(address)
    log = KafkaLog(place.servers, security=client_settings(config.kafka))
    try:
        topics = await log.list_topics()
        if place.topic not in topics:
            raise NotRetained(f"{address}: there is no such topic, or we may not see it")
        values: list[bytes] = []
        for partition in range(topics[place.topic]):
            values += await _read_partition(log, place.topic, partition)
        return values
    finally:
        await log.stop()


async def _read_partition(log: KafkaLog, topic: str, partition: int) -> list[bytes]:
    """The values of a partition up to its end of now."""
    values: list[bytes] = []
    offset = await log.start_offset(topic, partition)
    end = await log.end_offset(topic, partition)
    while offset < end and (records := await log.read(topic, partition, offset)):
        values += [record.value for record in records if record.value and record.offset < end]
        offset = records[-1].offset + 1
    return values
