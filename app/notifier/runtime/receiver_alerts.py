"""Alerts of the notifier's own: a receiver that stays down is an incident, told through other receivers.

They are written to `tocsin.alerts.raw`, as any producer would. An alert is said again while its
receiver is down, and ends by itself when the notifier ends.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from app.history.receivers_down import ALERTNAME
from app.notifier.channel import ChannelKind
from app.notifier.ledger.circuit import Circuit
from app.transport.log import Log, LogUnavailable, NewRecord, append_all
from models.text.instant import format_instant
from models.topics import partition_of

DOWN_AFTER_MS = 2 * 60_000  # a circuit is open for so long before anybody is told
REPEAT_MS = 60_000
LIVES_MS = 5 * 60_000  # after it was said last

logger = logging.getLogger("tocsin.notifier")


class ReceiverAlerts:
    """What is said of receivers. Pure: time is an argument in milliseconds since 1970."""

    def __init__(
        self, kinds: Mapping[str, ChannelKind], notifier: str, down_after_ms: int = DOWN_AFTER_MS
    ) -> None:
        """`notifier` tells this process from others that may reach a receiver still."""
        self._kinds = kinds
        self._notifier = notifier
        self._down_after_ms = down_after_ms
        self._said_ms: dict[str, int] = {}  # receivers that are down -> when that was said last
        self._since_ms: dict[str, int] = {}

    def due(self, circuits: Mapping[str, Circuit], now_ms: int) -> list[NewRecord]:
        """The records to be written now."""
        records = []
        for receiver, circuit in circuits.items():
            said_ms = self._said_ms.get(receiver)
            if not circuit.open:
                if self._said_ms.pop(receiver, None) is not None:
                    records.append(self._record(receiver, now_ms))
                continue
            if now_ms < circuit.down_since_ms + self._down_after_ms:
                continue
            if said_ms is None or now_ms >= said_ms + REPEAT_MS:
                self._said_ms[receiver] = now_ms
                self._since_ms[receiver] = circuit.down_since_ms
                records.append(self._record(receiver, now_ms + LIVES_MS))
        return records

    def _record(self, receiver: str, ends_ms: int) -> NewRecord:
        kind, since = self._kinds[receiver], format_instant(self._since_ms[receiver])
        alert: dict[str, Any] = {
            "labels": {
                "alertname": ALERTNAME,
                "component": "tocsin",
                "severity": "P1",
                "instance": receiver,  # a title names it
                "receiver": receiver,
                "notifier": self._notifier,
            },
            "annotations": {
                "summary": f"The receiver {receiver} ({kind}) does not answer since {since}",
                "description": "Messages for it wait, or go through the next receiver of their contact.",
            },
            "startsAt": since,
            "endsAt": format_instant(ends_ms),
        }
        return NewRecord(receiver.encode(), orjson.dumps([alert]))


class RawAlerts:
    """Appends to the topic of raw alerts, beside everything else; what is lost is said again."""

    def __init__(self, log: Log, topic: str, partitions: int) -> None:
        self._log, self._topic, self._partitions = log, topic, partitions
        self._tasks: set[asyncio.Task[None]] = set()

    def append(self, records: Sequence[NewRecord]) -> None:
        """Append records, whenever the log takes them."""
        for record in records:
            task = asyncio.create_task(self._append(record))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Give up what the log has not taken."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _append(self, record: NewRecord) -> None:
        partition = partition_of(record.key or b"", self._partitions)
        try:
            await append_all(self._log, self._topic, partition, [record])
        except LogUnavailable as error:
            logger.warning("an alert about a receiver is not written: %s", error)
