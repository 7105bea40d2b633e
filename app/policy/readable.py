"""A policy as plain data that people read.

Durations as they write them, matchers as text, every default written out.
"""

from collections.abc import Mapping
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from models.matcher import Matcher
from models.policy.policy import Policy
from models.policy.time_interval import TimeSpan, written
from models.policy.types import DurationMs
from models.text.duration import write_ms

_DURATION = get_args(DurationMs)[1:]  # what marks an annotation as a duration


def readable_policy(policy: Policy) -> dict[str, Any]:
    """The policy's keys; names of rules and teams are as in the file."""
    readable: dict[str, Any] = _readable_model(policy)
    return readable


def _readable_model(model: BaseModel) -> dict[str, Any]:
    hints = get_type_hints(type(model), include_extras=True)
    return {
        field.alias or name: _plain_value(getattr(model, name), hints[name])
        for name, field in type(model).model_fields.items()
    }


def _plain_value(value: Any, hint: Any) -> Any:
    if isinstance(value, TimeSpan):
        return written(value)
    if isinstance(value, BaseModel):
        return _readable_model(value)
    if isinstance(value, Matcher):
        return str(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int) and _is_duration(hint):
        return write_ms(value)
    inner = _inner_types(hint)
    if isinstance(value, Mapping):
        return {
            str(name): _plain_value(item, inner[-1] if inner else Any)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain_value(item, inner[0] if inner else Any) for item in value]
    return str(value) if isinstance(value, Enum) else value


def _is_duration(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return all(mark in get_args(hint)[1:] for mark in _DURATION) or _is_duration(
            get_args(hint)[0]
        )
    return (
        any(_is_duration(arg) for arg in get_args(hint))
        if get_origin(hint) in (Union, UnionType)
        else False
    )


def _inner_types(hint: Any) -> tuple[Any, ...]:
    """What a list or a mapping holds."""
    if get_origin(hint) is Annotated:
        return _inner_types(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return next((_inner_types(arg) for arg in get_args(hint) if arg is not type(None)), ())
    return get_args(hint)
