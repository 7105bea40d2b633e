"""Webhooks of foreign shapes become alerts by a mapping; a body that cannot be mapped is refused, never a fault."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.intake.cloud_events import BATCH, STRUCTURED, events_of
from app.intake.mapped_webhooks import ALERTS_MAX, BODY_BYTES_MAX, mapped_entries, parse_mapped
from app.intake.shipped_mappings import SHIPPED
from models.policy.webhook_mapping import WebhookMapping
from models.reason import BadInput, Reason

ZABBIX = {
    "event_id": "812",
    "event_value": "1",
    "event_name": "Free disk space is less than 20% on volume /",
    "event_severity": "High",
    "event_opdata": "12 %",
    "host_name": "db01",
    "host_ip": "10.0.0.5",
    "trigger_id": "16073",
    "event_tags": [{"tag": "scope", "value": "capacity"}],
    "event_url": "https://zabbix.example/tr_events.php?eventid=812",
}
DATADOG = {
    "id": "2468",
    "alert_id": "1357",
    "alert_title": "CPU is high",
    "alert_transition": "Triggered",
    "alert_type": "error",
    "aggreg_key": "9bd4ac31",
    "hostname": "web-3",
    "title": "[Triggered] CPU is high on web-3",
    "body": "%%% avg(last_5m) > 90 %%%",
    "link": "https://app.datadoghq.example/monitors/1357",
    "tags": "env:prod,service:web",
}
SENTRY_ISSUE = {
    "action": "triggered",
    "data": {
        "event": {
            "issue_id": "1117540176",
            "title": "TypeError: x is undefined",
            "level": "error",
            "project": 1,
            "culprit": "app.views in checkout",
            "web_url": "https://sentry.example/organizations/o/issues/1117540176/",
        },
        "triggered_rule": "Very important rule",
    },
}
SENTRY_METRIC = {
    "action": "critical",
    "data": {
        "description_text": "1000 events in the last 10 minutes",
        "description_title": "Critical: Too many errors",
        "metric_alert": {
            "id": "4",
            "alert_rule": {"name": "Too many errors"},
            "projects": ["backend"],
        },
        "web_url": "https://sentry.example/alerts/4/",
    },
}
KUMA = {
    "heartbeat": {"monitorID": 7, "status": 0, "msg": "timeout", "important": True},
    "monitor": {"id": 7, "name": "shop", "url": "https://shop.example", "hostname": None},
    "msg": "[shop] [Down] timeout",
}
EVENT = {
    "specversion": "1.0",
    "id": "A1",
    "source": "/backup",
    "type": "org.example.backup.failed",
    "subject": "nightly",
    "time": "2026-04-12T03:15:02Z",
    "severity": "high",
    "data": {"message": "disk full", "status": "firing"},
}
SAMPLES: dict[str, tuple[str, dict[str, Any], dict[str, str], str]] = {
    "zabbix": (
        "zabbix",
        ZABBIX,
        {
            "alertname": "Free disk space is less than 20% on volume /",
            "component": "db01",
            "instance": "10.0.0.5",
            "severity": "High",
            "trigger_id": "16073",
            "dedup_key": "812",
        },
        "https://zabbix.example/tr_events.php?eventid=812",
    ),
    "datadog": (
        "datadog",
        DATADOG,
        {
            "alertname": "CPU is high",
            "component": "web-3",
            "instance": "web-3",
            "severity": "error",
            "dedup_key": "9bd4ac31",
        },
        "https://app.datadoghq.example/monitors/1357",
    ),
    "sentry, an issue": (
        "sentry",
        SENTRY_ISSUE,
        {
            "alertname": "TypeError: x is undefined",
            "component": "1",
            "severity": "error",
            "rule": "Very important rule",
            "dedup_key": "1117540176",
        },
        "https://sentry.example/organizations/o/issues/1117540176/",
    ),
    "sentry, a metric": (
        "sentry",
        SENTRY_METRIC,
        {
            "alertname": "Too many errors",
            "component": "backend",
            "severity": "critical",
            "dedup_key": "4",
        },
        "https://sentry.example/alerts/4/",
    ),
    "uptime-kuma": (
        "uptime-kuma",
        KUMA,
        {
            "alertname": "Down: shop",
            "component": "shop",
            "instance": "https://shop.example",
            "severity": "critical",
            "dedup_key": "7",
        },
        "https://shop.example",
    ),
    "cloudevents": (
        "cloudevents",
        EVENT,
        {
            "alertname": "org.example.backup.failed",
            "component": "nightly",
            "instance": "/backup",
            "severity": "high",
            "dedup_key": "nightly",
        },
        "",
    ),
}
ENDS: dict[str, tuple[str, dict[str, Any], str]] = {
    "zabbix": ("zabbix", ZABBIX | {"event_value": "0"}, "812"),
    "zabbix, a number": ("zabbix", ZABBIX | {"event_value": 0}, "812"),
    "datadog": ("datadog", DATADOG | {"alert_transition": "Recovered"}, "9bd4ac31"),
    "sentry, an issue": (
        "sentry",
        {"action": "resolved", "data": {"issue": {"id": "1117540176", "title": "TypeError"}}},
        "1117540176",
    ),
    "sentry, a metric": ("sentry", SENTRY_METRIC | {"action": "resolved"}, "4"),
    "uptime-kuma": ("uptime-kuma", KUMA | {"heartbeat": {"status": 1, "msg": "200 - OK"}}, "7"),
    "cloudevents": ("cloudevents", EVENT | {"data": {"status": "resolved"}}, "nightly"),
}


@pytest.mark.parametrize(("name", "body", "labels", "url"), SAMPLES.values(), ids=SAMPLES)
def test_shipped_mappings_read_what_is_sent(
    name: str, body: dict[str, Any], labels: dict[str, str], url: str
) -> None:
    """A sample of each sender becomes an alert with these labels."""
    [entry] = mapped_entries(name, SHIPPED[name], body)

    assert (entry["status"], entry["generatorURL"]) == ("firing", url)
    assert entry["labels"] == {"sender": name} | labels
    assert entry["annotations"]["summary"]


@pytest.mark.parametrize(("name", "body", "key"), ENDS.values(), ids=ENDS)
def test_shipped_mappings_read_ends(name: str, body: dict[str, Any], key: str) -> None:
    """With the key of the beginning."""
    [entry] = mapped_entries(name, SHIPPED[name], body)

    assert (entry["status"], entry["labels"]["dedup_key"]) == ("resolved", key)


@pytest.mark.parametrize(
    "body",
    [
        {"heartbeat": None, "monitor": None, "msg": "Test message"},
        KUMA | {"heartbeat": {"status": 2}},
        KUMA | {"heartbeat": {"status": 3}},
    ],
    ids=["test", "pending", "maintenance"],
)
def test_what_is_no_alert_is_none(body: dict[str, Any]) -> None:
    """A test message, and what is neither up nor down, is taken, and nothing is made of it."""
    assert mapped_entries("uptime-kuma", SHIPPED["uptime-kuma"], body) == []


def mapping(**parts: Any) -> WebhookMapping:
    """A mapping with these parts."""
    return WebhookMapping.model_validate({"labels": {"alertname": "name"}} | parts)


def test_a_list_of_alerts() -> None:
    """Each is an alert; numbers, lists and objects become texts, and null becomes nothing."""
    made = mapping(
        alerts="items[]", labels={"alertname": "name", "n": "number", "l": "list", "x": "absent"}
    )
    body = {"items": [{"name": "A", "number": 7, "list": [1, {}]}, {"name": " B ", "number": None}]}

    entries = mapped_entries("own", made, body)

    assert [entry["labels"] for entry in entries] == [
        {"sender": "own", "alertname": "A", "n": "7", "l": "[1,{}]"},
        {"sender": "own", "alertname": "B"},
    ]


@pytest.mark.parametrize(
    ("made", "body", "reason", "text"),
    [
        (mapping(), {}, Reason.NO_LABELS, "labels.alertname: 'name' gives nothing for an object"),
        (mapping(), 7, Reason.NO_LABELS, "labels.alertname: 'name' gives nothing for a number"),
        (
            mapping(labels={"alertname": "length(name)"}),
            {"name": 7},
            Reason.MALFORMED,
            "labels.alertname: 'length(name)' cannot be evaluated",
        ),
        (
            mapping(alerts="items"),
            {"items": [{"name": "A"}] * (ALERTS_MAX + 1)},
            Reason.TOO_LARGE,
            "the body has 1001 alerts, must have at most 1000",
        ),
    ],
)
def test_a_body_that_cannot_be_mapped(
    made: WebhookMapping, body: Any, reason: Reason, text: str
) -> None:
    """It is refused with the part and the expression."""
    with pytest.raises(BadInput) as refusal:
        mapped_entries("own", made, body)

    assert refusal.value.reason is reason
    assert refusal.value.message.startswith(text)


def test_a_large_body_is_refused() -> None:
    """Before it is parsed."""
    assert parse_mapped(b"{}".ljust(BODY_BYTES_MAX)) == {}
    with pytest.raises(BadInput, match="must have at most 1048576"):
        parse_mapped(b"{}".ljust(BODY_BYTES_MAX + 1))


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"labels": {}}, "has no alertname"),
        ({"labels": {"alertname": ""}}, "at least 1 character"),
        ({"labels": {"alertname": "a["}}, "must be a JMESPath expression"),
        ({"labels": {"alertname": "nope(a)"}}, "JMESPath has no function 'nope'"),
        ({"resolved": "a" * 501}, "at most 500 characters"),
        ({"resolved": " || ".join("a" * 60)}, "must have at most 100"),
        ({"alerts": "(" * 240 + "a" + ")" * 240}, ""),
        ({"sevrity": "a"}, "Extra inputs"),
    ],
)
def test_a_wrong_mapping_is_a_mistake_of_the_policy(parts: dict[str, Any], text: str) -> None:
    """It is told when the policy is read, and not when a webhook comes."""
    try:
        mapping(**parts)
    except ValidationError as error:
        found = str(error)
    else:
        found = ""

    assert text in found


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "heartbeat",
                    "monitor",
                    "status",
                    "name",
                    "data",
                    "event",
                    "issue",
                    "metric_alert",
                    "action",
                    "projects",
                    "event_value",
                    "title",
                    "id",
                    "level",
                    "msg",
                    "type",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", SHIPPED)
@given(body=_JSON)
def test_any_body_is_mapped_or_refused(name: str, body: Any) -> None:
    """By each shipped mapping, and nothing else is raised."""
    try:
        entries = mapped_entries(name, SHIPPED[name], body)
    except BadInput:
        entries = []

    assert all(isinstance(text, str) for entry in entries for text in entry["labels"].values())


HEADERS = {"ce-id": "A1", "ce-source": "/backup", "ce-specversion": "1.0", "ce-type": "t"}


def test_binary_and_structured_events_are_alike() -> None:
    """Headers are attributes, percent-encoded, in any case."""
    headers = HEADERS | {"CE-Subject": "n%C3%A9", "Content-Type": "application/json"}
    structured: dict[str, Any] = {
        "id": "A1",
        "source": "/backup",
        "specversion": "1.0",
        "type": "t",
    }
    structured |= {"subject": "né", "data": {"a": 1}}

    [binary] = events_of("application/json", headers, {"a": 1})

    assert binary == structured
    assert events_of(STRUCTURED, {}, structured) == [structured]
    assert events_of(BATCH, {}, [structured] * 2) == [structured] * 2


@pytest.mark.parametrize(
    ("content_type", "document", "text"),
    [
        (STRUCTURED, [], "the body: is a list, must be an event"),
        (STRUCTURED, {"id": "a"}, "the body: source is None, must be a text of an event"),
        (
            STRUCTURED,
            EVENT | {"specversion": "0.3"},
            "the body: specversion is '0.3', must be '1.0'",
        ),
        (BATCH, {}, "the body is an object, must be a list of events"),
        (BATCH, [EVENT, 7], "[1]: is a number, must be an event"),
        (BATCH, [EVENT] * 1001, "the body has 1001 events, must have at most 1000"),
        ("application/json", {}, "the headers ce-*: id is None, must be a text of an event"),
    ],
)
def test_what_is_no_event(content_type: str, document: Any, text: str) -> None:
    """It is refused by what is missing."""
    with pytest.raises(BadInput) as refusal:
        events_of(content_type, {}, document)

    assert refusal.value.message == text
