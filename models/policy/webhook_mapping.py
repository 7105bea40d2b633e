"""How a webhook of a foreign shape becomes alerts: an expression of JMESPath for each part.

Source: the JMESPath specification, as the library `jmespath` implements it.
"""

from collections.abc import Iterator
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from pydantic import AfterValidator, Field, field_validator

from models.policy.types import Part

EXPRESSION_CHARACTERS_MAX = 500
NODES_MAX = 100  # of an expression: its depth is bounded by it, too
PARTS_MAX = 50  # labels, and annotations


_FUNCTIONS = set(Functions.FUNCTION_TABLE)


def _expression(text: str) -> str:
    try:
        parsed = jmespath.compile(text).parsed
    except (JMESPathError, RecursionError) as error:
        line = " ".join(str(error).split())
        raise ValueError(f"is {text!r:.100}, must be a JMESPath expression: {line:.200}") from None
    nodes = list(_nodes(parsed))
    if len(nodes) > NODES_MAX:
        raise ValueError(f"has {len(nodes)} parts, must have at most {NODES_MAX}")
    functions = {node["value"] for node in nodes if node["type"] == "function_expression"}
    unknown = sorted(functions - _FUNCTIONS)
    if unknown:
        raise ValueError(f"is {text!r:.100}, and JMESPath has no function {unknown[0]!r:.60}")
    return text


def _nodes(node: Any) -> Iterator[Any]:
    """A parsed expression and all that it consists of."""
    yield node
    for child in node["children"]:
        if isinstance(child, dict):
            yield from _nodes(child)


Expression = Annotated[
    str,
    Field(min_length=1, max_length=EXPRESSION_CHARACTERS_MAX),
    AfterValidator(_expression),
]
Parts = Annotated[dict[str, Expression], Field(max_length=PARTS_MAX)]


class WebhookMapping(Part):
    """What `POST /api/v1/webhooks/NAME` takes, in JMESPath expressions.

    `alerts` gives a list of objects, or one object; the other expressions are applied to each. What
    gives null is left out. An alert has ended where `resolved` gives something that is not empty,
    null or false. With `key`, the end of an alert may have other labels than its beginning.
    """

    alerts: Expression = "@"
    labels: Parts
    annotations: Parts = Field(default={})
    resolved: Expression | None = None
    key: Expression | None = None
    starts_at: Expression | None = None
    url: Expression | None = None

    @field_validator("labels")
    @classmethod
    def _has_a_name(cls, labels: dict[str, str]) -> dict[str, str]:
        if "alertname" not in labels:
            raise ValueError("has no alertname, must have one: it names the alert")
        return labels
