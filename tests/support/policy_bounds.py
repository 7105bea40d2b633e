"""What a policy says at most: a table of the limits, each with what says any number."""

from collections.abc import Callable

from models.policy.policy import LINE_CHARACTERS_MAX, RULES_MAX, STEPS_MAX, Policy, Runbook
from models.policy.types import NAME_CHARACTERS_MAX
from tests.support.shipped_policy import shipped

POLICY_LIMITS: dict[str, tuple[int, Callable[[int], object]]] = {
    "STEPS_MAX": (
        STEPS_MAX,
        lambda number: Runbook.model_validate({"name": "g", "steps": ["x"] * number}),
    ),
    "LINE_CHARACTERS_MAX": (
        LINE_CHARACTERS_MAX,
        lambda number: Runbook.model_validate({"name": "g", "steps": ["x" * number]}),
    ),
    "NAME_CHARACTERS_MAX": (
        NAME_CHARACTERS_MAX,
        lambda number: Runbook.model_validate({"name": "g" * number, "steps": ["x"]}),
    ),
    "RULES_MAX": (
        RULES_MAX,
        lambda number: Policy.model_validate(
            shipped().document
            | {"escalations": [{"name": f"e{one}", "grew": True} for one in range(number)]}
        ),
    ),
}
