"""How a consumer reads an effects topic: whatever happened to the worker, each effect once."""

from collections.abc import Iterable, Iterator

from app.transport.log import StoredRecord
from models.effect import Position, position_from


def once(
    records: Iterable[StoredRecord], seen: Position
) -> Iterator[tuple[Position, bytes, StoredRecord]]:
    """Those of a partition's records that are past the last position `seen`, each with its position and its value."""
    for record in records:
        position = position_from(tuple(record.headers))
        if position is not None and position > seen and record.value:
            seen = position
            yield position, record.value, record
