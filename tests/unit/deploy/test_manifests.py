"""What ships for Kubernetes, systemd, Docker and Grafana, as far as it can be checked without them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import app.notifier.runtime.metrics
from app import metrics
from app.worker.incident_metrics import IncidentMetrics
from models.setting_names import unknown_name

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """The pods of all workloads, by file and name."""
    for path in KUBERNETES:
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] in ("Deployment", "StatefulSet"):
                name = f"{path.name}: {document['metadata']['name']}"
                yield name, document["spec"]["template"]["spec"]


@pytest.mark.parametrize(("name", "pod"), list(pods()), ids=lambda value: str(value)[:40])
def test_pods_are_hardened(name: str, pod: dict[str, Any]) -> None:
    """No root, no capability, no token of Kubernetes, and nothing is written but volumes."""
    (container,) = pod["containers"]

    assert name
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert {volume["name"] for volume in container["volumeMounts"]} >= {"tmp", "tokens"}


@pytest.mark.parametrize("path", [*KUBERNETES, *UNITS], ids=lambda path: path.name)
def test_settings_exist(path: Path) -> None:
    """Each TOCSIN_ variable is one that Tocsin reads."""
    assert (
        unknown_name(re.findall(r"^[^#\n]*?\b(TOCSIN_[A-Z_]+)", path.read_text(), re.MULTILINE))
        == ""
    )


def test_the_operator_has_the_same_rules() -> None:
    """The PrometheusRule has what deploy/tocsin.yml has."""
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "monitoring.yaml").read_text()))
    rule = next(document for document in documents if document["kind"] == "PrometheusRule")

    assert rule["spec"] == yaml.safe_load((DEPLOY / "tocsin.yml").read_text())


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_are_hardened(path: Path) -> None:
    """They come back, end within the time that Tocsin takes, and may write nothing but their state."""
    lines = path.read_text().splitlines()

    assert {
        "Restart=always",
        "TimeoutStopSec=30",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "CapabilityBoundingSet=",
        "UMask=0077",
    } <= set(lines)


def test_the_image_is_not_root() -> None:
    """Its user is a number, and its state is a volume."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()

    assert {"USER 10001:10001", "VOLUME /var/lib/tocsin"} <= set(lines)
    assert any(line.startswith("HEALTHCHECK") for line in lines)


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    """A panel with a typing mistake would be empty for ever."""
    assert app.notifier.runtime.metrics.PENDING is not None
    assert metrics.DEGRADED is not None
    known = {
        sample
        for family in [*REGISTRY.collect(), *IncidentMetrics(list).collect()]
        for suffix in ("", "_total", "_info", "_bucket")
        for sample in (f"{family.name}{suffix}",)
    }
    dashboard = json.loads((DEPLOY / "grafana" / "tocsin.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\btocsin_\w+", target["expr"])
    }

    assert asked <= known
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(numbers) == len(set(numbers))


def test_grafana_finds_what_it_is_given() -> None:
    """The dashboard asks the source that is provisioned, and stands where it is looked for."""
    folder = DEPLOY / "grafana"
    source = yaml.safe_load((folder / "provisioning/datasources/prometheus.yml").read_text())
    provider = yaml.safe_load((folder / "provisioning/dashboards/tocsin.yml").read_text())
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    dashboard = json.loads((folder / "tocsin.json").read_text())
    place = provider["providers"][0]["options"]["path"]

    uids = {panel["datasource"]["uid"] for panel in dashboard["panels"]}
    assert uids == {source["datasources"][0]["uid"]}
    assert f"./deploy/grafana/tocsin.json:{place}/tocsin.json:ro" in compose["volumes"]
