"""Rules that keep alerts quiet and can lead back to each other."""

from typing import Any

import pytest

from app.core.rules.compiled_policy import CompiledPolicy
from app.core.rules.overlap import overlaps, values_in
from app.core.rules.suppression_graph import SuppressionGraph
from models.matcher import parse_matcher
from tests.support.shipped_policy import shipped


def dependency(name: str, root: str, dependants: str) -> dict[str, Any]:
    """A dependency of alerts by their names."""
    return {
        "name": name,
        "root": [f'alertname="{root}"'],
        "dependants": [f'alertname="{dependants}"'],
        "within": "10m",
    }


def rulebook(*dependencies: dict[str, Any], **parts: Any) -> CompiledPolicy:
    """The shipped policy with other rules."""
    return CompiledPolicy(
        shipped().document | {"dependencies": list(dependencies), "inhibit_rules": []} | parts
    )


@pytest.mark.parametrize(
    ("selector", "other", "expected"),
    [
        (['a="x"'], ['a="y"'], False),
        (['a="x"'], ['b="y"'], True),
        (['a=~"x|y"', 'a!="x"'], ['a!~"y|z"'], False),
        (['a=~"x(y|z)?"'], ['a="xz"'], True),
        (['a=~"x(y|z)?"'], ['a="xyz"'], False),
        (['a=~"x.*"'], ['a!~"x.*"'], False),
        (['a=~"x.*"'], ['a=~"y.*"'], True),
        ([], ['a="x"'], True),
    ],
)
def test_overlap(selector: list[str], other: list[str], expected: bool) -> None:
    """Selectors overlap unless it is certain that no alert matches both."""
    parsed = [[parse_matcher(text) for text in texts] for texts in (selector, other)]

    assert overlaps([parsed[0]], [parsed[1]]) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a|b", ["a", "b"]),
        ("(a|bc)?d", ["ad", "bcd", "d"]),
        ("a(?:b|c)", ["ab", "ac"]),
        ("a.c", None),
        ("a+", None),
        ("[ab]", None),
        ("(?i)a", None),
    ],
)
def test_values_of_a_pattern(pattern: str, expected: list[str] | None) -> None:
    """The values of a finite pattern are counted, those of another are not."""
    assert values_in(pattern) == expected


def test_cycles() -> None:
    """A circle of three rules is a cycle; a rule that only leads into it is none of it."""
    rules = rulebook(
        dependency("into", "X", "A"),
        dependency("a-b", "A", "B"),
        dependency("b-c", "B", "C"),
        dependency("c-a", "C", "A"),
    )

    assert SuppressionGraph(rules.policy).cycles() == [["a-b", "b-c", "c-a"]]
    in_cycle = {name: rules.evaluate({"alertname": name}).in_cycle for name in "XABCD"}
    assert in_cycle == {"X": False, "A": True, "B": True, "C": True, "D": False}


def test_cycle_through_an_incident_of_a_rule() -> None:
    """A member of an incident that depends on that member is part of a cycle."""
    needs = dependency("needs", "PlannerAgentDown", "x") | {"dependants": ['rule="agents-down"']}
    rules = rulebook(needs)

    assert SuppressionGraph(rules.policy).cycles() == [["needs", "agents-down"]]
    assert rules.evaluate({"alertname": "PlannerAgentDown"}).in_cycle
    assert not rules.evaluate({"alertname": "TutorAgentDown"}).in_cycle


def test_the_shipped_policy_has_no_cycle() -> None:
    """No rules of it lead back to each other."""
    assert SuppressionGraph(shipped().policy).cycles() == []
