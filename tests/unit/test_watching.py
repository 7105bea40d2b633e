"""The rules, runbooks and metrics by which Tocsin is watched name the same things."""

import re
from pathlib import Path

import yaml
from prometheus_client import REGISTRY

import app.notifier.runtime.metrics
from app import metrics
from app.bridge.health.problems import ProblemKind
from app.worker.incident_metrics import IncidentMetrics

ROOT = Path(__file__).parents[2]
RULES = yaml.safe_load((ROOT / "deploy" / "tocsin.yml").read_text())
RUNBOOKS = (ROOT / "docs" / "RUNBOOKS.md").read_text()
OPERATIONS = (ROOT / "docs" / "OPERATIONS.md").read_text()
_SUFFIXES = {"counter": "_total", "info": "_info"}


def metric_names() -> set[str]:
    """The names of all metrics of ours, as queries have them."""
    assert app.notifier.runtime.metrics.PENDING is not None
    families = [*REGISTRY.collect(), *IncidentMetrics(list).collect()]
    return {
        f"{family.name}{_SUFFIXES.get(family.type, '')}"
        for family in families
        if family.name.startswith("tocsin_")
    }


def test_each_alert_has_a_runbook() -> None:
    """And no runbook is of an alert that there is not."""
    alerts = [rule["alert"] for group in RULES["groups"] for rule in group["rules"]]

    assert sorted(alerts) == sorted(re.findall(r"^## (\w+)$", RUNBOOKS, re.MULTILINE))


def test_each_problem_has_a_runbook() -> None:
    """Whatever the health says stands in the table."""
    named = re.findall(r"^\| `(\w+)` \| \[", RUNBOOKS, re.MULTILINE)

    assert named == list(ProblemKind)


def test_rules_ask_for_metrics_that_there_are() -> None:
    """A rule with a typing mistake would be silent for ever."""
    asked = {
        name
        for group in RULES["groups"]
        for rule in group["rules"]
        for name in re.findall(r"\btocsin_\w+", rule["expr"])
    }

    assert asked <= metric_names()
    assert metrics.DEGRADED.labels("no_worker") is not None


def test_each_metric_is_explained() -> None:
    """The document has each metric, and none that is gone."""
    assert set(re.findall(r"^\| `(tocsin_\w+)` \|", OPERATIONS, re.MULTILINE)) == metric_names()
