"""The procedure's performance targets.

The alerts that Prometheus' rules make of them, as the shipped policy judges them.
"""

import re
from pathlib import Path

import yaml

from tests.support.shipped_policy import shipped

RULES = yaml.safe_load((Path(__file__).parents[2] / "deploy" / "performance.yml").read_text())[
    "groups"
][0]["rules"]


def test_targets_are_the_procedures() -> None:
    """P95: requests below 2 s, inference below 30 s, queries below 500 ms, page loads below 3 s."""
    limits = {
        rule["alert"]: re.fullmatch(r"histogram_quantile\(0\.95, .*\) > ([\d.]+)", rule["expr"])
        for rule in RULES
    }

    assert {name: found and float(found[1]) for name, found in limits.items()} == {
        "HighAPILatency": 2.0,
        "SlowInference": 30.0,
        "SlowDatabaseQueries": 0.5,
        "SlowPageLoad": 3.0,
    }


def test_alerts_are_the_right_teams() -> None:
    """High latency is P2, of the team whose service is slow, and has a guide."""
    policy = shipped()
    verdicts = {
        rule["alert"]: policy.evaluate({"alertname": rule["alert"], **rule["labels"]})
        for rule in RULES
    }

    assert {
        name: (str(one.severity), one.owner, one.incident_class) for name, one in verdicts.items()
    } == {
        "HighAPILatency": ("P2", "platform", "operations"),
        "SlowInference": ("P2", "ai", "operations"),
        "SlowDatabaseQueries": ("P2", "data", "operations"),
        "SlowPageLoad": ("P2", "platform", "operations"),
    }
    assert [one.severity_label for one in verdicts.values()] == ["", "", "", ""]
    assert verdicts["SlowDatabaseQueries"].runbook == "database"
