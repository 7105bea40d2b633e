"""What Kafka's cleaner makes of a compacted partition."""

from collections.abc import Sequence

from app.transport.log import StoredRecord


def cleaned(kept: Sequence[StoredRecord], known: int, done: int) -> list[StoredRecord]:
    """A compacted partition in the midst of a pass of Kafka's cleaner.

    It has noted the newest offset of each key of the first `known` records, and has dropped what is
    older of the first `done`.
    """
    newest = {record.key: record.offset for record in kept[:known]}
    return [record for record in kept[:done] if newest[record.key] == record.offset] + list(
        kept[done:]
    )
