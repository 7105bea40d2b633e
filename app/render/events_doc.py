"""`docs/EVENTS.md` and `docs/events.schema.json`, made from the classes of the events.

`python -m app.render.events_doc` writes both into `docs/` of the working directory.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from models.effect import EFFECTS, Stream
from models.event_schema import CLASSES, json_name, schema, topic
from models.events import NOTIFICATION_MEANINGS, Action
from models.events_timeline import COMMON_FIELDS, DETAIL_FIELDS, TIMELINE

MARKDOWN, SCHEMA = Path("docs/EVENTS.md"), Path("docs/events.schema.json")
KEYS = {
    Stream.INCIDENTS: "incident",
    Stream.ESCALATIONS: "incident",
    Stream.NOTIFICATIONS: "incident; of a digest the receiver",
    Stream.TIMELINE: "incident; of `EndedUnheard` the component",
    Stream.FOLLOWUPS: "task",
    Stream.SILENCES: "silence",
    Stream.ALERTS: "alert",
    Stream.DEADLETTER: "none",
}
KEPT = {
    Stream.INCIDENTS: "the newest of each key",
    Stream.FOLLOWUPS: "the newest of each key",
    Stream.SILENCES: "the newest of each key",
    Stream.ALERTS: "the newest of each key, until the alert is forgotten",
}
ACTIONS = {
    Action.TRIGGER: "ring, or post anew",
    Action.ACKNOWLEDGE: "stop ringing, for all open episodes",
    Action.RESOLVE: "close all open episodes",
    Action.UPDATE: "change the incident's message, or add to its thread",
    Action.INFORM: "post without ringing",
}
_HEAD = """\
# Events

Made from the code by `python -m app.render.events_doc`; do not edit. The same as a JSON Schema:
[events.schema.json](events.schema.json), with a definition for each topic, such as
`#/$defs/tocsin.notifications`. A consumer of 40 lines: [consumer.py](examples/consumer.py).

## What holds for all topics

- A record's value is one JSON object in UTF-8. `TOCSIN_PREFIX` changes the `tocsin` in the topics' names.
- An event stands in the partition of the journal record that caused it.
- Its header `position` is `OFFSET-NUMBER`: the offset of that journal record, and the event's number
  within it. Positions only grow within a partition. A worker that was cut off may write an event
  twice. A consumer that drops what is not past the last position that it has seen of that partition
  sees each event once.
- Its header `epoch` says how often the journal was put back from a backup: a number that only grows,
  0 where there is no such header. A restored backup takes positions back. A consumer that keeps the
  last position somewhere else than in the journal compares the epoch first, then the position. It may
  then see again what was written while the backup was made, and it misses nothing.
- Names that end in `_at`, and `at`, are instants: RFC 3339 in UTC with milliseconds. Names that end in
  `_ms` are milliseconds.
- Texts of alerts come from whoever can send one. Make them inert for where you show them.
- A later version may add fields and kinds. A consumer ignores the fields that it does not know.
- In a compacted topic a record without a value says that its key is forgotten: only
  `tocsin.alerts` has such.
- An event has at most 512 KiB, a dead letter 8 MiB. The texts of a larger one are cut, and say so.
"""


def events_markdown() -> str:
    """The text of `docs/EVENTS.md`."""
    return "\n".join([_HEAD, *_topics(), *_notifications(), *_timeline(), *_others()]) + "\n"


def schema_text() -> str:
    """The text of `docs/events.schema.json`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write both files."""
    MARKDOWN.write_text(events_markdown())
    SCHEMA.write_text(schema_text())


def _topics() -> Iterator[str]:
    yield from ("## Topics", "", "| topic | key | kept |", "|---|---|---|")
    for stream in EFFECTS:
        yield f"| `{topic(stream)}` | {KEYS[stream]} | {KEPT.get(stream, '90 days')} |"
    yield ""


def _notifications() -> Iterator[str]:
    yield from (f"## {topic(Stream.NOTIFICATIONS)}", "")
    yield "One record is one message to one receiver through one channel of the policy."
    yield from _classes(CLASSES[Stream.NOTIFICATIONS])
    yield from ("", "### Actions", "", "| `action` | what the receiver does |", "|---|---|")
    yield from (f"| `{action}` | {ACTIONS[action]} |" for action in Action)
    yield from ("", "### Kinds", "", "| `kind` | why there is a message |", "|---|---|")
    yield from (f"| `{kind}` | {meaning} |" for kind, meaning in NOTIFICATION_MEANINGS.items())
    yield ""


def _timeline() -> Iterator[str]:
    yield from (f"## {topic(Stream.TIMELINE)}", "")
    yield from (
        "Everything that happened to an incident, in order. Each entry has these fields:",
        "",
    )
    yield from _table((n, p.hint, p.metadata) for n, p in COMMON_FIELDS.items())
    yield from ("", "### Kinds", "", "| `kind` | what happened | further fields |", "|---|---|---|")
    for kind, (meaning, names) in TIMELINE.items():
        further = ", ".join(f"`{name.rstrip('?')}`" for name in names)
        yield f"| `{kind}` | {meaning} | {further} |"
    yield from ("", "### Further fields", "")
    yield from _table((n, p.hint, p.metadata) for n, p in DETAIL_FIELDS.items())
    yield ""


def _others() -> Iterator[str]:
    for stream in EFFECTS:
        if stream not in (Stream.NOTIFICATIONS, Stream.TIMELINE):
            yield from (f"## {topic(stream)}", *_classes(CLASSES[stream]), "")


def _classes(kinds: Iterable[type]) -> Iterator[str]:
    """Each class, and those that its fields have."""
    shown = list(kinds)
    for kind in shown:
        hints = get_type_hints(kind)
        yield from ("", f"### {kind.__name__}", "", (kind.__doc__ or "").splitlines()[0], "")
        yield from _table((json_name(p), hints[p.name], p.metadata) for p in fields(kind))
        for part in fields(kind):
            inner = _class_in(hints[part.name])
            if inner is not None and inner not in shown:
                shown.append(inner)


def _table(rows: Iterable[tuple[str, Any, Any]]) -> Iterator[str]:
    yield from ("| field | type | what it is | example |", "|---|---|---|---|")
    for name, hint, metadata in rows:
        there = f"; only there when {metadata['when']}" if metadata["when"] else ""
        example = json.dumps(metadata["example"], ensure_ascii=False)
        yield f"| `{name}` | {_type(hint)} | {metadata['meaning']}{there} | `{example}` |"


def _type(hint: Any) -> str:
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(map(_type, get_args(hint)))
    inner = [arg for arg in get_args(hint) if arg is not Ellipsis]
    if get_origin(hint) in (tuple, list):
        return f"list of {_type(inner[0])}"
    if get_origin(hint) is dict:
        return f"object of {_type(inner[1])}"
    plain = {str: "text", int: "number", bool: "true or false", type(None): "null"}
    inside = _class_in(hint)
    return plain.get(hint) or (inside.__name__ if inside else "text")


def _class_in(hint: Any) -> type | None:
    """The class of an event's part in a type, if there is one."""
    if is_dataclass(hint) and isinstance(hint, type):
        return hint
    return next((inner for arg in get_args(hint) if (inner := _class_in(arg))), None)


if __name__ == "__main__":
    main()
