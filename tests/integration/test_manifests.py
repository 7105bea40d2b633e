"""The manifests and units that ship, as other people's tools judge them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.mark.parametrize("name", ["embedded.yaml", "kafka.yaml"])
def test_kubernetes_takes_them(name: str) -> None:
    """Each document fits Kubernetes' schema, without a field that there is not."""
    validate = pytest.importorskip("kubernetes_validate")

    for document in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()):
        validate.validate(document, validate.latest_version(), strict=True)


@pytest.mark.parametrize(
    "unit", sorted((DEPLOY / "systemd").glob("*.service")), ids=lambda path: path.name
)
def test_systemd_takes_them(unit: Path, tmp_path: Path) -> None:
    """With a program in the place of Tocsin's, systemd has nothing to say."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = unit.read_text().replace("/opt/tocsin/bin/tocsin", "/bin/true")
    (tmp_path / unit.name).write_text(text)

    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / unit.name],
        capture_output=True,
        text=True,
        check=False,
    )

    assert [line for line in done.stderr.splitlines() if unit.stem.strip("@") in line] == []


def test_prometheus_takes_the_dashboard(tmp_path: Path) -> None:
    """Each query of a panel is one."""
    dashboard = json.loads((DEPLOY / "grafana" / "tocsin.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(queries)]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    subprocess.run(["promtool", "check", "rules", path], check=True)
