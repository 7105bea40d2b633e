"""A stranger's JSON value as the text of a label or an annotation."""

from typing import Any

import orjson


def text_of(value: Any) -> str:
    """A text as it is, trimmed; nothing for null; of anything else its JSON.

    Nothing too for what cannot be written as JSON again: it is nested deeper than anybody reads.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return ""
