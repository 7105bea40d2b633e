"""The bridge over HTTP, in front of a log in memory.

What it answers, and what is then in the journal.
"""

import asyncio
import gzip
import logging
from typing import Any

import orjson
import pytest

from app.bridge.connections.limits import BODY_BYTES_MAX, Limits
from app.clock import Clock
from app.intake.normalise import from_list
from app.transport.log import NewRecord
from models.command import Command
from models.journal import TICK, encode_alert, encode_alerts
from models.topics import partition_of
from tests.support.bridge_metrics import refused_count
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import (
    INCIDENT,
    JSON,
    PARTITIONS,
    Answer,
    Client,
    alert,
    error,
    serving,
    with_bridge,
)

WAYS = (
    "POST /api/v2/alerts, POST /webhook/alertmanager, GET /api/v2/status, GET /api/v2/receivers, "
    "GET /api/v2/alerts, GET /api/v2/alerts/groups, POST /api/v1/incidents, POST /api/v1/heartbeats/{name}, "
    "POST /api/v1/webhooks/{name}, POST /api/v1/cloudevents, POST /v2/enqueue, "
    "GET /api/v1/incidents, GET /api/v1/incidents/{incident}, "
    "GET /api/v1/incidents/{incident}/timeline, GET /api/v1/incidents/{incident}/report, "
    "GET /api/v1/incidents/{incident}/explain, GET /api/v1/explain, GET /api/v1/followups, "
    "GET /api/v1/activity, GET /api/v1/availability, GET /api/v1/deadletters, GET /api/v1/deadletters/{letter}, "
    "GET /api/v1/deadletters/{letter}/value, "
    "POST /api/v1/incidents/{incident}/{command}, POST /api/v1/receipts, "
    "POST /api/v1/deadletters/{letter}/resubmitted, GET /api/v2/silences, POST /api/v2/silences, "
    "POST /api/v1/silences/preview, "
    "GET /api/v2/silence/{id}, DELETE /api/v2/silence/{id}, GET /api/v1/silences, POST /api/v1/silences, "
    "DELETE /api/v1/silence/{id}, GET /healthz, GET /-/healthy, "
    "GET /api/v1/health, GET /readyz, GET /-/ready, GET /metrics"
)
NOT_WHOLE = "the body is not one whole gzip stream, as its Content-Encoding says"


def journal_values(log: FakeLog, *alerts: dict[str, Any]) -> list[bytes]:
    """The journal values that the alerts should have."""
    return [encode_alert(one) for one in from_list(list(alerts), log.at_ms)[0]]


def test_alerts_go_to_the_partition_of_their_component() -> None:
    """A request's alerts are appended in order, those of one partition in one batch, before it is answered."""
    log = FakeLog()
    alerts = [alert(f"c{number}") for number in range(6)]
    answer = with_bridge(log, lambda client: client.post(alerts))

    expected: dict[int, list[NewRecord]] = {}
    for one, value in zip(alerts, journal_values(log, *alerts), strict=True):
        key = one["labels"]["component"].encode()
        expected.setdefault(partition_of(key, PARTITIONS), []).append(NewRecord(key, value))
    assert answer == (200, {"status": "success", "accepted": 6})
    assert dict(log.batches) == expected
    assert len(log.batches) == len(expected) == PARTITIONS


def test_alerts_of_one_component_are_one_record() -> None:
    """A request's alerts of one component are decided together; each is counted."""
    log = FakeLog()
    names = ("Down", "Slow", "Full")
    alerts = [{"labels": {"alertname": name, "component": "api"}} for name in names]
    answer = with_bridge(log, lambda client: client.post(alerts))

    (batch,) = log.batches
    assert answer == (200, {"status": "success", "accepted": 3})
    assert batch[1] == [NewRecord(b"api", encode_alerts(journal_values(log, *alerts)))]


def test_takes_a_webhook_message() -> None:
    """The webhook's alerts get into the journal as those of the API do."""
    log = FakeLog()
    message = {"version": "4", "status": "firing", "alerts": [alert("c", status="resolved")]}
    answer = with_bridge(log, lambda client: client.ask("POST", "/webhook/alertmanager", message))

    assert answer == (200, {"status": "success", "accepted": 1})
    assert log.values() == journal_values(log, alert("c", status="resolved"))


def test_takes_no_alerts_at_all() -> None:
    """An empty list is fine, and nothing is appended."""
    log = FakeLog()
    answer = with_bridge(log, lambda client: client.post([]))

    assert (answer, log.batches) == ((200, {"status": "success", "accepted": 0}), [])


def test_keeps_the_good_and_names_the_bad() -> None:
    """As in Alertmanager, 400 names what is wrong, and what is right is kept all the same.

    Each refusal is counted.
    """
    log = FakeLog()
    before = refused_count("no_labels"), refused_count("bad_time")
    body = [alert("c"), {"labels": {}}, alert("c", startsAt="yesterday"), alert("d")]
    answer = with_bridge(log, lambda client: client.post(body))

    assert answer == (
        400,
        error("no_labels", "2 of 4 alerts refused; the others are accepted")
        | {
            "accepted": 2,
            "refused": [
                {
                    "reason": "no_labels",
                    "error": "[1].labels: has no label, must have at least one with a value",
                },
                {
                    "reason": "bad_time",
                    "error": "[2].startsAt: is 'yesterday', must be an RFC 3339 time",
                },
            ],
        },
    )
    assert sorted(log.values()) == sorted(journal_values(log, alert("c"), alert("d")))
    assert (refused_count("no_labels"), refused_count("bad_time")) == (before[0] + 1, before[1] + 1)


def test_names_at_most_ten() -> None:
    """An answer has a bound; how many more there were is told."""
    log = FakeLog()
    answer = with_bridge(log, lambda client: client.post([{}] * 12))

    expected = [
        {
            "reason": "no_labels",
            "error": f"[{number}].labels: has no label, must have at least one with a value",
        }
        for number in range(10)
    ]
    assert answer == (
        400,
        error("no_labels", "12 of 12 alerts refused; none is accepted")
        | {"accepted": 0, "refused": expected, "refused_more": 2},
    )
    assert log.batches == []


@pytest.mark.parametrize(
    ("path", "body", "status", "reason", "text"),
    [
        (
            "/api/v2/alerts",
            b"{",
            400,
            "malformed",
            "the body is not JSON: unexpected end of data: line 1 column 2 (char 1)",
        ),
        ("/api/v2/alerts", {}, 400, "malformed", "the body is an object, must be a list of alerts"),
        (
            "/webhook/alertmanager",
            [],
            400,
            "malformed",
            "the body is a list, must be a webhook message",
        ),
        (
            "/webhook/alertmanager",
            {"version": "5"},
            400,
            "unsupported_version",
            "version: is '5', must be '4' or '1'",
        ),
        (
            "/api/v2/alerts",
            b" " * (BODY_BYTES_MAX + 1),
            413,
            "too_large",
            "the body is larger than 10485760 bytes: send fewer alerts at once",
        ),
        (
            "/api/v2/alerts",
            b"[" + b"0," * 50_000 + b"0]",
            413,
            "too_large",
            "the body has 50001 alerts, must have at most 50000",
        ),
        ("/api/v2/nothing", {}, 404, "no_such_resource", f"POST /api/v2/nothing: there is {WAYS}"),
        (
            "/healthz",
            {},
            405,
            "method_not_allowed",
            "/healthz: is asked with POST, must be asked with GET, HEAD",
        ),
        (
            f"/api/v1/incidents/{INCIDENT}/forget",
            {"by": "me"},
            400,
            "unknown_kind",
            f"the command is 'forget', must be one of {', '.join(Command)}",
        ),
        (
            "/api/v1/incidents/nonsense/note",
            {"by": "me"},
            400,
            "unknown_incident",
            "'nonsense' is not an incident id such as INC-20260412T031502Z-00K3F",
        ),
        (
            "/api/v1/incidents/INC-20260412T031502Z-02K3F/note",
            {"by": "me"},
            400,
            "unknown_incident",
            "'INC-20260412T031502Z-02K3F' is of partition 2, there are 2",
        ),
        (
            f"/api/v1/incidents/{INCIDENT}/resolve",
            {},
            400,
            "malformed",
            "by: is missing; Field required",
        ),
    ],
)
def test_refuses_a_request(path: str, body: Any, status: int, reason: str, text: str) -> None:
    """What cannot be taken as a whole is answered with its reason, counted, and leaves nothing in the journal."""
    log = FakeLog()
    answer = with_bridge(log, lambda client: client.ask("POST", path, body))

    assert answer == (status, error(reason, text))
    assert log.batches == []


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, "None"),
        ({"Content-Type": "text/plain"}, "'text/plain'"),
        (
            {"Content-Type": "application/x-www-form-urlencoded"},
            "'application/x-www-form-urlencoded'",
        ),
    ],
)
def test_refuses_other_content_types(headers: dict[str, str], found: str) -> None:
    """What a web page could send to a loopback bridge without asking is not taken."""
    log = FakeLog()
    answer = with_bridge(log, lambda client: client.post([alert("c")], headers))

    text = f"the Content-Type is {found}, must be application/json"
    assert answer == (415, error("unsupported_media_type", text))
    assert log.batches == []


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/octet-stream"]
)
def test_takes_json_by_its_other_names(content_type: str) -> None:
    """A charset does no harm, and neither does a client that only knows that it sends bytes."""
    answer = with_bridge(
        FakeLog(), lambda client: client.post([alert("c")], {"Content-Type": content_type})
    )

    assert answer == (200, {"status": "success", "accepted": 1})


def test_takes_what_is_exactly_as_large_as_it_may_be() -> None:
    """The bound is the largest body that is taken."""
    log = FakeLog()
    body = orjson.dumps([alert("c")]).rjust(BODY_BYTES_MAX)
    answer = with_bridge(log, lambda client: client.post(body))

    assert answer == (200, {"status": "success", "accepted": 1})


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        (
            gzip.compress(orjson.dumps([alert("c")]), mtime=0),
            200,
            {"status": "success", "accepted": 1},
        ),
        (
            gzip.compress(b" " * (BODY_BYTES_MAX + 1), mtime=0),
            413,
            error("too_large", "the body is larger than 10485760 bytes: send fewer alerts at once"),
        ),
        (
            b"[]",
            400,
            error(
                "malformed",
                "the body is not gzip, as its Content-Encoding says: "
                "Error -3 while decompressing data: incorrect header check",
            ),
        ),
        (gzip.compress(b"[]", mtime=0)[:-1], 400, error("malformed", NOT_WHOLE)),
        (gzip.compress(b"[]", mtime=0) * 2, 400, error("malformed", NOT_WHOLE)),
        (b"", 400, error("malformed", NOT_WHOLE)),
    ],
)
def test_takes_compressed_bodies(body: bytes, status: int, answer: dict[str, Any]) -> None:
    """gzip is unfolded, up to the bound of a body; what only pretends to be gzip is refused."""
    log = FakeLog()

    assert with_bridge(
        log, lambda client: client.post(body, JSON | {"Content-Encoding": "gzip"})
    ) == (status, answer)


def test_refuses_other_compressions() -> None:
    """Only gzip is unfolded; the answer says so."""
    headers = JSON | {"Content-Encoding": "br"}
    answer = with_bridge(FakeLog(), lambda client: client.post([alert("c")], headers))

    assert answer == (
        415,
        error("unsupported_encoding", "the Content-Encoding is 'br', must be identity or gzip"),
    )


def test_says_when_the_journal_is_away() -> None:
    """Without the journal's acknowledgement it is 503 with a time to come back, and nothing is called kept."""
    log = FakeLog()
    log.away = {0, 1}

    async def talk(client: Client) -> tuple[int, str, Any]:
        async with client.session.post(
            f"{client.url}/api/v2/alerts", json=[alert("c")], headers=JSON
        ) as response:
            return response.status, response.headers["Retry-After"], await response.json()

    answer = with_bridge(log, talk)

    partition = partition_of(b"c", PARTITIONS)
    text = f"tocsin.journal {partition} does not answer; assume that nothing of the request was kept, and send all of it again"
    assert answer == (503, "5", error("journal_unavailable", text))


def test_one_silent_partition_is_enough_for_503() -> None:
    """A request is acknowledged only when each partition that it goes to has acknowledged."""
    log = FakeLog()
    log.away = {1}
    alerts = [alert(f"c{number}") for number in range(6)]
    status, _ = with_bridge(log, lambda client: client.post(alerts))

    assert (status, {partition for partition, _ in log.batches}) == (503, {0})


def test_concurrent_requests_are_all_kept() -> None:
    """Many senders at once are each answered, and each alert is in the journal once."""
    log = FakeLog()
    alerts = [alert(f"c{number}") for number in range(50)]

    async def talk(client: Client) -> list[Answer]:
        return await asyncio.gather(*(client.post([one]) for one in alerts))

    answers = with_bridge(log, talk)

    assert answers == [(200, {"status": "success", "accepted": 1})] * 50
    assert sorted(log.values()) == sorted(journal_values(log, *alerts))


def test_is_not_answered_before_the_journal_has_acknowledged() -> None:
    """While the append is under way there is no answer."""

    async def scenario() -> tuple[bool, Answer]:
        log = FakeLog()
        log.open.clear()
        async with serving(log) as client:
            request = asyncio.create_task(client.post([alert("c")]))
            await log.called.wait()
            await client.ask("GET", "/healthz")  # a whole exchange later
            answered = request.done()
            log.open.set()
            return answered, await request

    assert asyncio.run(scenario()) == (False, (200, {"status": "success", "accepted": 1}))


def test_a_half_sent_body_times_out() -> None:
    """A sender that stops in the middle is told so, and nothing of it is kept."""

    async def scenario() -> tuple[bytes, Any]:
        async with serving(FakeLog(), limits=Limits(body_seconds=0.05)) as client:
            host, port = client.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            head = f"POST /api/v2/alerts HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: 100\r\n\r\n[".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readuntil(b"}")
            writer.close()
            return answer.splitlines()[0], orjson.loads(body)

    text = "the body did not arrive within 0.05 s; nothing of it was kept"
    assert asyncio.run(scenario()) == (b"HTTP/1.1 408 Request Timeout", error("too_slow", text))


def test_a_sender_that_goes_away_is_no_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """A connection that ends in the middle of a body is counted as refused, and logged by nobody."""
    before = refused_count("disconnected")

    async def scenario() -> None:
        async with serving(FakeLog()) as client:
            host, port = client.url.removeprefix("http://").split(":")
            _, writer = await asyncio.open_connection(host, int(port))
            head = f"POST /api/v2/alerts HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: 100\r\n\r\n[".encode())
            await writer.drain()
            writer.close()
            while refused_count("disconnected") == before:
                await client.ask("GET", "/healthz")

    asyncio.run(scenario())

    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert (refused_count("disconnected"), warnings) == (before + 1, [])


def test_a_command_goes_to_its_incidents_partition() -> None:
    """An operator's command is appended to the partition that the incident's id names."""
    log = FakeLog()
    path = f"/api/v1/incidents/{INCIDENT}/acknowledge"
    answer = with_bridge(
        log, lambda client: client.ask("POST", path, {"by": "ada", "text": "on it", "more": 1})
    )

    value = (
        b'{"command":"acknowledge","incident":"%b","by":"ada","text":"on it"}' % INCIDENT.encode()
    )
    status, body = answer
    assert (status, body["status"], body["incident"]) == (202, "accepted", INCIDENT)
    assert log.batches == [(1, [NewRecord(INCIDENT.encode(), value)])]


def test_is_alive_whatever_the_journal_does() -> None:
    """The process being alive is one thing, the journal another."""
    log = FakeLog()
    log.away = {0, 1}

    assert with_bridge(log, lambda client: client.ask("GET", "/healthz")) == (
        200,
        {"status": "alive"},
    )


def test_is_ready_when_every_partition_acknowledges() -> None:
    """Ready is who can keep an alert.

    Each partition is asked with a tick, and not again for a while.
    """
    log = FakeLog()

    async def talk(client: Client) -> list[Answer]:
        return [await client.ask("GET", "/readyz") for _ in range(2)]

    assert with_bridge(log, talk) == [(200, {"status": "ready"})] * 2
    assert sorted(log.batches) == [(0, [NewRecord(None, TICK)]), (1, [NewRecord(None, TICK)])]


def test_is_not_ready_while_a_partition_is_silent() -> None:
    """One partition that does not acknowledge is enough: alerts may belong there."""
    log = FakeLog()
    log.away = {1}
    answer = with_bridge(log, lambda client: client.ask("GET", "/readyz"))

    text = "tocsin.journal 1 does not answer; assume that nothing of the request was kept, and send all of it again"
    assert answer == (503, error("journal_unavailable", text))


def test_metrics_are_prometheus() -> None:
    """What the bridge counts can be scraped."""

    async def talk(client: Client) -> str:
        await client.post([alert("c")])
        async with client.session.get(f"{client.url}/metrics") as response:
            return await response.text()

    text = with_bridge(FakeLog(), talk)

    assert 'tocsin_http_requests_total{path="/api/v2/alerts",status="200"}' in text
    assert 'tocsin_bridge_alerts_total{result="accepted"}' in text


def test_a_driven_clock_moves_and_ticks() -> None:
    """Moving the clock appends a tick to every partition before it is answered, and never goes back."""
    log, clock = FakeLog(), Clock(lambda: 1000, driven=True)

    async def talk(client: Client) -> list[Answer]:
        bodies: tuple[Any, ...] = (
            {"now_ms": 5000, "speed": 0},
            {"now_ms": 4000},
            [],
            {"now_ms": "soon"},
        )
        return [await client.ask("PUT", "/clock", body) for body in bodies]

    answers = with_bridge(log, talk, clock)

    late = "now_ms is 4000, which is before the journal's time 5000: time never goes back"
    kind = "the body: is a list; Input should be a valid dictionary or instance of ClockRequest"
    assert answers == [
        (200, {"status": "success", "now_ms": 5000}),
        (400, error("bad_time", late)),
        (400, error("malformed", kind)),
        (400, error("malformed", "now_ms: is 'soon'; Input should be a valid integer")),
    ]
    assert sorted(log.batches) == [(0, [NewRecord(None, TICK)]), (1, [NewRecord(None, TICK)])]


def test_a_system_clock_cannot_be_moved() -> None:
    """Without a driven clock there is no such resource."""
    answer = with_bridge(FakeLog(), lambda client: client.ask("PUT", "/clock", {"now_ms": 1}))

    assert answer == (404, error("no_such_resource", f"PUT /clock: there is {WAYS}"))
