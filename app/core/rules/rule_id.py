"""A rule's identity across policies: what tells a rule from one of its name that says something else.

A policy change reaches partitions one after the other, so what a rule's actor is told names the
shape of the rule that it is meant for. Every Tocsin has to find the same shape for the same rule:
keys that have their defaults do not count, so that one which knows more keys finds no other.
"""

import hashlib
import re
from typing import Any, Literal

import orjson
from pydantic import BaseModel

from models.reason import BadInput, Reason

FORM = slice(
    6
)  # of a shape: rules whose shapes agree in it go on with what the other of them had counted
_RULE_ID = re.compile("[0-9a-f]{12}")


def rule_id_of(
    kind: Literal["correlation", "dependency", "inhibition", "nearness"], rule: BaseModel, form: Any
) -> str:
    """12 hex digits: half of them say the rule's kind and `form`, the others all of it."""
    return _hex_digits([kind, form]) + _hex_digits([kind, rule.model_dump(exclude_defaults=True)])


def _hex_digits(document: Any) -> str:
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()[FORM]


def have_same_form(item: str, other: str) -> bool:
    """Whether two shapes are of rules of which one can go on with what the other had counted."""
    return item[FORM] == other[FORM]


def rule_id_from(document: dict[str, Any]) -> str:
    """The shape that a message names; empty in one of an older Tocsin. Raises BadInput."""
    rule_id = document.get("rule_id", "")
    if rule_id and not (isinstance(rule_id, str) and _RULE_ID.fullmatch(rule_id)):
        raise BadInput(Reason.MALFORMED, f"the rule_id is {rule_id!r:.40}, must be 12 hex digits")
    return rule_id or ""
