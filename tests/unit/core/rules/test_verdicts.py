"""What the policy says of an alert is found once for all alerts that agree in what it asks for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.rules.compiled_policy import CompiledPolicy
from tests.support.example_counts import examples
from tests.support.shipped_policy import shipped

# Values that the matchers of the policy below tell apart, and some that they do not.
VALUES = {
    "alertname": ["A", "B", "AB", "other"],
    "component": ["shop", "cart", "db-1", "db-2", "api", "", "a\nb"],
    "team": ["ai", "AI", ""],
    "severity": ["critical", "Critical", "warning", "strange", ""],
    "rule": ["up", "no rule", ""],
    "instance": ["h1", "h2", "", "\n"],
}
LABELS = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(VALUES[name]) for name in VALUES}
)
RULES = {
    "ownership": [
        {"match": ['component=~"db-.*"', 'team!="ai"'], "team": "data"},
        {"match": ['alertname!~"A.*"', 'component!=""'], "team": "platform"},
    ],
    "classes": [
        {"name": "data", "prefix": "DATA", "match": ['component="db-1"', 'instance=~".+"']},
        *shipped().document["classes"],
    ],
}


@given(st.lists(LABELS, min_size=2, max_size=10))
@settings(max_examples=examples(5), deadline=None)
def test_a_remembered_decision_is_the_one_that_is_found_anew(
    asked: list[dict[str, str]],
) -> None:
    """Whatever was asked before: a policy that was asked for nothing yet decides the same."""
    document = shipped().document | RULES
    policy = CompiledPolicy(document)
    for labels in asked:
        decision = policy.evaluate(labels)

        assert decision == CompiledPolicy(document).evaluate(labels)


@pytest.mark.parametrize("label", VALUES)
@pytest.mark.parametrize("base", [{"alertname": "A"}, {"alertname": "C", "component": "shop"}])
def test_each_value_of_a_label_has_its_own_answer(label: str, base: dict[str, str]) -> None:
    """One value after another, of labels that are alike but for it, in both orders."""
    document = shipped().document | RULES
    asked = [base | {label: value} for value in VALUES[label]]
    fresh = [CompiledPolicy(document).evaluate(labels) for labels in asked]

    policy = CompiledPolicy(document)
    assert [policy.evaluate(labels) for labels in asked] == fresh
    policy = CompiledPolicy(document)
    assert [policy.evaluate(labels) for labels in reversed(asked)] == fresh[::-1]


def test_components_that_no_rule_tells_apart_have_one_decision() -> None:
    """One that was never seen before costs no walk through the policy."""
    policy = CompiledPolicy(shipped().document | RULES)
    labels = {"alertname": "C", "severity": "warning", "instance": "h"}

    first, second, other = (
        policy.evaluate(labels | {"component": name}) for name in ("shop", "cart", "db-1")
    )

    assert first is second
    assert (first.owner, other.owner) == ("platform", "data")


def test_a_label_of_which_only_its_presence_counts() -> None:
    """Alerts that differ in it have one verdict; one without it has another."""
    policy = CompiledPolicy(shipped().document)
    labels = {"alertname": "HighLatency", "severity": "warning"}

    verdicts = [policy.evaluate(labels | {"instance": f"h{number}"}) for number in range(100)]

    assert len({id(verdict) for verdict in verdicts}) == 1
    assert verdicts[0].inhibitions == (("node-down", "target"),)
    assert policy.evaluate(labels).inhibitions == ()
    assert policy.evaluate(labels | {"instance": "\n"}).inhibitions == ()  # as `.+` has it
    assert policy.evaluate(labels | {"instance": "h"}).inhibitions == verdicts[0].inhibitions


def test_an_incident_of_a_rule_is_no_alert() -> None:
    """That an alert of its name was asked for before decides nothing, though no rule names `rule`."""
    opening = {"title": "up", "severity": "P1", "owner": "infrastructure"}
    several = {
        "name": "up",
        "match": ['alertname="B"'],
        "count": 2,
        "within": "5m",
        "by": ["owner"],
    }
    depends = {"name": "down", "root": ['alertname="B"'], "dependants": ['alertname="up"']}
    changes = {
        "runbooks": [{"name": "all", "steps": ["Look"]}],
        "correlations": [several | {"open": opening}],
        "dependencies": [depends | {"within": "10m", "grace": "10m"}],
    }
    policy = CompiledPolicy(shipped().document | changes)
    labels = {"alertname": "up", "severity": "critical"}

    of_alert = policy.evaluate(labels)

    assert not of_alert.in_cycle
    assert policy.evaluate(labels | {"rule": "up"}).in_cycle
