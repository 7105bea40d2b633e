"""Ids and positions in a run, and as the record has them.

A record's offset in a run is larger (ROOM), and an incident's id is made of it. What is shown has
the record's own offset: an incident of a run that the same record opened has the same id then. What
a record is about that only the run has, stands behind the record before it: `3-1204~2`,
`INC-20260412T031502Z-00K3F~2`.
"""

import re
from typing import Any

import orjson

from models.incident import incident_suffix

# Between two records of a partition there is room for so many that the record has not: a record's
# offset in a run is offset * ROOM. Ids of incidents, which have the offset in base 36, get four
# digits more so, and sort as those of the record.
ROOM = 36**4

_ID = re.compile(r"\b([A-Z]{2,8}-\d{8}T\d{6}Z)-([0-9A-Z]{2})([0-9A-Z]{1,20})((?:-\d+)?)\b")
_POSITION = re.compile(r"(\d+)-(\d+)((?:-\d+)?)")


def to_run(incident: str) -> str:
    """The id in a run of an incident that has this id in the record.

    What is no such id stays as it is.
    """
    match = _ID.fullmatch(incident)
    return _run_id(match) if match else incident


def _run_id(match: re.Match[str]) -> str:
    opened, partition, offset, number = match.groups()
    return f"{opened}-{incident_suffix(int(partition, 36), int(offset, 36) * ROOM)}{number}"


def message_to_run(value: bytes) -> bytes:
    """A recorded message between actors with its ids and positions as a run has them."""
    return orjson.dumps(_to_run(orjson.loads(value), ""))


def _to_run(value: Any, name: str) -> Any:
    match value:
        case dict():
            return {key: _to_run(item, key) for key, item in value.items()}
        case str() if name == "record":
            position = _POSITION.fullmatch(value)
            return (
                f"{position[1]}-{int(position[2]) * ROOM}" if position else _ID.sub(_run_id, value)
            )
        case str():
            return _ID.sub(_run_id, value)
        case _:
            return value


def recorded_ids_in(text: str) -> str:
    """A text of a run, with the ids in it as the record has them."""
    return _ID.sub(_shown_id, text) if "-" in text else text


def _shown_id(match: re.Match[str]) -> str:
    opened, partition, offset, number = match.groups()
    place, between = divmod(int(offset, 36), ROOM)
    if not place:
        return match[
            0
        ]  # somebody else's: but for the first record of all, no offset of a run is so small
    more = f"~{between}" if between else ""
    return f"{opened}-{incident_suffix(int(partition, 36), place)}{more}{number}"


def shown_position(text: str) -> str:
    """A position `partition-offset` or an effect's id as the record has it."""
    match = _POSITION.fullmatch(text)
    if match is None:
        return text
    place, between = divmod(int(match[2]), ROOM)
    more = f"~{between}" if between else ""
    return f"{match[1]}-{place}{more}{match[3]}"


def without_ids(text: str) -> str:
    """A text with nothing in it of which incident it is about, so that texts of two runs can be compared."""
    return _ID.sub("an incident", text)
