"""Moving from a real Alertmanager as docs/MOVING.md says: import, run beside it, compare."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import main
from deploy.kafka.secured import free_ports
from tests.integration.servers import server
from tests.support.engines import SECONDS, Tocsin

CONFIGURATION = """
route:
  receiver: everybody
  group_by: [alertname, service]
  routes:
    - {matchers: [severity="critical"], receiver: on call, continue: true}
    - {matchers: [service="postgres"], receiver: databases}
inhibit_rules:
  - {source_matchers: [severity="critical"], target_matchers: [severity="warning"], equal: [service]}
receivers: [{name: everybody}, {name: on call}, {name: databases}]
"""
ALERTS = (
    ["alertname=DatabaseDown", "service=postgres", "severity=critical", "instance=db-1"],
    ["alertname=DiskFull", "service=postgres", "severity=warning", "instance=db-1"],
    ["alertname=SlowPages", "service=web", "severity=warning"],
)


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """The URL of a real Alertmanager."""
    (tmp_path / "alertmanager.yml").write_text(CONFIGURATION)
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    command = [
        "prometheus-alertmanager",
        f"--config.file={tmp_path / 'alertmanager.yml'}",
        f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--cluster.listen-address=",
    ]
    with server(tmp_path, command, f"{url}/-/ready"):
        yield url


def amtool(url: str, *arguments: str) -> str:
    """What amtool prints."""
    command = ["amtool", f"--alertmanager.url={url}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout


def test_both_notify_the_same(
    alertmanager: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Under the imported policy both notify the same receivers; a silence of one side is shown."""
    policy = tmp_path / "policy.yaml"
    assert (
        main(["policy", "import", str(tmp_path / "alertmanager.yml"), "--output", str(policy)]) == 0
    )
    monkeypatch.setenv("TOCSIN_POLICY", str(policy))
    tocsin = Tocsin("up", TOCSIN_BROKER=f"embedded:{tmp_path / 'journal'}")
    monkeypatch.setenv("TOCSIN_URL", tocsin.url)
    for url in (alertmanager, tocsin.url):
        for labels in ALERTS:
            amtool(url, "alert", "add", *labels)

    def compared() -> dict[str, Any]:
        capsys.readouterr()
        main(["compare-alertmanager", alertmanager, "--json"])
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    until = time.monotonic() + SECONDS
    while (known := compared())["same"] != len(ALERTS):
        assert time.monotonic() < until, known
    assert known["differences"] == []

    amtool(alertmanager, "silence", "add", "service=web", "--author=a", "--comment=c")

    (difference,) = compared()["differences"]
    assert difference["alertmanager"] == {"receivers": [], "why": "silenced"}
    assert difference["tocsin"] == {"receivers": ["everybody"], "why": ""}
    tocsin.stop()
