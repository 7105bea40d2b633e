"""Everything that belongs to an incident.

Its partition, and those of its members, of its rules and of who was told.
"""

from typing import Any

import orjson

from app.history.not_retained import NotRetained
from app.history.source import Source
from app.history.spans import OffsetSpan, offset_at
from models.effect import EFFECTS, Stream, position_from
from models.incident import partition_from_id

KNOWN_SHOWN = 3  # incidents that are named when there is none of an id


async def spans_of(source: Source, incident: str) -> list[OffsetSpan]:
    """The journal from as early as possible up to the last word on an incident; to the end while it is not closed.

    Raises NotRetained when there is no incident of that id, or no journal of it any more.
    """
    snapshot = await _newest_snapshot(source, incident)
    ends = await _mentioning_partitions(source, incident)
    for other in [*snapshot["parents"], *(member["incident"] for member in snapshot["members"])]:
        ends.setdefault(_home_partition(other), 0)
    own = _home_partition(incident)
    until_ms = None
    if snapshot["state"] == "closed":
        records = await source.log.read(source.topics.journal, own, ends[own] - 1, 1)
        until_ms = records[0].timestamp if records else None
    spans = [
        await _partition_span(source, partition, end, until_ms)
        for partition, end in sorted(ends.items())
    ]
    known = [span for span in spans if span is not None]
    if not known:
        raise NotRetained(
            f"{source.description} has effects that name {incident}, and no record of the journal that led to them"
        )
    return known


async def _partition_span(
    source: Source, partition: int, end: int, until_ms: int | None
) -> OffsetSpan | None:
    """The journal of a partition up to a time, and at least up to an offset."""
    if partition not in source.partitions:
        return None  # a recording of other partitions: what it has can be replayed
    journal = source.topics.journal
    start, stop = (
        await source.log.start_offset(journal, partition),
        await source.log.end_offset(journal, partition),
    )
    if until_ms is not None:
        stop = min(max(end, await offset_at(source, partition, until_ms + 1, start, stop)), stop)
    return OffsetSpan(partition, None, stop, until_ms is None) if start < stop else None


async def _newest_snapshot(source: Source, incident: str) -> dict[str, Any]:
    """The newest snapshot of an incident. Raises NotRetained."""
    snapshot, known = None, dict[str, int]()
    for partition in source.partitions:
        topic = source.topics.incidents
        offset = await source.log.start_offset(topic, partition)
        while records := await source.log.read(topic, partition, offset):
            offset = records[-1].offset + 1
            for record in records:
                known[(record.key or b"").decode(errors="replace")] = record.timestamp
                if record.key == incident.encode():
                    snapshot = record.value
    if snapshot is None:
        newest = (
            ", ".join(sorted(known, key=lambda name: (known[name], name))[-KNOWN_SHOWN:])
            or "none yet"
        )
        raise NotRetained(
            f"no incident {incident!r} in {source.description}; the newest are: {newest}"
        )
    document: dict[str, Any] = {"parents": [], "members": [], **orjson.loads(snapshot)}
    return document


async def _mentioning_partitions(source: Source, incident: str) -> dict[int, int]:
    """The partitions in which effects name the incident, and of each the offset behind the last one's cause."""
    ends: dict[int, int] = {}
    for partition in source.partitions:
        for stream in EFFECTS:
            if stream is Stream.DEADLETTER:
                continue  # what was refused caused nothing
            offset = await source.log.start_offset(source.topic(stream), partition)
            while records := await source.log.read(source.topic(stream), partition, offset):
                offset = records[-1].offset + 1
                for record in records:
                    position = position_from(tuple(record.headers))
                    if position is not None and incident.encode() in (record.value or b""):
                        ends[partition] = max(ends.get(partition, 0), position.offset + 1)
    return ends


def _home_partition(incident: str) -> int:
    try:
        return partition_from_id(incident)
    except ValueError as error:
        raise NotRetained(str(error)) from None
