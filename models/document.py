"""The JSON object in bytes that may be anything.

In records that others may have written, or that are damaged.
"""

from typing import Any

import orjson


def document_in(value: bytes | None) -> dict[str, Any]:
    """The object; an empty one where there is none."""
    try:
        document = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}
