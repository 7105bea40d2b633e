"""What the engine wants done: records for the effects topics, each with an id made of its cause.

An effect's id is `partition-offset-number`: the journal record that caused it and the effect's
number within that record. Positions only grow within a partition, so a consumer that drops what is
not past the last position it has seen of that partition sees each effect once, whatever happened to
the worker.
"""

import re
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from models.text.json_bytes import json_bytes
from models.text.truncate import truncate_all

POSITION_HEADER = "position"
EPOCH_HEADER = "epoch"  # of what was written since a backup was restored
EFFECT_ID = re.compile(r"\d{1,19}-\d{1,19}-\d{1,19}", re.ASCII)
EFFECT_BYTES_MAX = (
    512 * 1024
)  # of an effect: half of what a broker takes that was told nothing else
LETTER_BYTES_MAX = 8 * 1024 * 1024  # of a dead letter; its topic takes 16 MiB
_POSITION = re.compile(rb"(\d{1,19})-(\d{1,19})")
_EPOCH = re.compile(rb"\d{1,15}")
_CUTS = (
    16_384,
    1024,
    200,
)  # characters of each text in it; an effect's lists are bounded, so that the last is enough


class Stream(StrEnum):
    """Where an effect goes. All but JOURNAL keep the partition number of their cause."""

    INCIDENTS = "incidents"
    ESCALATIONS = "escalations"
    NOTIFICATIONS = "notifications"
    TIMELINE = "timeline"
    FOLLOWUPS = "followups"
    SILENCES = "silences"
    ALERTS = "alerts"  # behind all others of its record
    DEADLETTER = "deadletter"
    JOURNAL = "journal"  # an actor's message; its key chooses the partition


EFFECTS = tuple(
    stream for stream in Stream if stream is not Stream.JOURNAL
)  # those that have a topic of their own


class Position(NamedTuple):
    """The place of an effect in a partition's order of causes."""

    offset: int
    number: int

    def header(self) -> tuple[str, bytes]:
        """The Kafka header that carries it on every effect."""
        return (POSITION_HEADER, f"{self.offset}-{self.number}".encode())


def position_from(headers: tuple[tuple[str, bytes], ...]) -> Position | None:
    """The position in an effect record's headers, or None.

    A stranger's record has none, or something else there.
    """
    for name, value in headers:
        if name == POSITION_HEADER:
            match = _POSITION.fullmatch(value or b"")
            return None if match is None else Position(int(match[1]), int(match[2]))
    return None


def epoch_header(epoch: int) -> tuple[tuple[str, bytes], ...]:
    """The header of an effect that says in which epoch it was written; none in the first, 0."""
    return ((EPOCH_HEADER, str(epoch).encode()),) if epoch else ()


def place_from(headers: tuple[tuple[str, bytes], ...]) -> tuple[int, Position] | None:
    """Epoch and position of an effect record, or None of a stranger's.

    Within one journal positions grow by themselves. Whoever keeps the newest that they have seen
    outside of the journal compares both: a restored backup takes positions back.
    """
    position = position_from(headers)
    if position is None:
        return None
    epoch = next((value for name, value in headers if name == EPOCH_HEADER), b"0")
    return (int(epoch), position) if _EPOCH.fullmatch(epoch or b"") else None


def encode_effect(stream: Stream, document: dict[str, Any]) -> bytes:
    """The JSON of an effect.

    Long texts in one that would be too large are cut, so that any broker takes it.
    """
    bytes_max = LETTER_BYTES_MAX if stream is Stream.DEADLETTER else EFFECT_BYTES_MAX
    encoded = json_bytes(document)
    for characters in _CUTS:
        if len(encoded) <= bytes_max:
            return encoded
        encoded = json_bytes(truncate_all(orjson.loads(encoded), characters))
    assert len(encoded) <= bytes_max, f"an effect has {len(encoded)} bytes"
    return encoded


class Effect(NamedTuple):
    """One record to be sent.

    `value` is JSON and holds the id, the time and the policy's fingerprint. It is empty where a
    compacted topic has to forget the key.
    """

    stream: Stream
    key: bytes | None
    value: bytes
    position: Position

    @property
    def kept_value(self) -> bytes | None:
        """The value of the record in the topic; None is a tombstone."""
        return self.value or None
