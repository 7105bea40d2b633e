"""The alerts of each incident, by fingerprint, as `tocsin.alerts` has told of them. Bounded.

A snapshot of an incident has its worst alerts only. What is new is read when somebody asks.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping

import orjson

from app.history.topic_reader import TopicReader, Turnstile
from app.transport.log import Readable

NAMES_MAX = 300_000  # fingerprints of all incidents; the incident told of longest ago goes first


class IncidentAlerts:
    """Which alerts every incident had, the oldest first."""

    def __init__(
        self, log: Readable, topic: str, partitions: int, names_max: int = NAMES_MAX
    ) -> None:
        self._partitions, self._names_max = partitions, names_max
        self._turnstile = Turnstile()
        self._reader = TopicReader(log, topic, partitions)
        self._alerts: OrderedDict[str, dict[str, None]] = OrderedDict()
        self._number = 0

    async def of_incidents(self) -> Mapping[str, Collection[str]]:
        """The fingerprints of each incident that is known, up to the next reading."""
        async with self._turnstile as needed:
            if needed:
                await self._read()
        return self._alerts  # a copy of all would cost more than what is asked of it

    async def _read(self) -> None:
        for partition in range(self._partitions):
            while (news := await self._reader.next_chunk(partition)) is not None:
                for record in news:
                    self._note((record.key or b"").decode(), record.value)

    def _note(self, fingerprint: str, value: bytes) -> None:
        incident = orjson.loads(value)["incident"]
        if not incident:
            return
        names = self._alerts.setdefault(incident, {})
        self._alerts.move_to_end(incident)
        self._number += fingerprint not in names
        names[fingerprint] = None
        while self._number > self._names_max and len(self._alerts) > 1:
            self._number -= len(self._alerts.popitem(last=False)[1])
