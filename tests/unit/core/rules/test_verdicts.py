"""What the policy says of an alert is found once for all alerts that agree in what it asks for."""

from app.core.rules.compiled_policy import CompiledPolicy
from tests.support.shipped_policy import shipped


def test_a_label_of_which_only_its_presence_counts() -> None:
    """Alerts that differ in it have one verdict; one without it has another."""
    policy = CompiledPolicy(shipped().document)
    labels = {"alertname": "HighLatency", "severity": "warning"}

    verdicts = [policy.evaluate(labels | {"instance": f"h{number}"}) for number in range(100)]

    assert len({id(verdict) for verdict in verdicts}) == 1
    assert verdicts[0].links == (("node-down", "target"),)
    assert policy.evaluate(labels).inhibitions == ()
    assert policy.evaluate(labels | {"instance": "\n"}).inhibitions == ()  # as `.+` has it
    assert policy.evaluate(labels | {"instance": "h"}).inhibitions == verdicts[0].links


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
