"""A real amtool against a service on the embedded journal: what it reads from an Alertmanager."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engines import SECONDS, Tocsin

REDIS = ["alertname=RedisDown", "service=redis", "severity=critical"]
NODE = ["alertname=NodeDown", "instance=n1", "component=n1", "severity=critical"]
DISK = ["alertname=DiskFull", "instance=n1", "component=app", "severity=warning"]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Tocsin]:
    """A service, which has to end well."""
    service = Tocsin("up", TOCSIN_BROKER=f"embedded:{tmp_path}")
    yield service
    service.stop()


def amtool(service: Tocsin, *arguments: str) -> str:
    """What amtool prints; it has to succeed."""
    binary = shutil.which("amtool")
    assert binary, "amtool is missing: install Debian's package prometheus-alertmanager"
    command = [binary, f"--alertmanager.url={service.url}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def alerts(service: Tocsin, *arguments: str) -> dict[str, Any]:
    """The alerts that amtool finds, by name."""
    found = json.loads(amtool(service, "-o", "json", "alert", "query", *arguments))
    return {one["labels"]["alertname"]: one for one in found}


def wait_for(service: Tocsin, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """All alerts, once they are as they have to be in the end."""
    deadline = time.monotonic() + SECONDS
    while not fits(found := alerts(service, "--active", "--silenced", "--inhibited")):
        assert time.monotonic() < deadline, found
    return found


def test_amtool_reads_alerts(service: Tocsin) -> None:
    """What fires, what a silence covers, and what an inhibition matches, with its source."""
    amtool(service, "alert", "add", *NODE, "--annotation=summary=down")
    wait_for(service, lambda found: set(found) == {"NodeDown"})
    for labels in (REDIS, DISK):
        amtool(service, "alert", "add", *labels)
    silence = amtool(
        service, "silence", "add", "alertname=RedisDown", "--author=ann", "--comment=known"
    )
    found = wait_for(
        service,
        lambda found: (
            [found[name]["status"]["state"] for name in sorted(found)]
            == ["suppressed", "active", "suppressed"]
        ),
    )

    assert found["RedisDown"]["status"]["silencedBy"] == [silence]
    assert found["DiskFull"]["status"]["inhibitedBy"] == [found["NodeDown"]["fingerprint"]]
    assert found["NodeDown"]["annotations"] == {"summary": "down"}
    assert set(alerts(service)) == {"NodeDown"}
    assert set(alerts(service, "--silenced")) == {"RedisDown"}
    assert set(alerts(service, "--inhibited")) == {"DiskFull"}
    assert set(alerts(service, "--active", "--inhibited", "instance=n1")) == {
        "NodeDown",
        "DiskFull",
    }
    assert set(alerts(service, "--inhibited", "--receiver=nobody")) == set()
    assert "NodeDown" in amtool(service, "alert", "query", "NodeDown")
    assert silence in amtool(service, "silence", "query", "alertname=RedisDown")
    amtool(service, "silence", "expire", silence)
    wait_for(service, lambda found: found["RedisDown"]["status"]["state"] == "active")


def test_amtool_shows_the_cluster_and_the_configuration(service: Tocsin) -> None:
    """There is no cluster. The configuration has the receivers, and is one that amtool parses."""
    assert "disabled" in amtool(service, "cluster", "show")
    assert 'receiver: "infrastructure"' in amtool(service, "config", "show")
    assert "receiver: infrastructure" in amtool(service, "config", "routes")
