"""Webhooks with a mapping, CloudEvents and Grafana's webhook, through a bridge to a worker."""

import json
import logging
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.bridge.connections.refusals import forget_logged
from app.core.rules.compiled_policy import CompiledPolicy
from tests.support.bridge_metrics import refused_count
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import JSON, Client, with_bridge
from tests.support.shipped_policy import shipped
from tests.support.worked_log import WorkedLog
from tests.unit.bridge.test_pagerduty_events import incidents
from tests.unit.intake.test_mapped_webhooks import DATADOG, EVENT, KUMA, SENTRY_METRIC, ZABBIX

GRAFANA = Path(__file__).parents[4] / "shared" / "cases" / "alerts" / "11-grafana-webhook.json"
STRUCTURED = {"Content-Type": "application/cloudevents+json"}


def taken(number: int) -> tuple[int, dict[str, Any]]:
    """The answer to so many alerts."""
    return 200, {"status": "success", "accepted": number}


@pytest.mark.parametrize(
    ("name", "begin", "end"),
    [
        ("zabbix", ZABBIX, ZABBIX | {"event_value": "0", "event_severity": "Information"}),
        ("datadog", DATADOG, DATADOG | {"alert_transition": "Recovered", "alert_type": "success"}),
        ("sentry", SENTRY_METRIC, SENTRY_METRIC | {"action": "resolved"}),
        ("uptime-kuma", KUMA, KUMA | {"heartbeat": {"status": 1, "msg": "ok"}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_webhook_opens_an_incident_and_ends_it(name: str, begin: Any, end: Any) -> None:
    """Also where the end has another severity than the beginning."""
    log = WorkedLog()

    async def talk(client: Client) -> list[Any]:
        path = f"/api/v1/webhooks/{name}"
        answers = [await client.ask("POST", path, begin)]
        states = [incident["state"] for incident in incidents(log)]
        return [*answers, states, await client.ask("POST", path, end)]

    assert with_bridge(log, talk) == [taken(1), ["open"], taken(1)]
    assert [incident["state"] for incident in incidents(log)] == ["resolved"]


def test_a_policy_has_mappings_of_its_own() -> None:
    """One of a name that ships with Tocsin comes instead of it."""
    own = {"labels": {"alertname": "what", "severity": "'critical'"}, "resolved": "over"}
    policy = CompiledPolicy(shipped().document | {"webhooks": {"zabbix": own}})
    log = FakeLog()

    async def talk(client: Client) -> Any:
        return await client.ask("POST", "/api/v1/webhooks/zabbix", {"what": "A", "over": False})

    answer = with_bridge(log, talk, policy=policy)

    [(_, [record])] = log.batches
    assert answer == taken(1)
    assert orjson.loads(record.value or b"")["labels"] == {
        "alertname": "A",
        "severity": "critical",
        "sender": "zabbix",
    }


def test_an_unknown_mapping_is_refused() -> None:
    """With the names that there are; it is counted."""
    before = refused_count("unknown_name")

    status, answer = with_bridge(
        FakeLog(), lambda client: client.ask("POST", "/api/v1/webhooks/zabix", ZABBIX)
    )

    text = "there is no mapping 'zabix', must be one of cloudevents, cloudwatch, datadog, sentry, uptime-kuma"
    text += ", zabbix, or of the policy's `webhooks`; did you mean 'zabbix'?"
    assert (status, answer["error"]) == (404, text)
    assert refused_count("unknown_name") == before + 1


@pytest.mark.parametrize(
    ("body", "headers", "number"),
    [
        (EVENT, STRUCTURED, 1),
        (
            [EVENT, EVENT | {"subject": "b"}],
            {"Content-Type": "application/cloudevents-batch+json"},
            2,
        ),
        (
            {"message": "m"},
            JSON | {"ce-id": "1", "ce-source": "s", "ce-specversion": "1.0", "ce-type": "t"},
            1,
        ),
        (
            EVENT | {"data": [{"labels": {"alertname": "A"}}, {"labels": {"alertname": "B"}}]},
            STRUCTURED,
            2,
        ),
        (EVENT | {"data": {"labels": {"alertname": "A"}}}, STRUCTURED, 1),
    ],
    ids=["structured", "batch", "binary", "alerts", "alert"],
)
def test_cloud_events(body: Any, headers: dict[str, str], number: int) -> None:
    """In each way of HTTP; data that are alerts are taken as they are."""
    log = FakeLog()

    async def talk(client: Client) -> Any:
        return await client.ask("POST", "/api/v1/cloudevents", body, headers)

    assert with_bridge(log, talk) == taken(number)
    assert sum(len(batch) for _, batch in log.batches) == number


GRAFANA_MESSAGE = {
    "receiver": "tocsin",
    "status": "firing",
    "orgId": 1,
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "HighLatency", "severity": "critical", "component": "web"},
            "annotations": {"summary": "slow"},
            "startsAt": "2026-11-30T09:59:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "values": {"B": 22.5},
            "silenceURL": "http://grafana.example/alerting/silence/new",
            "dashboardURL": "",
        }
    ],
    "version": "1",
    "truncatedAlerts": 0,
    "title": "[FIRING:1] HighLatency",
    "state": "alerting",
}


@pytest.mark.parametrize("is_file", [False, True], ids=["message", "file"])
def test_grafana_sends_alerts(*, is_file: bool) -> None:
    """Its message has the version 1 and more fields; the alert is taken."""
    if is_file and not GRAFANA.exists():
        pytest.skip("the recorded message is not on this machine")
    log, body = WorkedLog(), GRAFANA.read_bytes() if is_file else orjson.dumps(GRAFANA_MESSAGE)

    async def talk(client: Client) -> Any:
        return await client.ask("POST", "/webhook/alertmanager", body)

    assert with_bridge(log, talk) == taken(1)
    assert [one["alerts"][0]["labels"]["alertname"] for one in incidents(log)] == ["HighLatency"]


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=20)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "/api/v1/webhooks/zabbix",
                    "/api/v1/webhooks/sentry",
                    "/api/v1/webhooks/uptime-kuma",
                    "/api/v1/cloudevents",
                    "/v2/enqueue",
                    "/api/v1/incidents",
                ]
            ),
            st.binary(max_size=40)
            | st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(max_size=8),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(
                        st.sampled_from(
                            ["data", "heartbeat", "monitor", "payload", "event_action"]
                        ),
                        inner,
                        max_size=4,
                    )
                ),
                max_leaves=6,
            ).map(lambda document: json.dumps(document).encode()),
            st.sampled_from(
                [JSON, STRUCTURED, {"Content-Type": "application/cloudevents-batch+json"}]
            ),
        ),
        max_size=8,
    )
)
def test_no_body_is_a_fault(requests: list[tuple[str, bytes, dict[str, str]]]) -> None:
    """Whatever is sent, the answer is no 5xx."""

    async def talk(client: Client) -> list[int]:
        return [(await client.ask("POST", path, body, h))[0] for path, body, h in requests]

    assert all(status < 500 for status in with_bridge(FakeLog(), talk))


def test_refusals_are_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """By reason: each is counted, and one a minute is a line of the log, in which nothing is obeyed."""
    forget_logged()
    caplog.set_level(logging.INFO, "tocsin.bridge")
    before = refused_count("malformed"), refused_count("no_labels")
    bad = [{"labels": {"alertname": "A"}, "status": "\x1b[31mred"}, 7, {"labels": {}}]

    async def talk(client: Client) -> list[int]:
        return [(await client.post(bad))[0] for _ in range(2)]

    statuses = with_bridge(FakeLog(), talk)

    lines = [one.getMessage() for one in caplog.records if "refused" in one.getMessage()]
    after = refused_count("malformed"), refused_count("no_labels")
    assert (statuses, after) == ([400, 400], (before[0] + 4, before[1] + 2))
    assert [line.partition(":")[0] for line in lines] == [
        "refused, malformed",
        "refused, no_labels",
    ]
    assert "\x1b" not in "".join(lines)
