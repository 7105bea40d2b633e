"""One-tap links: GET asks, POST acts, once, for who has the link, until it expires."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.bridge.connections.limits import Limits
from app.notifier.replies.act import ActCommand
from app.notifier.replies.one_tap import TTL_S, OneTap
from app.settings import HttpSecurity
from models.text.instant import format_instant
from models.topics import Topics
from tests.support.served_bridge import INCIDENT, PARTITIONS, Client, serving
from tests.support.token_files import write
from tests.support.worked_log import WorkedLog

KEY = "a key of links with enough bytes"
ONE_TAP = OneTap(KEY.encode())
ANN = "Ann Lee"
Page = tuple[int, str]


@pytest.fixture
def log() -> WorkedLog:
    """A log with one incident that is open."""
    log = WorkedLog()
    log.fire(severity="high")
    return log


def token(log: WorkedLog, command: ActCommand, who: str = ANN, incident: str = "") -> str:
    """A link's token, of a message that is sent now."""
    at = format_instant(log.at_ms)
    return ONE_TAP.token(command, incident or log.incidents()[0], who, at)


async def tap(client: Client, method: str, name: str, **options: Any) -> Page:
    """Status and page of a link."""
    async with client.session.request(method, f"{client.url}/act/{name}", **options) as response:
        return response.status, await response.text()


def tapping(method: str, name: str) -> Callable[[Client], Awaitable[Page]]:
    """A conversation of one request."""
    return lambda client: tap(client, method, name)


def talk(
    log: WorkedLog, folder: Path, talk_to: Callable[[Client], Awaitable[Any]], **options: Any
) -> Any:
    """What `talk_to` returns of a conversation with a bridge that has the key."""

    async def conversation() -> Any:
        async with _served(log, folder, **options) as client:
            return await talk_to(client)

    return asyncio.run(conversation())


@asynccontextmanager
async def _served(log: WorkedLog, folder: Path, **options: Any) -> AsyncIterator[Client]:
    file = folder / "key"
    write(file, KEY)
    given = {"answer_seconds": 30} | options
    async with serving(log, link_key_file=str(file), **given) as client:
        yield client


def appended(log: WorkedLog) -> list[dict[str, Any]]:
    """The commands in the journal, and the silences."""
    return [
        document
        for partition in range(PARTITIONS)
        for record in log.topics.get((Topics().journal, partition), [])
        if (document := orjson.loads(record.value or b"{}")).keys() & {"command", "silence"}
    ]


def state(log: WorkedLog) -> str:
    """The incident's."""
    return str(next(one.state for engine in log.engines for one in engine.state.incidents.values()))


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_a_scanner_that_follows_links_changes_nothing(
    method: str, log: WorkedLog, tmp_path: Path
) -> None:
    """Nothing but POST acts."""
    for command in (ActCommand.ACKNOWLEDGE, ActCommand.RESOLVE, ActCommand.SILENCE_1H):
        name = token(log, command)
        talk(log, tmp_path, tapping(method, name))

    assert (appended(log), state(log)) == ([], "open")


def test_a_page_says_how_the_incident_is(log: WorkedLog, tmp_path: Path) -> None:
    """With a button for each thing that can be done, and with headers that keep the link secret."""
    name = token(log, ActCommand.VIEW)

    async def look(client: Client) -> tuple[str, Any]:
        async with client.session.get(f"{client.url}/act/{name}") as response:
            return await response.text(), response.headers

    page, headers = talk(log, tmp_path, look)

    assert ". Open. 1 of 1 alerts firing." in page
    assert page.count("<form") == 4
    assert "script" not in page
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("command", "after", "text"),
    [
        (ActCommand.ACKNOWLEDGE, "acknowledged", "Ann Lee (via link) acknowledged it"),
        (ActCommand.RESOLVE, "resolved", "Ann Lee (via link) resolved it"),
        (ActCommand.ESCALATE, "open", "Ann Lee (via link) escalated it. Step 2:"),
    ],
)
def test_a_tap_acts(
    command: ActCommand, after: str, text: str, log: WorkedLog, tmp_path: Path
) -> None:
    """The journal has the command, with who and through what."""
    name = token(log, command)

    status, page = talk(log, tmp_path, lambda client: tap(client, "POST", name))

    [record] = appended(log)
    assert (status, state(log), text in page) == (200, after, True)
    assert (record["by"], record["through"]) == ("Ann Lee (via link)", "link")


def test_two_at_once_are_both_told_who_was_first(log: WorkedLog, tmp_path: Path) -> None:
    """The first has it; the second hears of the first."""
    names = [token(log, ActCommand.ACKNOWLEDGE, who) for who in ("Ann", "Bob")]

    async def both(client: Client) -> list[Page]:
        return list(await asyncio.gather(*(tap(client, "POST", name) for name in names)))

    pages = talk(log, tmp_path, both)

    first = next(page for status, page in pages if status == 200)
    second = next(page for status, page in pages if status == 409)
    name = "Ann" if "Ann (via link) acknowledged it" in first else "Bob"
    assert f"{name} (via link) acknowledged it" in first
    assert f"{name} (via link) acknowledged it first, at " in second


def test_a_token_that_is_used_again_changes_nothing(log: WorkedLog, tmp_path: Path) -> None:
    """It escalates once, however often it is sent."""
    name = token(log, ActCommand.ESCALATE)

    async def twice(client: Client) -> list[Page]:
        return [await tap(client, "POST", name) for _ in range(2)]

    pages = talk(log, tmp_path, twice)

    assert [status for status, _ in pages] == [200, 409]
    assert "it was carried out before" in pages[1][1]
    assert log.timeline(log.incidents()[0]).count("Escalated") == 1


def test_a_silence_mutes_what_fires_for_an_hour(log: WorkedLog, tmp_path: Path) -> None:
    """Once, with a note in the incident."""
    log.fire(severity="high", alertname="Latency")
    name = token(log, ActCommand.SILENCE_1H)

    async def twice(client: Client) -> list[Page]:
        return [await tap(client, "POST", name) for _ in range(2)]

    pages = talk(log, tmp_path, twice)

    silences = {one["silence"] for one in appended(log) if "silence" in one}
    notes = [one["text"] for one in appended(log) if "command" in one]
    until = format_instant(log.at_ms + 3_600_000)
    assert [status for status, _ in pages] == [200, 409]
    assert (len(silences), notes) == (2, [f"silenced 2 alerts until {until}"])


@pytest.mark.parametrize(
    ("alertname", "status", "silences"), [("HighErrorRate", 200, 1), ("Alert {}", 409, 0)]
)
def test_many_alerts_are_silenced_only_by_their_alertname(
    alertname: str, status: int, silences: int, log: WorkedLog, tmp_path: Path
) -> None:
    """Labels such as a cluster would silence every other alert there, a P0 among them."""
    for number in range(8):
        name = alertname.format(number)
        log.fire(severity="high", alertname=name, cluster="c", pod=f"p{number}")
    log.show_growth()

    found, page = talk(log, tmp_path, tapping("POST", token(log, ActCommand.SILENCE_1H)))

    made = [one for one in appended(log) if "silence" in one]
    assert (found, len({one["silence"] for one in made})) == (status, silences)
    assert status == 200 or "no alertname in common" in page
    assert all(["alertname", "=", "HighErrorRate"] in one["matchers"] for one in made)


@pytest.mark.parametrize(
    ("changed", "status", "text"),
    [
        (lambda name: name[:-1] + ("A" if name[-1] != "A" else "B"), 404, "not valid"),
        (lambda name: name.replace("escalate", "resolve"), 404, "not valid"),
        (lambda _: "x", 404, "not valid"),
        (lambda _: "%00%ff", 404, "not valid"),
        (lambda _: "x" * 6000, 404, "not valid"),
    ],
)
def test_a_token_that_nobody_made_does_nothing(
    changed: Callable[[str], str], status: int, text: str, log: WorkedLog, tmp_path: Path
) -> None:
    """Forged, changed, too long."""
    name = changed(token(log, ActCommand.ESCALATE))

    for method in ("GET", "POST"):
        answer = talk(log, tmp_path, tapping(method, name))
        assert (answer[0], text in answer[1]) == (status, True)
    assert appended(log) == []


def test_a_token_that_has_expired_does_nothing(log: WorkedLog, tmp_path: Path) -> None:
    """By the journal's clock."""
    name = token(log, ActCommand.RESOLVE)
    log.at_ms += TTL_S * 1000

    status, page = talk(log, tmp_path, lambda client: tap(client, "POST", name))

    assert (status, "has expired" in page, appended(log)) == (410, True, [])


@pytest.mark.parametrize(
    "incident", [INCIDENT, "INC-20260412T031502Z-7Z3F", "INC-20260412T031502Z-zz"]
)
def test_an_incident_that_is_not_there_is_told(
    incident: str, log: WorkedLog, tmp_path: Path
) -> None:
    """One that never was, one of a partition that is not there, one that is no id."""
    name = token(log, ActCommand.ACKNOWLEDGE, incident=incident)

    for method in ("GET", "POST"):
        answer = talk(log, tmp_path, tapping(method, name))
        assert answer[0] == 404


def test_a_large_body_is_refused(log: WorkedLog, tmp_path: Path) -> None:
    """A tap has none."""
    name = token(log, ActCommand.RESOLVE)
    body = b"x" * 100_000

    status, _ = talk(log, tmp_path, lambda client: tap(client, "POST", name, data=body))

    assert (status, appended(log)) == (413, [])


def test_a_link_needs_no_token_of_the_bridge(log: WorkedLog, tmp_path: Path) -> None:
    """A phone has none; all else still needs one."""
    name = token(log, ActCommand.ACKNOWLEDGE)
    write(tmp_path / "tokens", "ann operate bm90IGEgc2VjcmV0IGF0IGFsbA")
    security = HttpSecurity(tokens_file=str(tmp_path / "tokens"))

    async def ask(client: Client) -> tuple[int, int]:
        other, _ = await client.ask("GET", "/api/v1/incidents")
        return (await tap(client, "POST", name))[0], other

    assert talk(log, tmp_path, ask, http=security) == (200, 401)


def test_guessing_is_slowed_down(log: WorkedLog, tmp_path: Path) -> None:
    """Who tries many links is asked to wait, like anybody who asks too much."""

    async def guess(client: Client) -> set[int]:
        return {(await tap(client, "POST", "x"))[0] for _ in range(20)}

    assert talk(log, tmp_path, guess, limits=Limits(requests_per_second=1)) == {404, 429}


def test_without_a_key_there_are_no_links(log: WorkedLog) -> None:
    """Nothing answers there."""

    async def conversation() -> int:
        async with serving(log) as client:
            status, _ = await client.ask("POST", "/act/x")
            return status

    assert asyncio.run(conversation()) == 404
