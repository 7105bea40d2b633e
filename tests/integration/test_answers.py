"""A bridge apart from its worker, on a real Kafka: commands and silences answer with what came of them."""

import json
import time
import urllib.request
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.engines import Tocsin, wait_until

ALERT = {"alertname": "HighErrorRate", "severity": "critical", "component": "api"}
SILENCE = {
    "matchers": [{"name": "alertname", "value": "HighErrorRate"}],
    "endsAt": "1h",
    "createdBy": "ann",
    "comment": "Investigating",
}


@pytest.fixture
def pair(broker: str) -> Iterator[tuple[Tocsin, Tocsin]]:
    """A worker and a bridge, each a process of its own."""
    settings = {"TOCSIN_BROKER": broker, "TOCSIN_PREFIX": f"t{uuid4().hex[:8]}"}
    worker = Tocsin("worker", **settings)
    bridge = Tocsin("bridge", **settings)
    yield worker, bridge
    bridge.stop()
    worker.stop()


def test_commands_answer(pair: tuple[Tocsin, Tocsin]) -> None:
    """What a worker elsewhere made of a command is the bridge's answer."""
    _, bridge = pair
    bridge.post("/api/v2/alerts", [{"labels": ALERT}])
    incident = opened(bridge)

    path = f"/api/v1/incidents/{incident}"
    begun = time.monotonic()
    acknowledged = bridge.post(f"{path}/acknowledge", {"by": "ann"})
    refused = bridge.post(f"{path}/reopen", {"by": "ann"})

    assert (acknowledged[0], acknowledged[1]["state"]) == (200, "acknowledged")
    assert (refused[0], refused[1]["reason"]) == (409, "illegal_transition")
    print(f"two answers took {time.monotonic() - begun:.3f} s")  # noqa: T201  a figure to look at


def test_a_silence_answers(pair: tuple[Tocsin, Tocsin]) -> None:
    """Every partition of the worker says what a silence does."""
    _, bridge = pair
    bridge.post("/api/v2/alerts", [{"labels": ALERT}])
    incident = opened(bridge)

    status, answer = bridge.post("/api/v2/silences", SILENCE)

    assert (status, answer["acknowledged"], answer["mutes_total"]) == (200, [incident], 1)
    assert answer["complete"]


def opened(bridge: Tocsin) -> str:
    """The only incident, once it is there."""
    found: list[str] = []

    def is_there() -> bool:
        with urllib.request.urlopen(f"{bridge.url}/api/v1/incidents") as response:
            found.extend(one["incident"] for one in json.loads(response.read())["items"])
        return bool(found)

    wait_until(is_there, "an incident is open")
    return found[0]
