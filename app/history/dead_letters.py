"""What was refused: the letters of the dead-letter topic, and the bytes that each is about.

The topic has letters, and notes that a letter was sent again and taken. A letter that is longer
than a dead letter may be has its beginning only; the whole is read from where it came from, while
it is still there.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.history.effects import effects_from
from app.intake.normalise import alerts_from
from app.settings import Settings
from app.transport.log import Readable
from models.document import document_in
from models.effect import Position
from models.reason import BadInput
from models.topics import Topics

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


async def letters_of(
    log: Readable, config: Settings, since: Sequence[int] = ()
) -> tuple[list[Letter], dict[str, str]]:
    """The dead letters, oldest first, each once, and by id, when and by whom one was resubmitted.

    `since` has an offset for each partition, before which nothing is looked at.
    """
    letters: list[Letter] = []
    notes: dict[str, str] = {}
    topic = Topics(config.prefix).deadletter
    for partition in range(config.partitions):
        first = since[partition] if since else None
        async for position, value, record in effects_from(log, topic, partition, first):
            body = document_in(value)
            if body.get("kind") == "Resubmitted":
                notes[_text(body, "letter")] = f"{_text(body, 'at')} by {_text(body, 'by')}"
            else:
                letters.append(_letter(partition, position, record.offset, body))
    letters.sort(key=lambda one: (one.at, one.partition, one.place))
    return [replace(letter, resubmitted=notes.get(letter.id, "")) for letter in letters], notes


async def ends_of(log: Readable, config: Settings) -> list[int]:
    """Where each partition of the dead letters ends."""
    topic = Topics(config.prefix).deadletter
    return [await log.end_offset(topic, partition) for partition in range(config.partitions)]


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
    parts = [one.part for one in refused if one.part is not None]
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
    found = body.get(name)
    return found if isinstance(found, str) else ""


def _number(body: dict[str, Any], name: str) -> int:
    found = body.get(name)
    return found if isinstance(found, int) else -1
