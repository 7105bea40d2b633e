"""What an effects topic says of each incident, in order: its timeline, its escalations, its notifications.

What is new is read when somebody asks. Of the incidents whose last entry is longest ago nothing is
kept where the bound is reached: theirs are read from the topic again when they are asked for.
"""

from collections import deque
from dataclasses import dataclass, field

from app.history.topic_reader import TopicReader, Turnstile
from app.transport.log import Readable

BYTES_MAX = 16 * 1024 * 1024  # of a topic's entries that are kept
ENTRIES_MAX = 10_000  # of one incident, the newest
ENTRIES_BYTES_MAX = 8 * 1024 * 1024


@dataclass(slots=True)
class Entries:
    """Of one incident: the values, oldest first, and how many older ones were left out."""

    whole: bool  # whether they were read from the beginning on
    values: deque[bytes] = field(default_factory=deque)
    size: int = 0
    dropped: int = 0

    def add(self, value: bytes) -> int:
        """Add an entry, and drop the oldest where there are too many; by how much the size grew."""
        before = self.size
        self.values.append(value)
        self.size += len(value)
        while len(self.values) > ENTRIES_MAX or self.size > ENTRIES_BYTES_MAX:
            self.size -= len(self.values.popleft())
            self.dropped += 1
        return self.size - before


class EntriesView:
    """The entries of a topic, by incident."""

    def __init__(
        self, log: Readable, topic: str, partitions: int, bytes_max: int = BYTES_MAX
    ) -> None:
        self._log, self._topic, self._partitions = log, topic, partitions
        self._bytes_max = bytes_max
        self._reader = TopicReader(log, topic, partitions)
        self._turnstiles = [Turnstile() for _ in range(partitions)]
        self._known: dict[str, Entries] = {}  # in the order of their last entries
        self._bytes = 0
        self._all_known = True  # nothing was dropped so far

    async def of(self, incident: str, partition: int | None = None) -> Entries:
        """The entries of an incident, in one partition or in all of them."""
        chosen = range(self._partitions) if partition is None else (partition,)
        for number in chosen:
            async with self._turnstiles[number] as needed:
                while needed and (news := await self._reader.next_chunk(number)) is not None:
                    for item in news:
                        self._extend_timeline((item.key or b"").decode(), item.value)
        known = self._known.get(incident)
        if known is not None and known.whole:
            return known
        entries = Entries(whole=True)
        if known is None and self._all_known:
            return entries
        reader = TopicReader(self._log, self._topic, self._partitions)
        for number in chosen:
            while (news := await reader.next_chunk(number)) is not None:
                for item in news:
                    if item.key == incident.encode():
                        entries.add(item.value)
        return entries

    def _extend_timeline(self, incident: str, value: bytes) -> None:
        entries = self._known.pop(incident, None)
        if entries is None:
            entries = Entries(whole=self._all_known)
        self._bytes += entries.add(value)
        self._known[incident] = entries
        while self._bytes > self._bytes_max:
            self._all_known = False
            oldest = next(iter(self._known))
            self._bytes -= self._known.pop(oldest).size
