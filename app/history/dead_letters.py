"""Dead letters: what was refused, bounded, with what became of it.

The topic has letters, and notes that a letter was sent again and taken. A letter that is longer
than a dead letter may be has its beginning only; the whole is read from where it came from, while
it is still there.
"""

import base64
from dataclasses import dataclass, replace
from typing import Any

from app.history.topic_reader import TopicReader, Turnstile
from app.intake.normalise import alerts_from
from app.settings import Settings
from app.transport.log import Readable
from models.document import document_in
from models.effect import Position
from models.reason import BadInput
from models.topics import Topics

LETTERS_MAX = 10_000  # that are known, the newest
FIRST_CHARACTERS = 160  # of a letter's value in a list


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter without its value, of which there may be many and large ones.

    `Bodies` reads all of it again.
    """

    id: str  # partition-offset-number, of its cause in the journal
    partition: int
    place: int  # its offset in the dead-letter topic
    at: str
    reason: str
    message: str
    source: tuple[str, int, int]  # where what was refused stands: role, partition, offset
    first: str  # words of its value
    resubmitted: str  # when, and by whom; empty when it was not


class LettersView:
    """The newest dead letters. What is new is read when somebody asks."""

    def __init__(self, log: Readable, topic: str, partitions: int) -> None:
        self._reader, self._turnstile = TopicReader(log, topic, partitions), Turnstile()
        self._partitions = partitions
        self._letters: dict[str, Letter] = {}  # in the order in which they were read
        self._notes: dict[str, str] = {}  # letter -> when and by whom it was resubmitted
        self.dropped = 0  # older letters that are not known any more

    async def letters(self) -> list[Letter]:
        """The letters, oldest first."""
        async with self._turnstile as needed:
            for partition in range(self._partitions) if needed else ():
                while (news := await self._reader.next_chunk(partition)) is not None:
                    for item in news:
                        self._keep(partition, item.position, item.offset, document_in(item.value))
        known = [
            replace(letter, resubmitted=self._notes.get(letter.id, ""))
            for letter in self._letters.values()
        ]
        return sorted(known, key=lambda letter: (letter.at, letter.partition, letter.place))

    def _keep(self, partition: int, position: Position, offset: int, body: dict[str, Any]) -> None:
        if body.get("kind") == "Resubmitted":
            self._notes[_text(body, "letter")] = f"{_text(body, 'at')} by {_text(body, 'by')}"
            if len(self._notes) > LETTERS_MAX:
                del self._notes[next(iter(self._notes))]
            return
        letter = _letter(partition, position, offset, body)
        self._letters[letter.id] = letter
        if len(self._letters) > LETTERS_MAX:
            del self._letters[next(iter(self._letters))]
            self.dropped += 1


def _letter(partition: int, position: Position, place: int, body: dict[str, Any]) -> Letter:
    source = (_text(body, "topic"), _number(body, "partition"), _number(body, "offset"))
    name = f"{partition}-{position.offset}-{position.number}"
    texts = (_text(body, "at"), _text(body, "reason"), _text(body, "message"))
    return Letter(name, partition, place, *texts, source, _first(body), "")


class Bodies:
    """Reads letters again, many at a time: they are mostly asked for in their order."""

    def __init__(self, log: Readable, config: Settings) -> None:
        self._log, self._topic = log, Topics(config.prefix).deadletter
        self._read: dict[
            int, dict[int, bytes | None]
        ] = {}  # by partition, what the last read gave by offset

    async def of(self, letter: Letter) -> dict[str, Any]:
        """All of a letter; an empty one when its time was over meanwhile."""
        known = self._read.get(letter.partition, {})
        if letter.place not in known:
            records = await self._log.read(self._topic, letter.partition, letter.place)
            known = self._read[letter.partition] = {
                record.offset: record.value for record in records
            }
        return document_in(known.get(letter.place))


def value_in(body: dict[str, Any]) -> bytes:
    """The bytes that were refused, or as many as the letter has."""
    text = _text(body, "value")
    try:
        return base64.b64decode(text) if body.get("encoding") == "base64" else text.encode()
    except ValueError:
        return b""


async def whole_value(
    log: Readable, config: Settings, letter: Letter, body: dict[str, Any]
) -> bytes | None:
    """All the bytes that were refused.

    None when the letter has only a part of them, and their record is gone.
    """
    known, size = value_in(body), body.get("bytes")
    if not isinstance(size, int):
        return known
    record = await record_of(log, config, letter)
    if record is None or (len(record) == size and record.startswith(known)):
        return record
    try:  # it was one alert of several
        _, refused = alerts_from(record, 0)
    except BadInput:
        refused = []
    parts = [refusal.part for refusal in refused if refusal.part is not None]
    return next((part for part in parts if len(part) == size and part.startswith(known)), None)


async def record_of(log: Readable, config: Settings, letter: Letter) -> bytes | None:
    """The record that was refused, or of which a part was, if it is still there."""
    role, partition, offset = letter.source
    topics = Topics(config.prefix)
    if role not in ("raw", "journal") or not 0 <= partition < config.partitions or offset < 0:
        return None
    topic = topics.raw if role == "raw" else topics.journal
    if (
        not await log.start_offset(topic, partition)
        <= offset
        < await log.end_offset(topic, partition)
    ):
        return None
    records = await log.read(topic, partition, offset, 1)
    return (records[0].value or b"") if records and records[0].offset == offset else None


def _first(body: dict[str, Any]) -> str:
    """What was refused, in a few words.

    Of our own records what they are about, of others how they begin.
    """
    value = value_in(body)
    document = document_in(value) if body.get("topic") == "journal" else {}
    alerts = document.get("alerts")
    if isinstance(alerts, list):
        return f"{len(alerts)} alerts of one request"
    labels = document.get("labels")
    if "alert" in document and isinstance(labels, dict):
        words = [
            f"{name}={labels[name]}"
            for name in sorted(labels, key=lambda name: (name != "alertname", name))
        ]
        return " ".join(["alert", *words])[:FIRST_CHARACTERS]
    if "command" in document:
        return f"command {document['command']} {document.get('incident')} by {document.get('by')}"[
            :FIRST_CHARACTERS
        ]
    return " ".join(value[: 4 * FIRST_CHARACTERS].decode(errors="backslashreplace").split())[
        :FIRST_CHARACTERS
    ]


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _number(body: dict[str, Any], name: str) -> int:
    value = body.get(name)
    return value if isinstance(value, int) else -1
