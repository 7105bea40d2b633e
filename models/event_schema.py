"""The JSON Schema of what Tocsin emits, made from the classes of the events."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from models.effect import EFFECTS, Stream
from models.events import Notification
from models.events_alert import AlertSnapshot
from models.events_incident import IncidentSnapshot
from models.events_other import (
    DeadLettered,
    Escalated,
    Resubmitted,
    SilenceSnapshot,
    TaskSnapshot,
)
from models.events_timeline import COMMON_FIELDS, DETAIL_FIELDS, TIMELINE, TimelineKind

Document = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"

CLASSES: dict[Stream, tuple[type, ...]] = {
    Stream.NOTIFICATIONS: (Notification,),
    Stream.INCIDENTS: (IncidentSnapshot,),
    Stream.ESCALATIONS: (Escalated,),
    Stream.FOLLOWUPS: (TaskSnapshot,),
    Stream.SILENCES: (SilenceSnapshot,),
    Stream.ALERTS: (AlertSnapshot,),
    Stream.DEADLETTER: (DeadLettered, Resubmitted),
}
_PLAIN = {str: "string", int: "integer", bool: "boolean", NoneType: "null"}


ALWAYS_POSSIBLE = ("late_ms?", "command?")  # in an entry of a timeline of any kind


def schema() -> Document:
    """The schema of all topics: a definition `tocsin.TOPIC` for each, and those of their parts."""
    definitions: Document = {}
    for stream in EFFECTS:
        if stream is Stream.TIMELINE:
            definitions[topic(stream)] = {"oneOf": [_entry(kind) for kind in TimelineKind]}
            continue
        references = [_reference(kind, definitions) for kind in CLASSES[stream]]
        definitions[topic(stream)] = (
            references[0] if len(references) == 1 else {"oneOf": references}
        )
    return {"$schema": DIALECT, "title": "What Tocsin emits", "$defs": definitions}


def topic(stream: Stream) -> str:
    """The topic's name, with the prefix that it has where no other is set."""
    return f"tocsin.{stream}"


def json_name(part: Any) -> str:
    """The name of a class' field in the JSON."""
    return str(part.metadata.get("name") or part.name)


def _reference(kind: type, definitions: Document) -> Document:
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}  # it may refer to itself
        definitions[kind.__name__] = _object(kind, definitions)
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _object(kind: type, definitions: Document) -> Document:
    hints, properties, required = get_type_hints(kind), {}, []
    for part in fields(kind):
        name, metadata = json_name(part), part.metadata
        properties[name] = _described(_type(hints[part.name], definitions), name, metadata)
        if not metadata.get("when"):
            required.append(name)
    summary = (kind.__doc__ or "").splitlines()[0]
    if "kind" in properties and part_of_kind(kind):
        properties["kind"] = properties["kind"] | {"const": part_of_kind(kind)}
    return {
        "description": summary,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def part_of_kind(kind: type) -> str:
    """The one `kind` that events of a class have, if they have one only."""
    part = {field.name: field for field in fields(kind)}.get("kind")
    fixed = part is not None and part.type is str
    return str(part.metadata["example"]) if part is not None and fixed else ""


def _entry(kind: TimelineKind) -> Document:
    meaning, names = TIMELINE[kind]
    details = {
        name.rstrip("?"): DETAIL_FIELDS[name.rstrip("?")] for name in (*ALWAYS_POSSIBLE, *names)
    }
    properties = {
        name: _described(_type(part.hint, {}), name, part.metadata)
        for name, part in (COMMON_FIELDS | details).items()
    }
    properties["kind"] = {"const": kind}
    return {
        "title": kind,
        "description": meaning,
        "type": "object",
        "properties": properties,
        "required": [*COMMON_FIELDS, *(name for name in names if not name.endswith("?"))],
        "additionalProperties": False,
    }


def _described(plain: Document, name: str, metadata: Mapping[str, Any]) -> Document:
    text = {"description": metadata["meaning"]} if metadata else {}
    if name == "at" or name.endswith("_at"):
        plain = plain | {"format": "date-time"}
    return plain | text


def _type(hint: Any, definitions: Document) -> Document:
    if get_origin(hint) in (Union, UnionType):
        return _either([_type(arg, definitions) for arg in get_args(hint)])
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"type": "string", "enum": [enum.value for enum in hint]}
    if is_dataclass(hint) and isinstance(hint, type):
        return _reference(hint, definitions)
    inner = [arg for arg in get_args(hint) if arg is not Ellipsis]
    if get_origin(hint) in (tuple, list):
        return {"type": "array", "items": _type(inner[0], definitions)}
    assert get_origin(hint) is dict, hint
    return {"type": "object", "additionalProperties": _type(inner[1], definitions)}


def _either(types: list[Document]) -> Document:
    if all(list(type_) == ["type"] for type_ in types):
        return {"type": [type_["type"] for type_ in types]}
    return {"oneOf": types}
