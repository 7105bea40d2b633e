"""Silences over HTTP, in front of a log in memory.

What reaches the journal, and what is listed while the engine is late.
"""

import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.bridge.alertmanager.silences import KEPT_MS, LIVE_MAX
from app.core.engine import Engine
from app.transport.log import NewRecord
from models.effect import Stream
from models.journal import encode_silence
from models.matcher import Matcher, Operator
from models.silence import Silence
from models.text.instant import format_instant
from tests.support.engines import Tocsin
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import PARTITIONS, Answer, Client, error, with_bridge
from tests.support.shipped_policy import shipped

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HOUR_MS = 3_600_000
NOW_MS = FakeLog().at_ms
NOBODY = "0b3b4f3c-0000-4000-8000-000000000000"
EQUAL_X = {"name": "alertname", "value": "X", "isRegex": False, "isEqual": True}
V1, V2 = "/api/v1/silences", "/api/v2/silences"

# PROCEDURES, "Alert Acknowledgment", word for word.
# What an answer has beside the id while no worker has answered.
NOT_ANSWERED = {
    **{name: [] for name in ("acknowledged", "not_acknowledged", "mutes", "covers")},
    **dict.fromkeys(("mutes_total", "covers_total"), 0),
    "complete": False,
}
PROCEDURE = """{
  "matchers": [{"name": "alertname", "value": "ALERT_NAME"}],
  "startsAt": "2024-01-01T00:00:00Z",
  "endsAt": "2024-01-01T01:00:00Z",
  "comment": "Investigating - [YOUR_NAME]"
}"""


def body(**fields: Any) -> dict[str, Any]:
    """A silence of an hour from now, as amtool posts it."""
    times = {"startsAt": format_instant(NOW_MS), "endsAt": format_instant(NOW_MS + HOUR_MS)}
    return {"matchers": [EQUAL_X], **times, "createdBy": "ann", "comment": "known"} | fields


def listed(name: str, state: str, **fields: Any) -> dict[str, Any]:
    """The same silence as it is listed."""
    updated = {"id": name, "status": {"state": state}, "updatedAt": format_instant(NOW_MS)}
    return body() | {"annotations": {}} | updated | fields


def engine_tells(log: FakeLog) -> None:
    """Let the engine of partition 0 apply the journal, and put what it says of silences into the topic, from the start."""
    effects = Engine(0, shipped()).apply(log.topics["tocsin.journal", 0])
    log.topics.pop(("tocsin.silences", 0), None)
    told = [effect for effect in effects if effect.stream is Stream.SILENCES]
    log.put(
        "tocsin.silences",
        0,
        [NewRecord(one.key, one.value, (one.position.header(),)) for one in told],
    )


async def post(client: Client, document: Any, path: str = V2) -> str:
    """The id of a silence that is taken."""
    status, answer = await client.ask("POST", path, document)
    assert status == 200, answer
    return str(answer["silenceID"] if path == V2 else answer["data"]["silenceId"])


def test_a_silence_goes_to_every_partition() -> None:
    """The answer has its id, and each partition has the same record."""
    log = FakeLog()
    name = with_bridge(log, lambda client: post(client, body()))

    matchers = (Matcher("alertname", Operator.EQUAL, "X"),)
    value = encode_silence(Silence(name, matchers, NOW_MS, NOW_MS + HOUR_MS, "ann", "known"))
    assert sorted(log.batches) == [
        (partition, [NewRecord(None, value)]) for partition in range(PARTITIONS)
    ]


def test_a_silence_is_kept_by_all_partitions_or_is_not_answered() -> None:
    """One partition that is away is enough for 503, and such a silence is not listed."""
    log = FakeLog()
    log.away = {1}

    async def talk(client: Client) -> list[Answer]:
        return [await client.ask("POST", V2, body()), await client.ask("GET", V2)]

    text = "tocsin.journal 1 does not answer; assume that nothing of the request was kept, and send all of it again"
    assert with_bridge(log, talk) == [(503, error("journal_unavailable", text)), (200, [])]


def test_every_kind_of_matcher() -> None:
    """The four operators come in as Alertmanager writes them and go out the same.

    What is left out is `=`.
    """
    log = FakeLog()
    kinds = [(False, True), (False, False), (True, True), (True, False)]
    matchers = [
        {"name": f"l{n}", "value": "a.b", "isRegex": regex, "isEqual": equal}
        for n, (regex, equal) in enumerate(kinds)
    ]

    async def talk(client: Client) -> Any:
        await post(client, body(matchers=[*matchers, {"name": "alertname", "value": "X"}]))
        return (await client.ask("GET", V2))[1][0]["matchers"]

    assert with_bridge(log, talk) == [*matchers, EQUAL_X]
    assert orjson.loads(log.values()[0])["matchers"] == [
        ["l0", "=", "a.b"],
        ["l1", "!=", "a.b"],
        ["l2", "=~", "a.b"],
        ["l3", "!~", "a.b"],
        ["alertname", "=", "X"],
    ]


@pytest.mark.parametrize("told", [False, True])
def test_what_was_made_is_listed(told: bool) -> None:
    """In both versions, one by one, and filtered.

    No matter whether the engine has told of it yet.
    """
    log = FakeLog()

    async def talk(client: Client) -> tuple[str, list[Answer]]:
        name = await post(client, body())
        if told:
            engine_tells(log)
        paths = (
            V2,
            V1,
            f"/api/v2/silence/{name}",
            f'{V2}?filter=alertname="X"',
            f'{V2}?filter=alertname=~"X"',
        )
        return name, [await client.ask("GET", path) for path in paths]

    name, answers = with_bridge(log, talk)
    one = listed(name, "active")
    assert answers == [
        (200, [one]),
        (200, {"status": "success", "data": [one]}),
        (200, one),
        (200, [one]),
        (200, []),
    ]


@pytest.mark.parametrize("told", [False, True])
def test_annotations_are_kept(told: bool) -> None:
    """They are listed, they can be changed in place, and they last through an end that comes early."""
    log = FakeLog()
    ticket, runbook = {"ticket": "OPS-17"}, {"ticket": "OPS-17", "runbook": "disk.md"}

    async def talk(client: Client) -> tuple[str, str, list[Answer]]:
        name = await post(client, body(annotations=ticket | {"nothing": None}))
        answers = [await client.ask("GET", V2)]
        changed = await post(client, body(id=name, annotations=runbook))
        await client.ask("DELETE", f"/api/v2/silence/{name}")
        if told:
            engine_tells(log)
        return name, changed, [*answers, await client.ask("GET", V2)]

    name, changed, (first, last) = with_bridge(log, talk)
    at = format_instant(NOW_MS)
    assert changed == name
    assert first == (200, [listed(name, "active", annotations=ticket)])
    assert last == (200, [listed(name, "expired", annotations=runbook, endsAt=at)])


def test_the_engines_word_is_read_once() -> None:
    """A poll reads what is new in the topic, and nothing again."""
    log = FakeLog()

    async def talk(client: Client) -> list[tuple[int, int]]:
        await post(client, body())
        engine_tells(log)
        log.reads.clear()
        for _ in range(3):
            await client.ask("GET", V2)
        return [(offset, found) for _, _, offset, found in log.reads]

    assert with_bridge(log, talk) == [(0, 1), (1, 0), (1, 0), (1, 0)]


def test_another_bridges_silence_is_listed() -> None:
    """A bridge that is new knows what the topic has, and ends it."""
    log = FakeLog()
    name = with_bridge(log, lambda client: post(client, body()))
    engine_tells(log)

    async def talk(client: Client) -> list[Answer]:
        path = f"/api/v2/silence/{name}"
        return [await client.ask("DELETE", path), await client.ask("GET", path)]

    ended = listed(name, "expired", endsAt=format_instant(NOW_MS))
    assert with_bridge(log, talk) == [(200, {"status": "success"}), (200, ended)]


def test_a_late_engine_does_not_undo_what_was_asked() -> None:
    """An ended silence stays ended while the engine has told of its beginning only.

    Then the engine's word counts.
    """
    log = FakeLog()

    async def talk(client: Client) -> list[Answer]:
        name = await post(client, body())
        engine_tells(log)
        log.at_ms += 60_000
        await client.ask("DELETE", f"/api/v2/silence/{name}")
        late = await client.ask("GET", V2)
        engine_tells(log)
        return [late, await client.ask("GET", V2)]

    late, settled = with_bridge(log, talk)
    name = late[1][0]["id"]
    at = format_instant(NOW_MS + 60_000)
    assert late == settled == (200, [listed(name, "expired", endsAt=at, updatedAt=at)])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_ending(version: str) -> None:
    """Ending appends the same silence with an earlier end.

    Again it changes nothing; one that nobody knows is 404.
    """
    log = FakeLog()

    async def talk(client: Client) -> tuple[str, list[Answer]]:
        name = await post(client, body())
        log.at_ms += 1000
        paths = [f"/api/{version}/silence/{one}" for one in (name, name, NOBODY)]
        return name, [await client.ask("DELETE", path) for path in paths]

    name, answers = with_bridge(log, talk)
    text = f"there is no silence '{NOBODY}'"
    assert answers == [
        (200, {"status": "success"}),
        (200, {"status": "success"}),
        (404, text if version == "v2" else error("unknown_silence", text)),
    ]
    ended = Silence(
        name, (Matcher("alertname", Operator.EQUAL, "X"),), NOW_MS, NOW_MS + 1000, "ann", "known"
    )
    assert log.values()[PARTITIONS:] == [encode_silence(ended)] * PARTITIONS


def test_one_that_is_to_come_can_be_ended() -> None:
    """It then never begins."""

    async def talk(client: Client) -> Any:
        name = await post(client, body(startsAt="30m"))
        before = await client.ask("GET", V2)
        await client.ask("DELETE", f"/api/v2/silence/{name}")
        return name, before, await client.ask("GET", V2)

    name, before, after = with_bridge(FakeLog(), talk)
    assert before == (
        200,
        [listed(name, "pending", startsAt=format_instant(NOW_MS + HOUR_MS // 2))],
    )
    assert after == (200, [listed(name, "expired", endsAt=format_instant(NOW_MS))])


@pytest.mark.parametrize(
    ("change", "same", "states"),
    [
        ({"endsAt": "2h"}, True, ["active"]),
        ({"endsAt": "2h", "startsAt": None}, True, ["active"]),
        ({"comment": "longer", "createdBy": "bob"}, True, ["active"]),
        ({"startsAt": "10m"}, False, ["pending", "expired"]),
        ({"matchers": [EQUAL_X | {"value": "Y"}]}, False, ["active", "expired"]),
    ],
)
def test_changing(change: dict[str, Any], same: bool, states: list[str]) -> None:
    """What may change in its place keeps its id.

    Anything else ends the old one and makes another, as in Alertmanager.
    """

    async def talk(client: Client) -> tuple[bool, list[str]]:
        name = await post(client, body())
        other = await post(client, body(id=name) | change)
        silences = (await client.ask("GET", V2))[1]
        return name == other, [one["status"]["state"] for one in silences]

    assert with_bridge(FakeLog(), talk) == (same, states)


def test_what_two_match_stays_quiet() -> None:
    """A silence that takes the place of another begins before that ends, though both do so in one millisecond."""
    log = FakeLog()

    async def talk(client: Client) -> list[str]:
        name = await post(client, body())
        return [
            name,
            await post(client, body(id=name, matchers=[EQUAL_X, EQUAL_X | {"name": "severity"}])),
        ]

    name, other = with_bridge(log, talk)
    said = [orjson.loads(record.value or b"") for record in log.topics["tocsin.journal", 0]]
    assert [(one["silence"], one["ends_ms"] > NOW_MS) for one in said] == [
        (name, True),
        (other, True),
        (name, False),
    ]


def test_one_that_has_ended_is_made_anew() -> None:
    """An expired silence stays as it was; its id gives a new one."""
    log = FakeLog()

    async def talk(client: Client) -> list[tuple[str, bool]]:
        name = await post(client, body())
        await client.ask("DELETE", f"/api/v2/silence/{name}")
        log.at_ms += 1000
        await post(client, body(id=name))
        return [
            (one["status"]["state"], one["id"] == name) for one in (await client.ask("GET", V2))[1]
        ]

    assert with_bridge(log, talk) == [("active", False), ("expired", True)]


def test_ended_ones_stay_listed_for_a_while() -> None:
    """Five days after its end a silence is forgotten."""
    log = FakeLog()

    async def talk(client: Client) -> list[int]:
        await post(client, body())
        engine_tells(log)
        found = []
        for ms in (HOUR_MS, KEPT_MS - 1, 1):
            log.at_ms += ms
            found.append(len((await client.ask("GET", V2))[1]))
        return found

    assert with_bridge(log, talk) == [1, 1, 0]


def test_the_order_is_alertmanagers() -> None:
    """The active that end first, the pending that begin first, the expired."""

    async def talk(client: Client) -> list[str]:
        for comment, start, end in (
            ("c", "2h", "9h"),
            ("b", None, "2h"),
            ("d", "3h", "9h"),
            ("a", None, "1h"),
        ):
            await post(client, body(comment=comment, startsAt=start, endsAt=end))
        await post(client, body(comment="e", startsAt=None, endsAt=format_instant(NOW_MS - 1)), V1)
        return [one["comment"] for one in (await client.ask("GET", V2))[1]]

    assert with_bridge(FakeLog(), talk) == ["a", "b", "c", "d", "e"]


def test_the_procedures_silence_is_taken() -> None:
    """Its end is long past, so that it acknowledges and mutes nothing, and the answer says so.

    It is listed as expired.
    """
    log = FakeLog()

    async def talk(client: Client) -> list[Answer]:
        return [await client.ask("POST", V1, PROCEDURE.encode(), FORM), await client.ask("GET", V1)]

    (status, answer), (_, found) = with_bridge(log, talk)
    name = answer["data"]["silenceId"]
    assert (status, answer) == (
        200,
        {
            "status": "success",
            "data": {"silenceId": name, **NOT_ANSWERED},
            "warnings": ["endsAt is past: nothing is muted"],
        },
    )
    matchers = (Matcher("alertname", Operator.EQUAL, "ALERT_NAME"),)
    made = Silence(
        name, matchers, 1704067200000, 1704070800000, "[YOUR_NAME]", "Investigating - [YOUR_NAME]"
    )
    assert log.values() == [encode_silence(made)] * PARTITIONS
    assert [(one["id"], one["status"]) for one in found["data"]] == [(name, {"state": "expired"})]


@pytest.mark.parametrize(
    ("fields", "by"),
    [
        ({}, "ann"),
        ({"createdBy": ""}, "somebody"),
        ({"createdBy": None, "comment": None}, "somebody"),
        ({"createdBy": "", "comment": "Investigating - bob "}, "bob"),
        ({"createdBy": "ann", "comment": "Investigating - bob"}, "ann"),
        ({"createdBy": "", "comment": "Investigating - "}, "somebody"),
    ],
)
def test_who_made_it(fields: dict[str, Any], by: str) -> None:
    """`createdBy`, else whom the procedures' comment names, else somebody."""
    log = FakeLog()
    with_bridge(log, lambda client: post(client, body(**fields)))

    assert orjson.loads(log.values()[0])["by"] == by


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (
            [],
            "the body: is a list; Input should be a valid dictionary or instance of SilenceRequest",
        ),
        (
            body(matchers=[]),
            "matchers: is a list; List should have at least 1 item after validation, not 0",
        ),
        (
            body(matchers=[EQUAL_X] * 65),
            "matchers: is a list; List should have at most 64 items after validation, not 65",
        ),
        (body(matchers=[{"name": "a"}]), "matchers.0.value: is missing; Field required"),
        (
            body(matchers=[{"name": "", "value": "x"}]),
            "matchers.0.name: is ''; String should have at least 1 character",
        ),
        (
            body(matchers=[{"name": "a", "value": "(", "isRegex": True}]),
            "matchers.0.value: is '(', must be a regular expression: missing ): (",
        ),
        (
            body(matchers=[{"name": "a", "value": "x{1001}", "isRegex": True}]),
            (
                "matchers.0.value: is 'x{1001}', must be a regular expression: compiles to more than 2000 instructions; "
                "repeat fewer times ({n} counts as n copies), or use several matchers or alternatives"
            ),
        ),
        (
            body(
                matchers=[{"name": "a", "value": ""}, {"name": "b", "value": ".*", "isRegex": True}]
            ),
            "matchers: each matches an empty value, as an absent label has; one at least must not",
        ),
        (
            body(matchers=[{"name": "x" * 1025, "value": "x"}]),
            "matchers: a name has 1025 bytes, must have 1 to 1024",
        ),
        (
            body(matchers=[{"name": "x", "value": "x" * 2**16}]),
            "matchers: have 65537 bytes, must have at most 65536",
        ),
        (
            body(createdBy="x" * 257),
            f"createdBy: is '{'x' * 59}...'; String should have at most 256 characters",
        ),
        (
            body(comment="x" * 16385),
            f"comment: is '{'x' * 59}...'; String should have at most 16384 characters",
        ),
        (
            body(annotations={"ticket": 17}),
            "annotations.ticket: is 17; Input should be a valid string",
        ),
        (
            body(annotations={"": "x"}),
            "annotations: a name has 0 bytes, must have 1 to 1024",
        ),
        (
            body(endsAt="soon"),
            "endsAt: is 'soon', must be an RFC 3339 time, or a duration such as 30m",
        ),
        (body(endsAt=7), "endsAt: is 7; Input should be a valid string"),
        (body(endsAt=""), "endsAt: is '', must be an RFC 3339 time or a duration"),
        (
            body(startsAt="2h", endsAt="1h"),
            "endsAt: is '1h', must be after startsAt, 2026-04-12T15:20:00.000Z",
        ),
        (
            body(endsAt="2024-01-01T01:00:00Z"),
            "endsAt: is '2024-01-01T01:00:00Z', which is past, must be ahead: it is 2026-04-12T13:20:00.000Z",
        ),
    ],
)
def test_refuses_silences(document: Any, text: str) -> None:
    """What Alertmanager would refuse is refused with a text, as amtool reads it, and leaves nothing in the journal."""
    log = FakeLog()
    answer = with_bridge(log, lambda client: client.ask("POST", V2, document))

    assert (answer, log.batches) == ((400, text), [])


def test_refuses_in_version_1_as_everywhere_else() -> None:
    """A refusal has its reason, and there is no silence of an unknown id to change."""

    async def talk(client: Client) -> list[Answer]:
        return [await client.ask("POST", V1, one) for one in (body(matchers=[]), body(id=NOBODY))]

    found = "matchers: is a list; List should have at least 1 item after validation, not 0"
    assert with_bridge(FakeLog(), talk) == [
        (400, error("malformed", found)),
        (404, error("unknown_silence", f"there is no silence '{NOBODY}'")),
    ]


def test_refuses_other_requests() -> None:
    """Unknown ids are 404 and filters that are none are 400, with a text."""

    async def talk(client: Client) -> list[Answer]:
        return [
            await client.ask("GET", f"/api/v2/silence/{NOBODY}"),
            await client.ask("POST", V2, body(id=NOBODY)),
            await client.ask("GET", f"{V2}?filter=%7B"),
        ]

    shape = """filter: is '{', must be a matcher such as alertname=~"Ollama.*" or team="ai\""""
    nobody = (404, f"there is no silence '{NOBODY}'")
    assert with_bridge(FakeLog(), talk) == [nobody, nobody, (400, shape)]


@pytest.mark.parametrize("path", [V1, V2])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 400),
        ({"Sec-Fetch-Site": "cross-site"}, 400),
        ({"Origin": "https://example.com"}, 400),
        ({"Origin": "null"}, 400),
        ({"Origin": "http://127.0.0.1:9099", "Sec-Fetch-Site": "same-origin"}, 400),
    ],
)
def test_a_web_page_cannot_post_a_form(path: str, headers: dict[str, str], status: int) -> None:
    """The form that curl sends is taken from who is not a browser, on these two resources."""
    log = FakeLog()
    answer = with_bridge(log, lambda client: client.ask("POST", path, body(), FORM | headers))

    assert (answer[0], len(log.batches)) == (status, PARTITIONS if status == 200 else 0)


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data", None])
def test_other_simple_types_are_refused(content_type: str | None) -> None:
    """What else a page may send without asking is taken from nobody."""
    headers = {"Content-Type": content_type} if content_type else {}
    answer = with_bridge(FakeLog(), lambda client: client.ask("POST", V1, body(), headers))

    text = f"the Content-Type is {content_type!r}, must be application/json"
    assert answer == (415, error("unsupported_media_type", text))


def test_live_silences_have_a_bound() -> None:
    """At the bound a new one is refused, one in another's place is not, and one that has ended makes room."""
    log = FakeLog()
    matchers = (Matcher("alertname", Operator.EQUAL, "X"),)
    many = [
        Silence(f"s{n}", matchers, NOW_MS, NOW_MS + HOUR_MS, "ann", "") for n in range(LIVE_MAX)
    ]
    log.put("tocsin.journal", 0, [NewRecord(None, encode_silence(one)) for one in many])
    engine_tells(log)

    async def talk(client: Client) -> list[int]:
        other = [EQUAL_X | {"value": "Y"}]
        answers = [
            await client.ask("POST", V2, body()),
            await client.ask("POST", V2, body(id="s0", matchers=other)),
            await client.ask("POST", V2, body()),
            await client.ask("DELETE", "/api/v2/silence/s1"),
            await client.ask("POST", V2, body()),
            await client.ask("POST", V2, body()),
        ]
        return [status for status, _ in answers]

    assert with_bridge(log, talk) == [400, 200, 400, 200, 200, 400]


def test_ended_silences_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that have ended the ones that changed last are known."""
    monkeypatch.setattr("app.bridge.alertmanager.silences.ENDED_MAX", 2)
    log = FakeLog()

    async def talk(client: Client) -> list[str]:
        for number in range(4):
            await post(
                client, orjson.loads(PROCEDURE) | {"comment": f"Investigating - {number}"}, V1
            )
        return sorted(one["createdBy"] for one in (await client.ask("GET", V2))[1])

    assert with_bridge(log, talk) == ["2", "3"]


@pytest.mark.slow
def test_the_procedures_curl_works_word_for_word(tmp_path: Path) -> None:
    """The command of "Alert Acknowledgment" is answered by a service, but for the port."""
    service = Tocsin("up", TOCSIN_BROKER=f"embedded:{tmp_path}")
    command = [
        "curl",
        "-sS",
        "-w",
        " %{http_code}",
        "-X",
        "POST",
        f"{service.url}/api/v1/silences",
        "-d",
        PROCEDURE,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    answered, _, status = done.stdout.rpartition(" ")
    service.stop()

    answer = orjson.loads(answered)
    assert (done.returncode, status, answer["status"], len(answer["warnings"])) == (
        0,
        "200",
        "success",
        1,
    )
