"""What came of a command: the bridge appends it to the journal, and waits for what the engine says of it.

The engine marks the timeline entries that a command leaves with its name, and refuses one with a
`CommandRefused`. Each carries the position of the command's record, so the answer is recognised
wherever the worker runs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.bridge.writer import JournalWriter
from app.transport.log import Appended, FollowedLog, NewRecord
from models.effect import position_from
from models.reason import Reason
from models.topics import Topics

NOT_ANSWERED = "no worker has answered yet; the command is in the journal, and will be carried out"
ANSWER_SECONDS = 2.0  # for the worker; then the command is accepted, and nobody knows more yet
REFUSED = "CommandRefused"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the engine made of a command. `refusal` is None where it was carried out.

    `snapshot` is the incident's new state; None for a task of an incident that is closed.
    """

    texts: Sequence[str] = ()
    snapshot: Document | None = None
    refusal: tuple[Reason, str] | None = None


@dataclass(slots=True)
class _Seen:
    """The effects of one record of the journal, as far as they were read."""

    incident: str
    entries: list[tuple[int, Document]] = field(default_factory=list)
    snapshots: list[tuple[int, Document]] = field(default_factory=list)

    def outcome(self) -> Outcome | None:
        """What came of the command; None while it is not known."""
        if not self.entries:
            return None
        number, first = self.entries[0]
        if first["kind"] == REFUSED:
            return Outcome(refusal=(Reason(first["reason"]), first["message"]))
        texts = [entry["text"] for _, entry in self.entries]
        if first["kind"] == "TaskDone":
            return Outcome(texts)
        # An earlier snapshot is of a deadline that the command's record moved the time past.
        later = [snapshot for at, snapshot in self.snapshots if at > number]
        return Outcome(texts, later[-1]) if later else None


class CommandAnswers:
    """Appends commands, and waits for their outcome."""

    def __init__(
        self,
        log: FollowedLog,
        topics: Topics,
        writer: JournalWriter,
        seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._log, self._writer, self._seconds = log, writer, seconds
        self._read_timeline, self._incidents = topics.timeline, topics.incidents
        # What else is to be done once a command was carried out, with the incident's new state.
        self.on_done: Callable[[Document], Awaitable[None]] | None = None

    async def send(self, incident: str, partition: int, value: bytes) -> Outcome | None:
        """Append a command, and return what came of it; None when no worker answered in time.

        Raises LogUnavailable when the journal did not take it.
        """
        places = [(self._read_timeline, partition), (self._incidents, partition)]
        outcome = await self._send(incident, partition, value, places)
        if self.on_done is not None and outcome is not None and outcome.snapshot is not None:
            await self.on_done(outcome.snapshot)
        return outcome

    async def _send(
        self, incident: str, partition: int, value: bytes, places: list[tuple[str, int]]
    ) -> Outcome | None:
        async with self._log.following(places) as follower:
            record = NewRecord(incident.encode(), value)
            offset = await self._writer.append_to({partition: [record]})
            seen = _Seen(incident)
            try:
                async with asyncio.timeout(self._seconds):
                    while True:
                        for appended in await follower.next():
                            self._keep(seen, offset, appended)
                        if outcome := seen.outcome():
                            return outcome
            except TimeoutError:
                return None

    def _keep(self, seen: _Seen, offset: int, appended: Appended) -> None:
        effect = appended.record
        position = position_from(tuple(effect.headers))
        if position is None or position.offset != offset or not effect.value:
            return
        document = orjson.loads(effect.value)
        if document["incident"] != seen.incident:
            return
        if appended.topic == self._incidents:
            seen.snapshots.append((position.number, document))
        elif "command" in document:
            seen.entries.append((position.number, document))


def status_of(reason: Reason) -> int:
    """The HTTP status of a refusal."""
    match reason:
        case Reason.UNKNOWN_INCIDENT | Reason.UNKNOWN_TASK:
            return 404
        case Reason.POISON:
            return 500
        case _:
            return 409
