"""What the topic `tocsin.deliveries` holds, and how it is written. It is compacted: the newest value of a key is in force.

Keys are JSON lists. What belongs to a contact is in the contact's partition:

    ["request", ID]               a notification on its way; a tombstone when it is settled
    ["story", CONTACT, INCIDENT]  what each receiver has of an incident, and how far the requests are
    ["sends", CONTACT]            when the contact was sent something that a limit counts
    ["receipt", ID, NUMBER]       a receipt that is not in the journal yet
    ["meta"]                      how far the partition was read, and which notifications are in it

The owner of a partition writes all that changes together as one batch, all or nothing. Requests come from every notifier, each
with the position of its notification, so that one that is written twice counts once.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.notifier.ledger.delivery import Delivery, Progress, Request, Story, Thread
from app.notifier.runtime.decoding import from_document
from app.transport.log import NewRecord, StoredRecord
from models.effect import POSITION_HEADER, Position, position_from
from models.events import DeliveryState, Receipt
from models.reason import BadInput
from models.text.json_bytes import json_bytes

META = json_bytes(["meta"])
REQUEST_START = b'["request"'


@dataclass(slots=True)
class Meta:
    """How far a partition is."""

    read_to: int = 0  # the offset in the deliveries topic up to which requests are taken
    seen: dict[int, Position] = field(
        default_factory=dict
    )  # by notifications partition: the newest request taken
    notifications_offset: int | None = (
        None  # where to read the notifications of the same partition number from
    )
    notifications_seen: Position | None = None  # the newest of them that is in the deliveries topic


@dataclass(slots=True)
class Kept:
    """What is in force in a partition."""

    meta: Meta = field(default_factory=Meta)
    requests: list[tuple[int, Request]] = field(default_factory=list)  # with offsets, in order
    stories: dict[tuple[str, str], Story] = field(default_factory=dict)
    progress: dict[str, Progress] = field(default_factory=dict)  # by request
    sends: dict[str, dict[str, list[int]]] = field(default_factory=dict)  # by contact and kind
    receipts: list[tuple[bytes, Receipt]] = field(default_factory=list)  # with keys
    end: int = 0  # the offset to read on from


def request_record(contact: str, source: int, position: Position, value: bytes) -> NewRecord:
    """The record of a request; `value` is the notification as its topic has it."""
    notification = orjson.loads(value)
    document = {
        "contact": contact,
        "source": source,
        "position": _text(position),
        "notification": notification,
    }
    return NewRecord(json_bytes(["request", notification["id"]]), json_bytes(document))


def request_from(value: bytes) -> Request:
    """The request in a record. Raises BadInput."""
    document = orjson.loads(value)
    notification = from_document(document["notification"])
    return Request(
        document["contact"], document["source"], _position(document["position"]), notification
    )


def request_key(request: str) -> bytes:
    """The key of a request."""
    return json_bytes(["request", request])


def story_record(
    key: tuple[str, str], story: Story | None, partition_pending: Iterable[Delivery]
) -> NewRecord:
    """The record of a story; a tombstone when there is nothing to remember."""
    encoded = json_bytes(["story", *key])
    pending = {delivery.request.id: _progress(delivery) for delivery in partition_pending}
    if story is None or not (story.threads or pending):
        return NewRecord(encoded, None)
    threads = {
        name: {"memory": thread.memory, "open": thread.open, "maybe": thread.maybe}
        for name, thread in story.threads.items()
    }
    return NewRecord(
        encoded,
        json_bytes({"threads": threads, "pending": pending, "updated_ms": story.updated_ms}),
    )


def sends_record(contact: str, sends: Mapping[str, list[int]]) -> NewRecord:
    """The record of what a contact was sent."""
    return NewRecord(json_bytes(["sends", contact]), json_bytes(sends) if sends else None)


def receipt_record(receipt: Receipt) -> NewRecord:
    """The record of a receipt on its way to the journal."""
    number = zlib.crc32(f"{receipt.state} {receipt.detail}".encode())
    document = {"incident": receipt.incident, "state": receipt.state, "detail": receipt.detail}
    return NewRecord(json_bytes(["receipt", receipt.notification, number]), json_bytes(document))


def meta_record(meta: Meta) -> NewRecord:
    """The record of how far a partition is."""
    seen = {str(source): _text(position) for source, position in meta.seen.items()}
    newest = _text(meta.notifications_seen) if meta.notifications_seen is not None else None
    notifications = {"offset": meta.notifications_offset, "seen": newest}
    return NewRecord(
        META, json_bytes({"read_to": meta.read_to, "seen": seen, "notifications": notifications})
    )


def kept_in(records: Iterable[StoredRecord], partition: int) -> Kept:
    """What is in force after all records of a partition."""
    newest: dict[bytes, StoredRecord] = {}
    kept = Kept()
    for record in records:
        kept.end = record.offset + 1
        if record.key is not None:
            newest[record.key] = record
    for key, record in sorted(newest.items(), key=lambda item: item[1].offset):
        if record.value is not None:
            _keep(kept, orjson.loads(key), key, record, partition)
    kept.requests = _in_order(kept.requests)
    return kept


def _keep(kept: Kept, name: list[Any], key: bytes, record: StoredRecord, partition: int) -> None:
    document: Any = orjson.loads(record.value or b"null")
    match name:
        case ["request", _]:
            try:
                kept.requests.append((record.offset, request_from(record.value or b"")))
            except BadInput:
                return  # whoever wrote it has read it before; a newer Tocsin perhaps, which will find it
        case ["story", contact, incident]:
            threads = {name: Thread(**thread) for name, thread in document["threads"].items()}
            kept.stories[contact, incident] = Story(
                partition, threads, updated_ms=document["updated_ms"]
            )
            kept.progress |= {
                request: _progress_from(value) for request, value in document["pending"].items()
            }
        case ["sends", contact]:
            kept.sends[contact] = document
        case ["receipt", request, _]:
            state = DeliveryState(document["state"])
            kept.receipts.append(
                (key, Receipt(request, document["incident"], state, document["detail"]))
            )
        case ["meta"]:
            kept.meta = _meta(document)


def _meta(document: Mapping[str, Any]) -> Meta:
    newest = document["notifications"]["seen"]
    return Meta(
        document["read_to"],
        {int(source): _position(text) for source, text in document["seen"].items()},
        document["notifications"]["offset"],
        _position(newest) if newest is not None else None,
    )


def _in_order(requests: list[tuple[int, Request]]) -> list[tuple[int, Request]]:
    """Those of one source in the order of their positions: one that was written twice stands where it stood first."""
    by_source: dict[int, list[tuple[int, Request]]] = {}
    for offset, request in requests:
        by_source.setdefault(request.source, []).append((offset, request))
    ordered = {
        source: iter(sorted(those, key=lambda item: item[1].position))
        for source, those in by_source.items()
    }
    return [next(ordered[request.source]) for _, request in requests]


def _progress(delivery: Delivery) -> dict[str, Any]:
    return {
        "step": delivery.step,
        "step_ms": delivery.step_ms,
        "arrived_ms": delivery.arrived_ms,
        "failure_reported": delivery.failure_reported,
        "missed": delivery.missed,
        "receivers": [leg.receiver for leg in delivery.live] if delivery.everywhere else [],
        "taken": delivery.taken,
        "absorbed": delivery.absorbed,
    }


def _progress_from(document: Mapping[str, Any]) -> Progress:
    lists = {name: tuple(document[name]) for name in ("receivers", "taken")}
    absorbed = tuple((request, incident) for request, incident in document["absorbed"])
    return Progress(**{**document, **lists, "absorbed": absorbed})


def _text(position: Position) -> str:
    return position.header()[1].decode()


def _position(text: str) -> Position:
    position = position_from(((POSITION_HEADER, text.encode()),))
    assert position is not None, text
    return position
