"""Whether what the changelog kept has the types that its fields have: what is damaged must not wait for a deadline to raise.

It is asked for each alert of a state, of which there may be hundreds of thousands when a partition
is taken over, so the types of a whole document are compared at once with those that were found good
before.
"""

from collections.abc import Mapping
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

_GOOD_MAX = 1000
_is_checked: dict[tuple[object, ...], bool] = {}


def check_types(kind: type, document: Mapping[str, Any]) -> None:
    """Raise TypeError unless each value is JSON of its field's type.

    Names that are no field are the constructor's matter.
    """
    rule_id = (kind, *document, *map(type, document.values()))
    if rule_id not in _is_checked:
        for name, value in document.items():
            _check_value(kind, name, value)
        if len(_is_checked) < _GOOD_MAX:
            _is_checked[rule_id] = True
    for name, allowed in _element_types(kind).items():
        actual = document.get(name)
        if actual and not all(
            type(item) in allowed for item in (actual.values() if type(actual) is dict else actual)
        ):
            raise TypeError(f"{name} is {actual!r:.80}")


def _check_value(kind: type, name: str, value: Any) -> None:
    allowed = _field_types(kind).get(name)
    if allowed is not None and type(value) not in allowed:
        raise TypeError(
            f"{name} is {value!r:.80}, must be {' or '.join(sorted(item.__name__ for item in allowed))}"
        )


@cache
def _field_types(kind: type) -> dict[str, frozenset[type]]:
    return {name: _json_types(hint) for name, hint in get_type_hints(kind).items()}


@cache
def _element_types(kind: type) -> dict[str, frozenset[type]]:
    """Of the fields that are lists or objects, the types of what is in them."""
    types = {}
    for name, hint in get_type_hints(kind).items():
        plain = [alternative for alternative in _alternatives(hint) if get_args(alternative)]
        if plain:
            types[name] = _json_types([arg for arg in get_args(plain[0]) if arg is not ...][-1])
    return types


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _json_types(hint: Any) -> frozenset[type]:
    return frozenset(_json_type(alternative) for alternative in _alternatives(hint))


def _json_type(hint: Any) -> type:
    plain: Any = get_origin(hint) or hint
    if plain in (int, str, bool, bytes, NoneType):
        return plain  # type: ignore[no-any-return]  # one of these
    if issubclass(plain, Enum):
        return str
    return list if issubclass(plain, list | tuple) else dict
