"""What a channel remembers of an incident: a small JSON object, handed back with the incident's next message."""

from typing import Any

import orjson


def recall(memory: str) -> dict[str, Any]:
    """The object, or an empty one when nothing, or nothing readable, was kept."""
    try:
        kept = orjson.loads(memory) if memory else {}
    except orjson.JSONDecodeError:
        return {}
    return kept if isinstance(kept, dict) else {}


def remember(**parts: Any) -> str:
    """The memory of these parts."""
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS).decode()


def preview_json(document: Any) -> str:
    """A JSON document for a person to read."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
