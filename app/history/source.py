"""What is read: an embedded journal, a recording, or Kafka; and what it has."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from app.history.checkpoints import last_offset
from app.history.not_retained import NotRetained
from app.history.records import records_from
from app.settings import Settings
from app.transport.kafka import KafkaLog
from app.transport.log import LogUnavailable, Readable, StoredRecord
from app.transport.recording import Recording
from app.transport.recording_format import RecordedPart
from app.transport.security import client_settings
from app.transport.sqlite import SqliteLog
from models.effect import Position, Stream, position_from
from models.topics import Topics

_EVERYWHERE = ".incidents"  # the end of a topic's name that every prefix has, scratch ones too


@dataclass(frozen=True, slots=True)
class Source:
    """A log that is open, and the settings under which it was written.

    Its prefix, and its number of partitions.
    """

    log: Readable
    config: Settings
    description: str  # in words
    where: str = ""  # tells it from others on this machine

    @property
    def topics(self) -> Topics:
        """Its topics' names."""
        return Topics(self.config.prefix)

    @property
    def partitions(self) -> list[int]:
        """Those of which it has the journal: all, or what was recorded."""
        if isinstance(self.log, Recording):
            return [part.partition for part in self.log.header.parts]
        return list(range(self.config.partitions))

    def topic(self, stream: Stream) -> str:
        """The name of an effects topic."""
        name: str = getattr(self.topics, stream)
        return name

    async def applied(self, partition: int) -> int:
        """The newest offset whose effects are certainly all sent.

        The last checkpoint's. -1 before the first.
        """
        part = self._recorded_part(partition)
        return part.applied if part else await last_offset(self.log, self.topics.state, partition)

    async def kept_from(self, stream: Stream, partition: int) -> Position | None:
        """The oldest effect that is kept, where older ones are gone already.

        None when nothing is gone.
        """
        part = self._recorded_part(partition)
        if part:
            return _header_position(part.kept_from[stream]) if stream in part.kept_from else None
        topic = self.topic(stream)
        offset = await self.log.start_offset(topic, partition)
        if offset == 0:
            return None
        async with aclosing(records_from(self.log, topic, partition, offset)) as found_records:
            async for record in found_records:
                position = position_from(tuple(record.headers))
                if position is not None:
                    return position
        return Position(await self.log.end_offset(self.topics.journal, partition), 0)

    async def is_whole(self, partition: int) -> bool:
        """Whether its journal has everything that was ever sent to the partition, up to now or when it was recorded."""
        part = self._recorded_part(partition)
        return (
            part.whole if part else await self.log.start_offset(self.topics.journal, partition) == 0
        )

    async def journal(
        self, partition: int, offset: int, end: int, records_max: int
    ) -> list[StoredRecord]:
        """The journal's records from an offset on, up to `end`, which is left out.

        Raises NotRetained where the first of them is gone.
        """
        size = min(records_max, end - offset)
        records = await self.log.read(self.topics.journal, partition, offset, size)
        if not records or records[0].offset > offset:
            raise NotRetained(
                f"{self.description} lacks the record {offset} of partition {partition}, "
                "which was there before"
            )
        return [record for record in records if record.offset < end]

    def _recorded_part(self, partition: int) -> RecordedPart | None:
        parts = self.log.header.parts if isinstance(self.log, Recording) else ()
        return next((part for part in parts if part.partition == partition), None)


def _header_position(text: str) -> Position:
    offset, number = text.split("-")
    return Position(int(offset), int(number))


@asynccontextmanager
async def open_source(journal: str, config: Settings) -> AsyncIterator[Source]:
    """What is named, or else what TOCSIN_BROKER names, open to be read. Raises LogUnavailable."""
    log, description, where = _open_log(journal, config)
    await log.start()
    try:
        if isinstance(log, Recording):
            recorded = replace(config, prefix=log.header.prefix, partitions=log.header.partitions)
        else:
            recorded = await _settings_of_log(log, config, description, named=bool(journal))
        yield Source(log, recorded, description, where)
    finally:
        await log.stop()


def _open_log(journal: str, config: Settings) -> tuple[Readable, str, str]:
    if not journal and not config.embedded:
        kafka = KafkaLog(config.bootstrap, config.replication, client_settings(config.kafka))
        return kafka, f"Kafka at {', '.join(config.bootstrap)}", config.broker
    path = Path(journal) if journal else config.journal_dir
    path = path.parent if path.name == "journal.db" else path
    if path.is_file():
        return Recording(path), f"the recording {path}", str(path.resolve())
    if not (path / "journal.db").exists():
        where = "--journal names it" if journal else "TOCSIN_BROKER names it, or --journal does"
        message = "has no journal.db" if path.is_dir() else "does not exist"
        raise LogUnavailable(
            f"{path} {message}: it has to be the folder of an embedded journal, or a recording; {where}"
        )
    return SqliteLog(path, read_only=True), f"the journal in {path}", str(path.resolve())


async def _settings_of_log(
    log: Readable, config: Settings, description: str, *, named: bool
) -> Settings:
    """The settings with the prefix and the number of partitions that the log has."""
    topics = await log.list_topics()
    prefixes = sorted(
        name.removesuffix(_EVERYWHERE) for name in topics if name.endswith(_EVERYWHERE)
    )
    prefix = prefixes[0] if named and len(prefixes) == 1 else config.prefix
    if prefix not in prefixes:
        known = ", ".join(prefixes) or "none"
        raise LogUnavailable(
            f"{description} has no topics of {prefix!r}; the prefixes that it has: {known} (TOCSIN_PREFIX)"
        )
    return replace(config, prefix=prefix, partitions=topics[f"{prefix}{_EVERYWHERE}"])
