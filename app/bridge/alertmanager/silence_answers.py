"""What came of a silence: what it acknowledges and mutes, as the engines of all partitions say it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.bridge.writer import JournalWriter
from app.transport.log import FollowedLog, NewRecord
from models.topics import Topics

APPLIED = "SilenceApplied"
_LISTS = ("acknowledged", "not_acknowledged", "mutes", "covers")
_TOTALS = ("mutes_total", "covers_total")


@dataclass(slots=True)
class SilenceOutcome:
    """What the partitions said that have answered. `complete` if all have."""

    partitions: int
    answers: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every partition has answered."""
        return len(self.answers) == self.partitions

    def document(self) -> dict[str, Any]:
        """The lists of all partitions, one after the other."""
        answers = [self.answers[partition] for partition in sorted(self.answers)]
        lists = {name: [item for answer in answers for item in answer[name]] for name in _LISTS}
        totals = {name: sum(answer[name] for answer in answers) for name in _TOTALS}
        return {**lists, **totals, "complete": self.complete}


class SilenceAnswers:
    """Appends silences to every partition, and waits for what the engines say of the first."""

    def __init__(
        self,
        log: FollowedLog,
        topics: Topics,
        partitions: int,
        writer: JournalWriter,
        seconds: float,
    ) -> None:
        self._log, self._writer, self._seconds = log, writer, seconds
        self._places = [(topics.timeline, partition) for partition in range(partitions)]

    async def send(self, silence: str, values: list[bytes]) -> tuple[int, SilenceOutcome]:
        """The offset in partition 0, and what the partitions say that answer in time.

        Raises LogUnavailable; some partitions may have the silences then.
        """
        outcome = SilenceOutcome(len(self._places))
        async with self._log.following(self._places) as follower:
            offset = await self._writer.broadcast([NewRecord(None, value) for value in values])
            try:
                async with asyncio.timeout(self._seconds):
                    while not outcome.complete:
                        for appended in await follower.next():
                            record = appended.record
                            if record.key != silence.encode() or not record.value:
                                continue
                            document = orjson.loads(record.value)
                            if document["kind"] == APPLIED:
                                outcome.answers[appended.partition] = document
            except TimeoutError:
                pass
        return offset, outcome
