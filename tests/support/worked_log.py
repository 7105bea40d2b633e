"""A log in memory with a worker behind it: what is appended to the journal is decided at once."""

from collections.abc import Sequence

import orjson

from app.core.engine import Engine
from app.transport.log import NewRecord, StoredRecord
from models.effect import Stream
from models.journal import TICK, Source
from models.topics import Topics, partition_of
from tests.support.fake_log import FakeLog
from tests.support.scenario import alert_record
from tests.support.served_bridge import PARTITIONS
from tests.support.shipped_policy import shipped

TOPICS = Topics()


class WorkedLog(FakeLog):
    """A log whose engines decide what is appended to the journal, while they are `working`."""

    def __init__(self) -> None:
        super().__init__()
        self.working = True
        self._signals: list[tuple[bytes, NewRecord]] = []  # of actors to each other
        self.engines = [Engine(partition, shipped()) for partition in range(PARTITIONS)]

    async def append(self, topic: str, partition: int, records: Sequence[NewRecord]) -> int:
        """Keep the batch, and what the engine makes of it."""
        offset = await super().append(topic, partition, records)
        if topic == TOPICS.journal and self.working:
            self.decide(partition, offset)
        return offset

    def decide(self, partition: int, offset: int) -> None:
        """Apply what the journal has from the offset on, and keep the effects."""
        journal = self.topics[TOPICS.journal, partition]
        records = [record for record in journal if record.offset >= offset]
        for effect in self.engines[partition].apply(records):
            if effect.stream is Stream.JOURNAL:
                source = Source(
                    "journal", partition, effect.position.offset, effect.position.number
                )
                key = effect.key or b""
                self._signals.append((key, NewRecord(key, effect.value, (source.header(),))))
            else:
                topic = getattr(TOPICS, effect.stream)
                record = NewRecord(effect.key, effect.value, (effect.position.header(),))
                self.put(topic, partition, [record])

    def fire(self, component: str = "api", *, firing: bool = True, **labels: str) -> int:
        """An alert fires or ends, and is decided; its partition."""
        labels = {"alertname": "HighErrorRate", "severity": "high", "component": component} | labels
        record = alert_record(self.at_ms, labels, component, firing=firing)
        return self.feed(component.encode(), record)

    def feed(self, key: bytes, record: StoredRecord) -> int:
        """A record is appended and decided; its partition."""
        partition = partition_of(key, PARTITIONS)
        offset = self.put(TOPICS.journal, partition, [NewRecord(key, record.value)])
        self.decide(partition, offset)
        return partition

    def exchange_signals(self) -> None:
        """Let the actors hear what they said to each other, until nobody says more."""
        while self._signals:
            key, record = self._signals.pop(0)
            partition = partition_of(key, PARTITIONS)
            self.decide(partition, self.put(TOPICS.journal, partition, [record]))

    def tick(self) -> None:
        """Time passes in every partition."""
        for partition in range(PARTITIONS):
            self.decide(partition, self.put(TOPICS.journal, partition, [NewRecord(None, TICK)]))

    def show_growth(self) -> None:
        """Let a second pass: the snapshots of incidents that only grew are left."""
        self.at_ms += 1000
        self.tick()

    def incidents(self) -> list[str]:
        """The ids of the incidents that are not closed."""
        return [name for engine in self.engines for name in engine.state.incidents]

    def timeline(self, incident: str) -> list[str]:
        """The kinds of an incident's timeline entries."""
        return [
            orjson.loads(record.value or b"")["kind"]
            for (topic, _), records in self.topics.items()
            for record in records
            if topic == TOPICS.timeline and record.key == incident.encode()
        ]
