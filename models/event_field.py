"""What a field of an event means. `docs/EVENTS.md` and the schema are made from it."""

from typing import Any


def about(meaning: str, example: Any, *, when: str = "", name: str = "") -> dict[str, Any]:
    """The metadata of a field: what it means, an example, when it is there, its name in the JSON.

    Without `when` it is always there. Without `name` it has the field's own.
    """
    return {"meaning": meaning, "example": example, "when": when, "name": name}
