"""A policy that changes while worker and bridge run on a real Kafka."""

import json
import signal
import urllib.request
from pathlib import Path
from typing import Any

from tests.integration.worker_proof import proven, settings_on, wait_for_checkpoint
from tests.support.engines import Tocsin, wait_until
from tests.support.policy_owners import TEXT, fingerprint_of, text_of

MORE = TEXT.replace("  labels: [component,", "  labels: [site, component,")


def test_worker_and_bridge_follow_their_policy_files(broker: str, tmp_path: Path) -> None:
    """The worker decides by the new policy from its record on, the bridge keys new alerts by it.

    A replay agrees.
    """
    file = tmp_path / "policy.yaml"
    file.write_text(text_of("data"))
    settings = settings_on(broker, "reload") | {"TOCSIN_POLICY": str(file)}
    bridge, worker = Tocsin("bridge", **settings), Tocsin("worker", **settings)
    number = 0

    def found() -> set[tuple[str, str, str]]:
        """Component's beginning, owner and policy of the incidents of new alerts of every partition."""
        nonlocal number
        number += 1
        names = [f"{one}-{number}" for one in range(16)]
        alerts = [
            {"labels": {"alertname": "A", "component": f"c{name}", "site": f"s{name}"}}
            for name in names
        ]
        assert bridge.post("/api/v2/alerts", alerts)[0] == 200
        known: list[dict[str, Any]] = []

        def all_there() -> bool:
            with urllib.request.urlopen(f"{bridge.url}/api/v1/incidents?limit=1000") as answer:
                known[:] = [
                    one
                    for one in json.loads(answer.read())["items"]
                    if one["component"][1:] in names
                ]
            return len(known) == len(names)

        wait_until(all_there, "the incidents are open")
        return {(one["component"][0], one["owner"], one["policy"]) for one in known}

    first = found()
    file.write_text(text_of("ai"))
    worker.process.send_signal(signal.SIGHUP)
    wait_until(
        lambda: found() == {("c", "ai", fingerprint_of("ai"))}, "the worker's policy is in force"
    )
    file.write_text(text_of("ai").replace("close_after: 5m", "close_after: 5 m"))
    refused = bridge.post("/-/reload", b"")
    file.write_text(MORE)
    changed = bridge.post("/-/reload", b"")
    wait_until(
        lambda: {one[:2] for one in found()} == {("s", "infrastructure")},
        "both follow the file by themselves",
    )
    wait_for_checkpoint(broker, "reload")
    worker.stop()
    bridge.stop()

    assert first == {("c", "data", fingerprint_of("data"))}
    assert (refused[0], refused[1]["reason"], len(refused[1]["problems"])) == (400, "malformed", 1)
    assert (changed[0], changed[1]["changed"]) == (200, True)
    assert proven(broker, "reload")["policies"] > 0
