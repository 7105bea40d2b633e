"""Copying a range of the journal, the state before it and the effects that came of it into a recording."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from app.core.state.changelog import META
from app.history.feeder import READ_RECORDS, Feeding
from app.history.not_retained import NotRetained
from app.history.source import Source
from app.history.spans import OffsetSpan
from app.history.state_at import Start, start_of
from app.replay.writer import RecordingWriter
from app.transport.log import StoredRecord
from app.transport.recording_format import RecordedPart, RecordingHeader
from models.effect import EFFECTS, position_from

Progress = Callable[[int], None]  # how many more records are done


async def write_recording(
    source: Source,
    spans: Sequence[OffsetSpan],
    applied: Mapping[int, int],
    path: Path,
    incident: str,
    advance: Progress,
) -> RecordingHeader:
    """Write a recording of the spans; its header. Raises NotRetained and LogUnavailable, and leaves no file then.

    `applied` is by partition how far the workers had come, asked before the spans were chosen.
    """
    parts, states = [], []
    for span in spans:
        part, items = await _recorded_part(source, span, applied[span.partition])
        parts.append(part)
        states.append(items)
    header = RecordingHeader(
        tocsin_version(),
        source.log.now_ms(),
        source.description,
        source.config.prefix,
        source.config.partitions,
        parts,
        incident,
    )
    writer = RecordingWriter(path, header)
    try:
        for part, items in zip(parts, states, strict=True):
            writer.write(
                source.topics.state, part.partition, _checkpoint_records(items, header.recorded_ms)
            )
            async for records in _read_range(source, source.topics.journal, part):
                writer.write(source.topics.journal, part.partition, records)
                advance(len(records))
        for part in parts:
            for stream in EFFECTS:
                async for records in effects_in(
                    source, source.topic(stream), part.partition, part.first, part.end
                ):
                    writer.write(source.topic(stream), part.partition, records)
        writer.finish()
    except BaseException:
        writer.abandon()
        raise
    return header


async def _recorded_part(
    source: Source, span: OffsetSpan, applied: int
) -> tuple[RecordedPart, dict[bytes, bytes]]:
    """What the header says of a span, and the state before it."""
    start: Start = await start_of(source, span)
    first = start.offset + 1 if span.first is None else span.first
    feeding = Feeding(source, span.partition, start)
    async for _ in feeding.run(first, READ_RECORDS):
        pass
    kept = {stream: await source.kept_from(stream, span.partition) for stream in EFFECTS}
    part = RecordedPart(
        span.partition,
        first,
        span.end,
        applied,
        feeding.engine.policy.fingerprint,
        first == 0 and span.to_end and await source.is_whole(span.partition),
        {
            stream: f"{oldest.offset}-{oldest.number}"
            for stream, oldest in kept.items()
            if oldest is not None
        },
    )
    return part, feeding.items()


def _checkpoint_records(items: dict[bytes, bytes], at_ms: int) -> list[StoredRecord]:
    """The state as one checkpoint, its meta record last."""
    keys = [*(key for key in items if key != META), META]
    return [StoredRecord(number, at_ms, key, items[key]) for number, key in enumerate(keys)]


async def _read_range(
    source: Source, topic: str, part: RecordedPart
) -> AsyncIterator[list[StoredRecord]]:
    offset = part.first
    while offset < part.end:
        records = await source.log.read(topic, part.partition, offset, READ_RECORDS)
        if not records or records[0].offset > offset:
            raise NotRetained(
                f"{source.description} lacks the record {offset} of partition {part.partition}, which was there before"
            )
        offset = records[-1].offset + 1
        yield [record for record in records if record.offset < part.end]


async def effects_in(
    source: Source, topic: str, partition: int, first: int, end: int
) -> AsyncIterator[list[StoredRecord]]:
    """The records of an effects topic that have a position in a range of the journal, as they stand there."""
    offset = await source.log.start_offset(topic, partition)
    while records := await source.log.read(topic, partition, offset):
        offset = records[-1].offset + 1
        yield [record for record in records if _is_in(record, first, end)]


def _is_in(record: StoredRecord, first: int, end: int) -> bool:
    position = position_from(tuple(record.headers))
    return position is not None and first <= position.offset < end


def tocsin_version() -> str:
    """The version of this Tocsin, as a recording names it."""
    try:
        return version("tocsin")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"
