"""Texts that are shortened where all of them would be too much, and say so."""

from typing import Any


def truncate(text: str, characters_max: int) -> str:
    """The text, or its beginning and how much is missing."""
    if len(text) <= characters_max:
        return text
    return f"{text[:characters_max]}... ({len(text) - characters_max} more characters)"


def truncate_all(value: Any, characters_max: int) -> Any:
    """A JSON document with each of its texts cut."""
    match value:
        case str():
            return truncate(value, characters_max)
        case dict():
            return {name: truncate_all(item, characters_max) for name, item in value.items()}
        case list() | tuple():
            return [truncate_all(item, characters_max) for item in value]
        case _:
            return value
