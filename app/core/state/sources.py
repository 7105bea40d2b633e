"""The source position of a repeat, which most records of the raw topic are.

The slow way (`models.journal.source_from`) reads any headers and refuses what is wrong. Here only
the common case is recognised: one header, `source`, well formed. Everything else goes the slow way.
"""

from functools import lru_cache

from app.core.state.state import PartitionState
from models.journal import SOURCE_HEADER, Headers, source_or_none

_DIGITS_MAX = 19  # of an offset, as `models.journal` has it


def take_position(state: PartitionState, headers: Headers) -> bool:
    """Whether the only header is a source position past the last one of its place, which it is then.

    False changes nothing: the record needs the slow way.
    """
    if len(headers) != 1 or headers[0][0] != SOURCE_HEADER:
        return False
    parts = (headers[0][1] or b"").rsplit(b":", 2)
    if len(parts) != 3:
        return False
    prefix, offset, number = parts
    place = _place(prefix)
    if place is None or not (offset.isdigit() and number.isdigit()):
        return False
    if len(offset) > _DIGITS_MAX or len(number) > _DIGITS_MAX:
        return False
    return state.is_new(*place, int(offset), int(number))


@lru_cache(maxsize=1024)  # a journal partition is fed by a handful
def _place(prefix: bytes) -> tuple[str, int] | None:
    """Topic and partition of a source, of which `prefix` is the header's value up to the offset."""
    source = source_or_none(((SOURCE_HEADER, prefix + b":0:0"),))
    return None if source is None else (source.topic, source.partition)
