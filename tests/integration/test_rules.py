"""The rules for Prometheus that ship, as Prometheus' own tool judges them."""

import subprocess
from pathlib import Path

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
