"""The alerts that fire, as `tocsin.alerts` has them, bounded: what is new is read when somebody asks."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from app.history.alert_keys import AlertKeys
from app.history.topic_reader import TopicReader, Turnstile
from app.transport.log import Readable
from models.events_alert import AlertState

ALERTS_MAX = 100_000  # that fire and are known
ROOM = 0.9  # when the view is so full again, what was left out is read
_FIRING = tuple(f'"state":"{state}"'.encode() for state in AlertState if state.fires)

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FiringAlerts:
    """The newest records of alerts that fire, by fingerprint, as they stand in their topic.

    `left_out` says how many more there were when the view was full.
    """

    values: dict[str, bytes]
    left_out: int

    def documents(self) -> Iterator[Document]:
        """The records, in the order of their fingerprints.

        What another sender sent of an alert has the incident and the suppression of that alert.
        """
        for fingerprint in sorted(self.values):
            document: Document = orjson.loads(self.values[fingerprint])
            leader = self.values.get(document["follows"])
            if leader is not None:
                known = orjson.loads(leader)
                names = ("state", "reason", "suppressed_by", "incident")
                document |= {name: known[name] for name in names}
            yield document


class AlertView:
    """What fires. Where there is no room for all, what began last is left out.

    Once others have ended, it is read from the topic again.
    """

    def __init__(
        self, log: Readable, topic: str, partitions: int, alerts_max: int = ALERTS_MAX
    ) -> None:
        self._log, self._topic, self._partitions = log, topic, partitions
        self._alerts_max = alerts_max
        self._turnstile = Turnstile()
        self._reader = TopicReader(log, topic, partitions, tombstones=True)
        self._firing: dict[str, bytes] = {}
        self._keys = AlertKeys()
        self._left_out: dict[str, None] = {}

    async def firing(self) -> FiringAlerts:
        """The alerts that fire."""
        async with self._turnstile as needed:
            if needed:
                await self._catch_up()
            return FiringAlerts(dict(self._firing), len(self._left_out))

    async def with_key(self, sender: str, key: str) -> Document | None:
        """The newest record of the alert that fires with a sender's key; None if none is known."""
        async with self._turnstile as needed:
            if needed:
                await self._catch_up()
            fingerprint = self._keys.find(sender, key)
            if fingerprint is None:
                return None
            document: Document = orjson.loads(self._firing[fingerprint])
            return document

    async def _catch_up(self) -> None:
        await self._read()
        if self._left_out and len(self._firing) < self._alerts_max * ROOM:
            await self._fill()

    async def _read(self) -> None:
        for partition in range(self._partitions):
            while (news := await self._reader.next_chunk(partition)) is not None:
                for item in news:
                    self._keep((item.key or b"").decode(), item.value)

    async def _fill(self) -> None:
        """Read the topic from its beginning for as many of those left out as there is room for."""
        wanted = set(islice(self._left_out, self._alerts_max - len(self._firing)))
        newest: dict[str, bytes] = {}
        reader = TopicReader(self._log, self._topic, self._partitions, tombstones=True)
        for partition in range(self._partitions):
            while (news := await reader.next_chunk(partition)) is not None:
                for item in news:
                    if (name := (item.key or b"").decode()) in wanted:
                        newest[name] = item.value
        for name, value in newest.items():
            self._left_out.pop(name)
            self._keep(name, value)

    def _keep(self, fingerprint: str, value: bytes) -> None:
        if not _fires(value):
            self._firing.pop(fingerprint, None)
            self._keys.drop(fingerprint)
            self._left_out.pop(fingerprint, None)
        elif fingerprint in self._firing or len(self._firing) < self._alerts_max:
            self._firing[fingerprint] = value
            self._keys.put(fingerprint, value)
        else:
            self._left_out[fingerprint] = None


def _fires(value: bytes) -> bool:
    """Whether a record is of an alert that fires.

    The first `"state":` of a record is its own: before it there are ids and times only.
    """
    start = value.find(b'"state":')
    return start >= 0 and value.startswith(_FIRING, start)
