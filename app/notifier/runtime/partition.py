"""One partition of `tocsin.deliveries` that this process owns: what of it is kept, and what is to be written next."""

from dataclasses import dataclass, field

from app.notifier.ledger.delivery import Changes
from app.notifier.ledger.ledger import Ledger
from app.notifier.runtime.records import (
    Meta,
    meta_record,
    receipt_record,
    request_key,
    sends_record,
    story_record,
)
from app.transport.log import NewRecord
from models.events import Receipt


@dataclass(slots=True)
class OwnedPartition:
    """A partition, and its changes that are not written yet."""

    number: int
    meta: Meta
    changes: Changes = field(default_factory=Changes)
    tombstones: list[bytes] = field(
        default_factory=list
    )  # of requests that came twice, and receipts that are said
    receipts: list[tuple[bytes, Receipt]] = field(
        default_factory=list
    )  # written, and not in the journal yet
    moved: bool = False  # the meta record is not written as it is
    written_ms: int = 0  # when something was written last
    lost: bool = False  # somebody else has claimed it

    @property
    def dirty(self) -> bool:
        """Whether something has to be written soon."""
        return self.changes.any or bool(self.tombstones)

    def add(self, changes: Changes) -> None:
        """Take what has changed."""
        self.changes.settled += changes.settled
        self.changes.stories |= changes.stories
        self.changes.sends |= changes.sends
        self.changes.receipts += changes.receipts

    def take_batch(self, ledger: Ledger) -> tuple[list[NewRecord], list[tuple[bytes, Receipt]]]:
        """The records to be written as one batch, and the receipts that are among them."""
        changes, self.changes = self.changes, Changes()
        tombstones, self.tombstones = self.tombstones, []
        self.moved = False
        receipts = [(receipt_record(receipt), receipt) for receipt in changes.receipts]
        records = [NewRecord(key, None) for key in tombstones]
        records += [NewRecord(request_key(request), None) for request in changes.settled]
        for key in sorted(changes.stories):
            story = ledger.stories.get(key)
            records.append(story_record(key, story, story.pending if story is not None else ()))
        records += [
            sends_record(contact, ledger.sends(contact))
            for contact in sorted({item for item, _ in changes.sends})
        ]
        records += [record for record, _ in receipts]
        records.append(meta_record(self.meta))
        return records, [(record.key or b"", receipt) for record, receipt in receipts]
