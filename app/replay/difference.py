"""A difference between what stands in a topic and what the replay has computed, and its cause in plain words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.history.source import Source
from app.transport.log import StoredRecord
from models.document import document_in
from models.effect import Effect, Position, Stream
from models.text.sanitize import inert

SHOWN = 160  # characters of a record that are shown
FIELDS_SHOWN = 4
SEVERAL = (
    "the journal was changed at or before this record, or another version of Tocsin decided it"
)


@dataclass(frozen=True, slots=True)
class Difference:
    """`offset` is the record's in its topic, -1 where there is none; `computed` is what the replay says, if anything.

    `target` is the partition to which a message was sent.
    """

    kind: str
    partition: int
    stream: Stream
    position: Position
    offset: int = -1
    computed: bytes | None = None
    key: bytes | None = None
    hint: str = ""
    target: int = -1

    @property
    def place(self) -> tuple[int, int, int]:
        """Its place in the order of partitions and of causes."""
        return (self.partition, self.position.offset, self.position.number)


def changed_effect(partition: int, effect: Effect, offset: int) -> Difference:
    """It stands in the topic with other bytes."""
    return Difference(
        "changed", partition, effect.stream, effect.position, offset, effect.value, effect.key
    )


def missing_effect(partition: int, effect: Effect, applied: int) -> Difference:
    """It was computed, and is not in the topic."""
    hint = f"the worker had worked up everything up to offset {applied}"
    return Difference(
        "missing", partition, effect.stream, effect.position, -1, effect.value, effect.key, hint
    )


def extra_effect(partition: int, stream: Stream, position: Position, offset: int) -> Difference:
    """It stands in the topic, and was not computed."""
    return Difference("extra", partition, stream, position, offset)


def repeated_position(
    partition: int, stream: Stream, position: Position, before: int, record: StoredRecord
) -> Difference:
    """Two records of one position have different bytes."""
    return Difference(
        "twice",
        partition,
        stream,
        position,
        record.offset,
        hint=f"the first one has offset {before}",
    )


def unordered_effect(
    partition: int, stream: Stream, position: Position, last: Position, record: StoredRecord
) -> Difference:
    """It stands behind a later one, so that consumers drop it."""
    hint = f"{last.offset}-{last.number} stands before it, so that consumers drop it"
    return Difference("unordered", partition, stream, position, record.offset, hint=hint)


async def describe_difference(
    source: Source, difference: Difference, more: int, policy: str
) -> str:
    """The difference in words, and its cause as far as it can be told.

    `more` is how many others there are, `policy` the fingerprint under which the partition's replay
    ended.
    """
    topic = (
        source.topics.journal
        if difference.stream is Stream.JOURNAL
        else source.topic(difference.stream)
    )
    position = f"{difference.position.offset}-{difference.position.number}"
    subject = (
        f"message to partition {difference.target}"
        if difference.stream is Stream.JOURNAL
        else difference.stream
    )
    where = f"partition {difference.partition}, {subject}, position {position}"
    at = f" (offset {difference.offset} of {topic})" if difference.offset >= 0 else ""
    stored = await _stored_value(source, difference, topic)
    text = f"there stands {_short_text(stored)}, computed was {_short_text(difference.computed)}"
    match difference.kind:
        case "changed":
            cause = _probable_cause(stored, difference, more, policy)
            return f"{where}{at}: other bytes: {_differing_fields(stored, difference) or text}: {cause}"
        case "missing":
            alone = "it was taken out of the topic, or never sent" if not more else SEVERAL
            return f"{where}: is missing; {difference.hint}, computed was {_short_text(difference.computed)}: {alone}"
        case "extra":
            alone = (
                "somebody else has put it there, or the journal lacks its cause"
                if not more
                else SEVERAL
            )
            return f"{where}{at}: is too many: there stands {_short_text(stored)}, and nothing was computed: {alone}"
        case "twice":
            return f"{where}{at}: stands twice, with different bytes: {difference.hint}, here stands {_short_text(stored)}"
        case _:
            return f"{where}{at}: is out of order: {difference.hint}"


async def _stored_value(source: Source, difference: Difference, topic: str) -> bytes | None:
    if difference.offset < 0:
        return None
    partition = difference.target if difference.stream is Stream.JOURNAL else difference.partition
    records = await source.log.read(topic, partition, difference.offset, 1)
    return records[0].value if records and records[0].offset == difference.offset else None


def _probable_cause(stored: bytes | None, difference: Difference, more: int, policy: str) -> str:
    there, here = document_in(stored), document_in(difference.computed)
    if there.get("policy") != here.get("policy"):
        return (
            f"it was decided under policy {there.get('policy')}, and the journal says {here.get('policy')} there (at the end "
            f"{policy}): a policy record was changed, or is missing"
        )
    if "poison" in (there.get("reason"), here.get("reason")):
        return "a fault of Tocsin made a dead letter of something in one of two versions"
    return (
        SEVERAL
        if more
        else "all others are identical, so this record of the topic was changed after it was sent"
    )


def _differing_fields(stored: bytes | None, difference: Difference) -> str:
    """The fields that differ, where both are JSON objects."""
    there, here = document_in(stored), document_in(difference.computed)
    names = [name for name in [*there, *here] if there.get(name) != here.get(name)]
    names = list(dict.fromkeys(names))[:FIELDS_SHOWN]
    if not (there and here):
        return ""
    told = "; ".join(
        f"{name}: {_field_value(there, name)} there, {_field_value(here, name)} computed"
        for name in names
    )
    return inert(told)


def _field_value(document: Mapping[str, Any], name: str) -> str:
    return f"{orjson.dumps(document[name]).decode():.{SHOWN}}" if name in document else "nothing"


def _short_text(value: bytes | None) -> str:
    if value is None:
        return "nothing"
    text = value.decode(errors="replace")
    return inert(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")
