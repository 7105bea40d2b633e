"""`POST /v2/enqueue`: events of PagerDuty's Events API v2 open, acknowledge and resolve incidents here."""

import asyncio
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bridge.senders.keyed_alerts import KeyedAlerts
from app.history.alert_view import AlertView
from app.intake.pagerduty_events import SENDER, parse_event
from app.settings import HttpSecurity
from models.reason import BadInput
from tests.support.bridge_metrics import refused_count
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import JSON, PARTITIONS, Client, serving, with_bridge
from tests.support.token_files import write
from tests.support.worked_log import TOPICS, WorkedLog

PAYLOAD = {"summary": "Disk full on web1", "source": "web1", "severity": "critical"}
KEY = "a" * 32


def event(action: str = "trigger", **more: Any) -> dict[str, Any]:
    """An event as PagerDuty's clients send it."""
    payload = {"payload": PAYLOAD} if action == "trigger" else {}
    return {"routing_key": KEY, "event_action": action, "dedup_key": "web1/disk", **payload, **more}


def incidents(log: WorkedLog) -> list[dict[str, Any]]:
    """The newest snapshot of each incident."""
    newest: dict[bytes | None, dict[str, Any]] = {}
    for (topic, _), records in log.topics.items():
        if topic == TOPICS.incidents:
            newest |= {record.key: orjson.loads(record.value or b"") for record in records}
    return list(newest.values())


async def enqueue(client: Client, document: Any) -> Any:
    """Status and answer."""
    return await client.ask("POST", "/v2/enqueue", document)


def processed(key: str = "web1/disk") -> tuple[int, dict[str, str]]:
    """PagerDuty's answer to what it took."""
    return 202, {"status": "success", "message": "Event processed", "dedup_key": key}


def test_an_event_opens_an_incident_and_ends_it() -> None:
    """A resolve says nothing but the key, and ends the alert of that key."""
    log = WorkedLog()

    async def talk(client: Client) -> list[Any]:
        answers = [await enqueue(client, event())]
        opened = incidents(log)
        answers.append(await enqueue(client, event("acknowledge", client="nagios")))
        taken = incidents(log)
        answers.append(await enqueue(client, event("resolve")))
        return [answers, opened, taken]

    answers, [opened], [taken] = with_bridge(log, talk)
    [resolved] = incidents(log)

    assert answers == [processed()] * 3
    assert (opened["severity"], opened["state"], opened["component"]) == ("P0", "open", "web1")
    assert opened["alerts"][0]["labels"] == {
        "alertname": "Disk full on web1",
        "component": "web1",
        "instance": "web1",
        "severity": "critical",
        "sender": SENDER,
        "dedup_key": "web1/disk",
    }
    assert (taken["state"], taken["acknowledged_by"]) == (
        "acknowledged",
        f"nagios (via {SENDER})",
    )
    assert resolved["state"] == "resolved"


def test_another_bridge_ends_what_this_one_took() -> None:
    """It finds the labels of the key in the view of the alerts that fire."""
    log = WorkedLog()
    with_bridge(log, lambda client: enqueue(client, event()))
    with_bridge(log, lambda client: enqueue(client, event("resolve")))

    assert [incident["state"] for incident in incidents(log)] == ["resolved"]


def test_a_key_has_one_alert() -> None:
    """A trigger of the same key with another severity ends the alert of before."""
    log = WorkedLog()

    async def talk(client: Client) -> None:
        await enqueue(client, event())
        await enqueue(client, event(payload=PAYLOAD | {"severity": "warning"}))

    with_bridge(log, talk)
    [incident] = incidents(log)

    firing = [alert for alert in incident["alerts"] if alert["status"] == "firing"]
    assert [alert["labels"]["severity"] for alert in firing] == ["warning"]


def test_what_nobody_knows_is_taken_and_does_nothing() -> None:
    """As with PagerDuty: whoever sends it cannot know."""
    log = WorkedLog()

    async def talk(client: Client) -> list[Any]:
        return [await enqueue(client, event(action)) for action in ("resolve", "acknowledge")]

    assert with_bridge(log, talk) == [processed(), processed()]
    assert incidents(log) == []


def test_details_that_nobody_can_read_keep_nobody_from_being_paged() -> None:
    """They are nested too deep to be written again; the alert counts without them."""
    details: Any = "deep"
    for _ in range(300):
        details = [details]
    body = json.dumps(event(payload=PAYLOAD | {"custom_details": details})).encode()
    log = WorkedLog()

    async def talk(client: Client) -> Any:
        return await client.ask("POST", "/v2/enqueue", body, JSON)

    assert with_bridge(log, talk) == processed()
    assert [incident["severity"] for incident in incidents(log)] == ["P0"]


def test_a_trigger_without_a_key_gets_one() -> None:
    """And is told it, so that it can end its alert."""
    document = event()
    del document["dedup_key"]

    status, answer = with_bridge(WorkedLog(), lambda client: enqueue(client, document))

    assert (status, len(answer["dedup_key"])) == (202, 32)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ([], "the body is a list, must be an event"),
        ({}, "'event_action' is None, must be one of trigger, acknowledge, resolve"),
        (event("close"), "'event_action' is 'close', must be one of trigger, acknowledge, resolve"),
        (event("resolve", dedup_key=None), "'dedup_key' is missing, must be for resolve"),
        (event(dedup_key=7), "'dedup_key' is a number, must be a text"),
        (event(dedup_key="x" * 256), "'dedup_key' has 256 characters, must have at most 255"),
        (event(payload=None), "'payload' is null, must be an object"),
        (event(payload={}), "'payload.summary' is missing, must be a text"),
        (event(payload={"summary": "a"}), "'payload.source' is missing, must be a text"),
        (
            event(payload=PAYLOAD | {"severity": "P1"}),
            "'payload.severity' is 'P1', must be one of critical, error, warning, info",
        ),
        (
            event(payload=PAYLOAD | {"timestamp": "soon"}),
            "[0].startsAt: is 'soon', must be an RFC 3339 time",
        ),
    ],
)
def test_a_wrong_event_is_answered_in_its_shape(document: Any, text: str) -> None:
    """With the reason, which is counted; nothing of it is kept."""
    log, reasons = FakeLog(), ("malformed", "too_large", "bad_time")
    before = sum(map(refused_count, reasons))

    answer = with_bridge(log, lambda client: enqueue(client, document))

    body = {"status": "invalid event", "message": "Event object is invalid", "errors": [text]}
    assert answer == (400, body)
    assert (log.batches, sum(map(refused_count, reasons))) == ([], before + 1)


@pytest.mark.parametrize(
    ("key", "status"), [(KEY, 202), ("b" * 32, 400), ("c" * 32, 400), ("", 400)]
)
def test_a_routing_key_is_a_token_that_may_send(tmp_path: Path, key: str, status: int) -> None:
    """Another is answered as PagerDuty answers it."""
    write(tmp_path / "tokens", f"pager send {KEY}\nboard read {'b' * 32}\n")
    http = HttpSecurity(tokens_file=str(tmp_path / "tokens"))

    async def scenario() -> Any:
        async with serving(FakeLog(), http=http) as client:
            return await enqueue(client, event(routing_key=key))

    found, answer = asyncio.run(scenario())

    assert found == status
    assert status == 202 or answer["errors"] == ["'routing_key' is invalid"]


def test_a_page_of_a_stranger_sends_no_event() -> None:
    """Without tokens, a browser has to ask by a name of this machine."""

    async def talk(client: Client) -> int:
        headers = {**JSON, "Host": "x.example", "Origin": "http://x.example"}
        return (await client.ask("POST", "/v2/enqueue", event(), headers))[0]

    assert with_bridge(FakeLog(), talk) == 403


@given(
    st.dictionaries(
        st.sampled_from(
            ["routing_key", "event_action", "dedup_key", "payload", "client", "links", "images"]
        ),
        st.recursive(
            st.none()
            | st.booleans()
            | st.floats(allow_nan=False)
            | st.text()
            | st.sampled_from(["trigger", "resolve", "acknowledge"]),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["summary", "source", "severity", "custom_details", "x"]),
                    inner | st.just("critical"),
                    max_size=5,
                )
            ),
            max_leaves=8,
        ),
    )
)
def test_any_event_is_read_or_refused(document: dict[str, Any]) -> None:
    """And nothing else is raised."""
    try:
        key = parse_event(document).key
    except BadInput as refusal:
        key = refusal.message

    assert key


def test_the_end_of_an_unknown_key_is_nothing() -> None:
    """And a key is forgotten with its end."""
    keyed = KeyedAlerts(AlertView(FakeLog(), TOPICS.alerts, PARTITIONS))
    labels = {"sender": "s", "dedup_key": "k"}
    firing = {"status": "firing", "labels": labels | {"alertname": "A", "empty": ""}}
    ended = {"status": "resolved", "labels": labels}

    async def scenario() -> list[Any]:
        return [await keyed.entries(one) for one in (ended, firing, ended, ended)]

    whole = labels | {"alertname": "A"}
    assert asyncio.run(scenario()) == [
        [],
        [{"status": "firing", "labels": whole}],
        [{"status": "resolved", "labels": whole}],
        [],
    ]
