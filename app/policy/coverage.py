"""Which entries of a policy tests have reached.

What no test reaches, nobody would notice to be wrong.
"""

from collections.abc import Iterator
from typing import Any

from app.core.rules.compiled_policy import CompiledPolicy
from app.policy.actual import ScenarioOutcome
from models.alert import Labels
from models.matcher import test_of
from models.policy.scenario import Scenario
from models.policy.types import Where

# Lists whose first entry that matches an alert is reached by it, and lists of rules that are
# reached when they did something.
_FIRST: tuple[Where, ...] = (
    ("severities", "rules"),
    ("ownership",),
    ("classes",),
    ("runbooks",),
    ("heartbeats",),
)
_BY_NAME: tuple[Where, ...] = (
    ("escalations",),
    ("correlations",),
    ("nearness",),
    ("dependencies",),
    ("inhibit_rules",),
    ("followups",),
)


def policy_entries(rules: CompiledPolicy) -> list[Where]:
    """Everything that can be reached, list by list."""
    return [
        (*where, number)
        for where in (*_FIRST, *_BY_NAME)
        for number in range(len(_entry_list(rules, where)))
    ]


def reached_entries(
    rules: CompiledPolicy, scenario: Scenario, outcome: ScenarioOutcome
) -> set[Where]:
    """What one scenario has reached."""
    alerts = [labels for step in scenario.do for labels in step.fire or ()]
    places = {where for labels in alerts for where in _matched_entries(rules, labels)}
    names = set(_effect_names(outcome))
    for where in (*_BY_NAME, ("runbooks",)):
        places |= {
            (*where, number)
            for number, item in enumerate(_entry_list(rules, where))
            if item.name in names
        }
    return places


def _matched_entries(rules: CompiledPolicy, labels: Labels) -> Iterator[Where]:
    for where in _FIRST:
        first = next(
            (
                number
                for number, item in enumerate(_entry_list(rules, where))
                if test_of(item.match)(labels)
            ),
            None,
        )
        if first is not None:
            yield (*where, first)


def _effect_names(outcome: ScenarioOutcome) -> Iterator[str]:
    """The names of what did something."""
    yield from (item["rule"] for item in outcome.items("escalations"))
    yield from (item["task"] for item in outcome.items("tasks"))
    for item in outcome.items("incidents"):
        yield item["rule"]
        yield item["runbook"]
    for item in outcome.items("timeline"):
        if item["kind"] == "Suppressed":  # what keeps quiet names its rule last, in brackets
            yield item["text"].rpartition("(")[2].removesuffix(")")


def _entry_list(rules: CompiledPolicy, where: Where) -> list[Any]:
    part: Any = rules.policy
    for name in where:
        part = getattr(part, str(name))
    return list(part)
