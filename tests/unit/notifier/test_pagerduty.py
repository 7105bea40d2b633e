"""PagerDuty: what rings, what is appended, what is closed; and the official client as an oracle."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import orjson
import pagerduty
import pytest

from app.notifier.channel import Context
from app.notifier.channels.pagerduty import EVENT_BYTES_MAX, PagerDuty, PagerDutyConfig, make
from app.notifier.outcome import Refused, Sent, TryAgain
from tests.support.asynchronous import asynchronous
from tests.support.notifications import (
    ACKNOWLEDGED,
    INFORMED,
    OPENED,
    RESOLVED,
    UPDATED,
    hostile,
    large,
)
from tests.support.receivers.context import local_context
from tests.support.receivers.pagerduty import ROUTING_KEY, PagerDutyServer
from tests.support.receivers.server import Fault

KEY = OPENED.dedup_key


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PD_KEY", ROUTING_KEY)


def channel(server: PagerDutyServer, context: Context) -> PagerDuty:
    """A channel to the server."""
    return make(PagerDutyConfig(routing_key_env="PD_KEY", url=f"{server.url}/v2/enqueue"), context)


@asynchronous
async def test_an_incident_rings_once_and_closes() -> None:
    """Trigger, acknowledge and resolve are three events with one key; updates are none."""
    async with PagerDutyServer() as server, local_context() as context:
        pager, memory = channel(server, context), ""
        for notification in (OPENED, OPENED, UPDATED, INFORMED, ACKNOWLEDGED, RESOLVED):
            memory = (await pager.send(notification, "ops-primary", memory, notification.id)).memory

    assert server.rings == [KEY]
    assert server.log == [
        f"trigger {KEY}",
        f"trigger {KEY}",
        f"acknowledge {KEY}",
        f"resolve {KEY}",
    ]
    assert server.alerts == {KEY: "resolved"}


@asynchronous
async def test_a_new_episode_rings_anew_and_all_are_closed() -> None:
    """An incident that fires again after it was acknowledged rings, and both alerts are resolved in the end."""
    again = replace(OPENED, episode=2, dedup_key=f"{OPENED.incident}/2")
    over = replace(RESOLVED, episode=2, dedup_key=f"{OPENED.incident}/2")
    async with PagerDutyServer() as server, local_context() as context:
        pager, memory = channel(server, context), ""
        for notification in (OPENED, ACKNOWLEDGED, again, over):
            memory = (await pager.send(notification, "", memory, notification.id)).memory

    assert server.rings == [f"{OPENED.incident}/1", f"{OPENED.incident}/2"]
    assert server.alerts == {f"{OPENED.incident}/1": "resolved", f"{OPENED.incident}/2": "resolved"}
    assert memory == '{"open":[]}'


@asynchronous
async def test_without_a_memory_every_episode_is_closed() -> None:
    """A notifier that lost its memory resolves all episodes up to the one that it hears of, at most twenty."""
    async with PagerDutyServer() as server, local_context() as context:
        over = replace(RESOLVED, episode=30, dedup_key=f"{OPENED.incident}/30")
        await channel(server, context).send(over, "", "", "id")

    assert server.log == [f"resolve {OPENED.incident}/{episode}" for episode in range(11, 31)]


@asynchronous
async def test_an_event_has_what_the_responder_needs() -> None:
    """The whole event."""
    async with PagerDutyServer() as server, local_context() as context:
        sent = await channel(server, context).send(OPENED, "", "", OPENED.id)

    incident = f"https://tocsin.example.org/incidents/{OPENED.incident}"
    details = {
        "how_bad": "P0 (critical), 1 of 1 alert firing",
        "where": "cluster prod, namespace shop, pod checkout-7d9",
        "since": "2026-04-12 03:15 UTC, for 12m",
        "owner": "ops",
        "why_you": "On-call SRE: step 2 of 4: not acknowledged for 5m (rule page-ops)",
        "incident": OPENED.incident,
        "text": "Pod is crash looping.",
        "first_step": "Read the pod's last log.",
        "command": "kubectl -n shop logs checkout-7d9 --previous",
        "alerts": [
            {
                "status": "firing",
                "severity": "P0",
                "starts_at": "2026-04-12T03:15:02.000Z",
                "labels": OPENED.alerts[0].labels,
                "annotations": OPENED.alerts[0].annotations,
            }
        ],
        "alerts_omitted": 0,
    }
    assert sent == Sent(KEY, remember_open(KEY))
    assert server.requests[0].json() == {
        "routing_key": ROUTING_KEY,
        "event_action": "trigger",
        "dedup_key": KEY,
        "payload": {
            "summary": "[P0] KubePodCrashLooping: shop/checkout-7d9 (prod)",
            "source": "cluster prod, namespace shop, pod checkout-7d9",
            "severity": "critical",
            "timestamp": "2026-04-12T03:27:02.000Z",
            "component": "checkout",
            "group": "ops",
            "class": "KubePodCrashLooping",
            "custom_details": details,
        },
        "links": [
            {"href": "https://runbooks.example/crashloop", "text": "Runbook"},
            {"href": "https://prometheus.example/graph?g0.expr=x&g0.tab=1", "text": "Graph"},
            {"href": incident, "text": "Incident"},
            {
                "href": f"https://tocsin.example.org/silences/new?incident={OPENED.incident}",
                "text": "Silence",
            },
        ],
        "client": "Tocsin",
        "client_url": incident,
    }


def remember_open(key: str) -> str:
    """The memory of one open episode."""
    return orjson.dumps({"open": [key]}).decode()


@pytest.mark.parametrize(
    ("severity", "theirs"),
    [("P0", "critical"), ("P1", "error"), ("P2", "warning"), ("P3", "info"), ("?", "critical")],
)
@asynchronous
async def test_severities_are_translated(severity: str, theirs: str) -> None:
    """An unknown severity is not the mildest."""
    async with PagerDutyServer() as server, local_context() as context:
        await channel(server, context).send(replace(OPENED, severity=severity), "", "", "id")

    assert server.requests[0].json()["payload"]["severity"] == theirs


@asynchronous
async def test_the_official_client_sends_the_same() -> None:
    """PagerDuty's own client, given our fields, sends events that are equal to ours in every part that it knows."""
    async with PagerDutyServer() as server, local_context() as context:
        pager, memory = channel(server, context), ""
        for notification in (OPENED, ACKNOWLEDGED, RESOLVED):
            memory = (await pager.send(notification, "", memory, notification.id)).memory
        ours = [request.json() for request in server.requests]
        await asyncio.to_thread(_send_officially, server.url, ours[0])
        theirs = [request.json() for request in server.requests[3:]]

    ours[0].pop("client")
    ours[0].pop("client_url")
    assert theirs == ours


def _send_officially(url: str, ours: dict[str, object]) -> None:
    payload = ours["payload"]
    assert isinstance(payload, dict)
    links = ours["links"]
    assert isinstance(links, list)
    with pagerduty.EventsApiV2Client(ROUTING_KEY) as client:
        client._url = url  # it takes https only
        key = client.trigger(
            payload["summary"], payload["source"], dedup_key=KEY, payload=payload, links=links
        )
        client.acknowledge(key)
        client.resolve(key)


@asynchronous
async def test_what_pagerduty_finds_wrong_is_told() -> None:
    """A 400 is permanent, and names the fields but not the key."""
    async with PagerDutyServer() as server, local_context() as context:
        with pytest.raises(Refused) as caught:
            await channel(server, context).send(replace(OPENED, dedup_key=""), "", "", "id")

    assert str(caught.value) == (
        "PagerDuty at 127.0.0.1 answered 400: Event object is invalid: 'dedup_key' is missing or too long"
    )


@asynchronous
async def test_too_many_events_are_tried_again() -> None:
    """A 429 says when."""
    async with PagerDutyServer() as server, local_context() as context:
        server.faults.append(Fault.RATE_LIMITED)
        with pytest.raises(TryAgain) as caught:
            await channel(server, context).send(OPENED, "", "", "id")

    assert caught.value.retry_after_s == 7.0


@asynchronous
async def test_an_accepted_event_whose_answer_broke_off_is_sent() -> None:
    """The status is the answer; the body adds nothing to it."""
    async with PagerDutyServer() as server, local_context() as context:
        server.faults.append(Fault.HALF_ANSWER)
        await channel(server, context).send(OPENED, "", "", "id")

    assert server.rings == [KEY]


@asynchronous
async def test_the_largest_event_is_taken() -> None:
    """Long texts are cut, and alerts are left out where all would be too large."""
    labels = {f"label{number}": "x" * 500 for number in range(60)}
    many = large(
        alerts=tuple(replace(OPENED.alerts[0], labels=labels) for _ in range(50)), alerts_omitted=7
    )
    async with PagerDutyServer() as server, local_context() as context:
        await channel(server, context).send(many, "", "", "id")

    event = server.requests[0].json()
    details = event["payload"]["custom_details"]
    assert server.rings == [KEY]
    assert len(server.requests[0].body) <= EVENT_BYTES_MAX
    assert (len(details["alerts"]), details["alerts_omitted"]) == (12, 45)


@asynchronous
async def test_texts_of_others_are_inert() -> None:
    """In every text of the event each sign is shown as itself."""
    async with PagerDutyServer() as server, local_context() as context:
        await channel(server, context).send(hostile(), "", "", "id")

    def texts(document: object) -> Iterator[str]:
        match document:
            case dict():
                yield from (
                    text for pair in document.items() for part in pair for text in texts(part)
                )
            case list():
                yield from (text for part in document for text in texts(part))
            case str():
                yield document

    assert all(text.isprintable() for text in texts(server.requests[0].json()))


@asynchronous
async def test_a_preview_shows_no_key() -> None:
    """A preview is the event without the routing key."""
    async with local_context() as context:
        pager = make(PagerDutyConfig(routing_key_env="PD_KEY"), context)
        previews = [pager.preview(notification, "") for notification in (OPENED, RESOLVED, UPDATED)]

    assert ROUTING_KEY not in "".join(previews)
    assert orjson.loads(previews[1]) == {"event_action": "resolve", "dedup_key": KEY}
    assert previews[2] == "nothing: PagerDuty is sent no updates"
