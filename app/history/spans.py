"""Which records.

Partitions, and of each the offsets from one up to another, by offset, time or incident.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from app.history.not_retained import NotRetained
from app.history.source import Source
from models.text.instant import format_instant

PARTITIONS_SHOWN = 3  # of which it is said what there is, each by itself


@dataclass(frozen=True, slots=True)
class Bound:
    """Where a range begins or ends.

    At an offset, or at the first record that is not older than a time.
    """

    offset: int = -1
    at_ms: int = -1

    def __str__(self) -> str:
        return str(self.offset) if self.at_ms < 0 else format_instant(self.at_ms)


@dataclass(frozen=True, slots=True)
class OffsetSpan:
    """Of one partition's journal the records from `first` up to `end`, which is left out.

    `first` is None for as early as possible; `to_end` says that the journal ends there.
    """

    partition: int
    first: int | None
    end: int
    to_end: bool


async def choose_spans(
    source: Source, partitions: Sequence[int] | None, first: Bound | None, end: Bound | None
) -> list[OffsetSpan]:
    """The spans, by partition; those in which there is nothing are left out. Raises NotRetained."""
    chosen = sorted(set(partitions or source.partitions))
    unknown = [item for item in chosen if item not in source.partitions]
    if unknown:
        known = ", ".join(map(str, source.partitions))
        raise NotRetained(f"{source.description} has no partition {unknown[0]}; it has {known}")
    by_offset = next(
        (bound for bound in (first, end) if bound is not None and bound.at_ms < 0), None
    )
    if by_offset is not None and len(chosen) != 1:
        raise NotRetained(
            f"{by_offset} is an offset, which is of one partition: name it with --partition, or give a time instead"
        )
    spans = [await _partition_span(source, partition, first, end) for partition in chosen]
    within = [span for span in spans if span is not None]
    if not within:
        raise NotRetained(
            f"there is no record in that range; {source.description} has {await _retained_text(source, chosen)}"
        )
    return within


async def _partition_span(
    source: Source, partition: int, first: Bound | None, end: Bound | None
) -> OffsetSpan | None:
    journal = source.topics.journal
    start, stop = (
        await source.log.start_offset(journal, partition),
        await source.log.end_offset(journal, partition),
    )
    for bound in (first, end):
        if bound is not None and bound.at_ms < 0 and not start <= bound.offset <= stop:
            raise NotRetained(
                f"offset {bound} is not there; {source.description} has {await _retained_text(source, [partition])}"
            )
    if start == stop:
        return None
    from_offset = await _bound_offset(source, partition, first, start, stop) if first else None
    to_offset = await _bound_offset(source, partition, end, start, stop) if end else stop
    return (
        None
        if (start if from_offset is None else from_offset) >= to_offset
        else OffsetSpan(partition, from_offset, to_offset, end is None)
    )


async def _bound_offset(source: Source, partition: int, bound: Bound, start: int, stop: int) -> int:
    return (
        bound.offset
        if bound.at_ms < 0
        else await offset_at(source, partition, bound.at_ms, start, stop)
    )


async def offset_at(source: Source, partition: int, at_ms: int, start: int, stop: int) -> int:
    """The offset between two of the first record that is not older than a time.

    Append times do not go back.
    """
    while start < stop:
        middle = (start + stop) // 2
        records = await source.log.read(source.topics.journal, partition, middle, 1)
        if records and records[0].timestamp < at_ms:
            start = records[0].offset + 1
        else:
            stop = middle
        await asyncio.sleep(0)
    return start


async def _retained_text(source: Source, partitions: Sequence[int]) -> str:
    """What there is of partitions, in words: of a few each, of more the times of all."""
    journal = source.topics.journal
    told, times = [], list[int]()
    for partition in partitions:
        start, stop = (
            await source.log.start_offset(journal, partition),
            await source.log.end_offset(journal, partition),
        )
        if start == stop:
            told.append(f"partition {partition}: nothing")
            continue
        ends = [
            record
            for item in (start, stop - 1)
            for record in await source.log.read(journal, partition, item, 1)
        ]
        times += [record.timestamp for record in ends]
        between = _time_range_text(ends[0].timestamp, ends[-1].timestamp)
        told.append(f"partition {partition}: offsets {start} to {stop - 1}, {between}")
    if len(told) <= PARTITIONS_SHOWN or not times:
        return "; ".join(told)
    return f"{len(told)} partitions, {_time_range_text(min(times), max(times))}"


def _time_range_text(oldest_ms: int, newest_ms: int) -> str:
    return f"{format_instant(oldest_ms)} to {format_instant(newest_ms)}"
