"""Karma and kthxbye, their requests replayed against a service: alerts, groups, silences, an acknowledgement.

Sources: karma `internal/mapper/v017`, `internal/alertmanager`, `ui/src/Components/AlertAck`; kthxbye
`cmd/kthxbye`. Built, each needs a toolchain of its own; what they ask and read is small.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.engines import SECONDS, Tocsin

LABELS = {"alertname": "RedisDown", "service": "redis", "severity": "critical"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Tocsin]:
    """A service with one alert that fires."""
    service = Tocsin("up", TOCSIN_BROKER=f"embedded:{tmp_path}")
    alert = {"labels": LABELS, "annotations": {"summary": "It is down"}}
    assert service.post("/api/v2/alerts", [alert])[0] == 200
    yield service
    service.stop()


def get(service: Tocsin, path: str) -> bytes:
    """An answer, as a client of Go asks for it; it has to be 200."""
    request = urllib.request.Request(
        service.url + path, headers={"User-Agent": "Go-http-client/1.1", "Accept-Encoding": "gzip"}
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as response:
        assert response.status == 200
        return bytes(response.read())


def wait_for(ask: Callable[[], Any]) -> Any:
    """What comes of asking, once it is something."""
    deadline = time.monotonic() + SECONDS
    while not (answer := ask()):
        assert time.monotonic() < deadline
    return answer


def go_time(at: datetime) -> str:
    """As both write times."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def karma_alerts(service: Tocsin) -> list[dict[str, Any]]:
    """The alerts that Karma's decoder makes of the groups; it fails on what it does not take."""
    alerts = []
    for group in json.loads(get(service, "/api/v2/alerts/groups")):
        assert all(isinstance(value, str) for value in group["labels"].values())
        for alert in group["alerts"]:
            status = alert["status"]
            texts = [*alert["labels"].values(), *alert["annotations"].values()]
            assert all(isinstance(text, str) for text in texts)
            assert status["state"] in ("unprocessed", "active", "suppressed")
            alerts.append(
                {
                    "receiver": group["receiver"]["name"],
                    "labels": alert["labels"],
                    "starts": datetime.fromisoformat(alert["startsAt"]),
                    "fingerprint": alert["fingerprint"],
                    "silenced": status["silencedBy"],
                    "inhibited": status["inhibitedBy"],
                }
            )
    return alerts


def silences(service: Tocsin) -> list[dict[str, Any]]:
    """The silences, with the keys that both read."""
    known: list[dict[str, Any]] = json.loads(get(service, "/api/v2/silences"))
    for silence in known:
        assert {"id", "status", "matchers", "createdBy", "comment"} <= set(silence)
        for key in ("startsAt", "endsAt", "updatedAt"):
            assert datetime.fromisoformat(silence[key])
    return known


def test_karma(service: Tocsin) -> None:
    """It reads metrics, groups and silences; its acknowledgement silences the group, and acknowledges the incident."""
    families = list(text_string_to_metric_families(get(service, "/metrics").decode()))
    (alert,) = wait_for(lambda: karma_alerts(service))
    assert (alert["labels"], alert["silenced"], alert["inhibited"]) == (LABELS, [], [])
    assert families
    assert silences(service) == []

    now = datetime.now(UTC)
    acknowledgement = {
        "matchers": [
            {"name": name, "value": value, "isRegex": False, "isEqual": True}
            for name, value in LABELS.items()
        ],
        "startsAt": go_time(now),
        "endsAt": go_time(now + timedelta(minutes=15)),
        "createdBy": "ann",
        "comment": f"ACK! This alert was acknowledged using karma on {now:%a, %d %b %Y %H:%M:%S GMT}",
    }
    status, answer = service.post("/api/v2/silences", acknowledgement)

    assert status == 200
    silenced = wait_for(lambda: [one for one in karma_alerts(service) if one["silenced"]])
    assert silenced[0]["silenced"] == [answer["silenceID"]]
    (incident,) = json.loads(get(service, "/api/v1/incidents"))["items"]
    assert (incident["state"], incident["acknowledged_by"]) == ("acknowledged", "ann")

    request = urllib.request.Request(
        f"{service.url}/api/v2/silence/{answer['silenceID']}", method="DELETE"
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as response:
        assert response.status == 200
    wait_for(lambda: not karma_alerts(service)[0]["silenced"])


def test_kthxbye(service: Tocsin) -> None:
    """It finds the silence that covers an alert, and extends it by sending back what it read."""
    now = datetime.now(UTC)
    silence = {
        "matchers": [{"name": "service", "value": "redis", "isRegex": False, "isEqual": True}],
        "startsAt": go_time(now),
        "endsAt": go_time(now + timedelta(minutes=2)),
        "createdBy": "ann",
        "comment": "ACK! looking",
    }
    _, made = service.post("/api/v2/silences", silence)
    query = "/api/v2/alerts?silenced=true&inhibited=false&active=false&unprocessed=false"

    (used,) = wait_for(lambda: json.loads(get(service, query)))
    assert used["status"]["silencedBy"] == [made["silenceID"]]
    (known,) = [one for one in silences(service) if one["status"]["state"] == "active"]

    later = now + timedelta(minutes=20)
    status, answer = service.post("/api/v2/silences", known | {"endsAt": go_time(later)})

    assert (status, answer["silenceID"]) == (200, made["silenceID"])
    (extended,) = [one for one in silences(service) if one["status"]["state"] == "active"]
    assert datetime.fromisoformat(extended["endsAt"]) == later.replace(microsecond=0)
    assert extended["comment"] == "ACK! looking"
