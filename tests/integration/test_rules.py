"""The rules for Prometheus that ship, as Prometheus' own tool judges them."""

import subprocess
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, generate_latest

import app.notifier.runtime.metrics
from app import metrics
from app.core.engine import Engine
from app.worker.effect_metrics import count_effects
from app.worker.incident_metrics import IncidentMetrics
from tests.support.shipped_policy import shipped

HERE = Path(__file__).parent
DEPLOY = HERE.parent.parent / "deploy"


def test_rules_are_valid() -> None:
    """Prometheus takes them, with its configuration."""
    subprocess.run(["promtool", "check", "config", DEPLOY / "prometheus.yml"], check=True)


def test_performance_targets() -> None:
    """A target that is missed for five minutes is an alert with the labels that the policy knows.

    One that is met is none.
    """
    subprocess.run(["promtool", "test", "rules", HERE / "performance_rules.yml"], check=True)


def test_what_tocsin_tells_of_itself() -> None:
    """Each rule is silent while all is well, and says what it has to when it is not."""
    subprocess.run(["promtool", "test", "rules", HERE / "tocsin_rules.yml"], check=True)


def test_the_metrics_follow_the_conventions() -> None:
    """Prometheus' linter has nothing to say of any metric of any process."""
    assert app.notifier.runtime.metrics.PENDING is not None
    partition = metrics.Partition(0)
    engine = Engine(0, shipped())
    partition.restored(engine)
    partition.applied(engine, 0)
    count_effects([])
    collector = IncidentMetrics(lambda: [engine])
    REGISTRY.register(collector)
    try:
        told = subprocess.run(
            ["promtool", "check", "metrics"],
            input=generate_latest(),
            capture_output=True,
            check=False,
        )
    finally:
        REGISTRY.unregister(collector)
        partition.released()

    if told.returncode:
        pytest.fail((told.stdout + told.stderr).decode())
