"""Receipts on their way into the journal, directly through the log."""

from collections.abc import Iterable

from app.transport.log import Log, NewRecord, append_all
from models.events import Receipt
from models.incident import partition_from_id
from models.journal import encode_receipt


async def append_receipts(
    log: Log, journal: str, partitions: int, receipts: Iterable[Receipt]
) -> None:
    """Append receipts, each to its incident's partition. Raises LogUnavailable; some may be there then."""
    by_partition: dict[int, list[NewRecord]] = {}
    for receipt in receipts:
        value = encode_receipt(
            receipt.notification, receipt.incident, receipt.state, receipt.detail
        )
        record = NewRecord(receipt.incident.encode(), value)
        by_partition.setdefault(_partition(receipt, partitions), []).append(record)
    for partition, records in by_partition.items():
        await append_all(log, journal, partition, records)


def _partition(receipt: Receipt, partitions: int) -> int:
    """The incident's; that of a message about several incidents is in its id."""
    try:
        partition = partition_from_id(receipt.incident)
    except ValueError:
        partition = int(receipt.notification.partition("-")[0])
    return min(partition, partitions - 1)
