"""PagerDuty's webhooks: what a person does there is done here, and nothing goes to and fro."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.bridge.commands.pagerduty_routes import secrets_of
from app.settings import BadSettings
from models.topics import Topics
from tests.support.receivers.pagerduty import (
    ANN,
    INTEGRATION,
    WEBHOOK_SECRET,
    signed_headers,
    webhook,
)
from tests.support.served_bridge import PARTITIONS, Answer, Client, serving
from tests.support.token_files import write
from tests.support.worked_log import WorkedLog

PATH = "/api/v1/pagerduty"
SRE = {"id": "P2", "type": "user_reference", "summary": "On-call SRE"}
BOB = {"id": "P3", "type": "user_reference", "summary": "Bob"}


@pytest.fixture
def log() -> WorkedLog:
    """A log with one incident that is open."""
    log = WorkedLog()
    log.fire(severity="high")
    return log


def talk(log: WorkedLog, folder: Path, talk_to: Callable[[Client], Awaitable[Any]]) -> Any:
    """What `talk_to` returns of a conversation with a bridge that knows the secret."""

    async def conversation() -> Any:
        file = folder / "secrets"
        write(file, f"another-secret-of-before\n\n{WEBHOOK_SECRET}\n")
        async with serving(log, answer_seconds=30, pagerduty_key_file=str(file)) as client:
            return await talk_to(client)

    return asyncio.run(conversation())


def send(log: WorkedLog, folder: Path, body: bytes, headers: dict[str, str]) -> Answer:
    """The answer to one request."""
    answer: Answer = talk(log, folder, lambda client: client.ask("POST", PATH, body, headers))
    return answer


def key(log: WorkedLog) -> str:
    """PagerDuty's key of the incident."""
    return f"{log.incidents()[0]}/1"


def commands(log: WorkedLog) -> list[dict[str, Any]]:
    """The commands in the journal."""
    return [
        document
        for partition in range(PARTITIONS)
        for record in log.topics.get((Topics().journal, partition), [])
        if "command" in (document := orjson.loads(record.value or b"{}"))
    ]


def incident(log: WorkedLog) -> Any:
    """The incident, as the engine has it."""
    return next(one for engine in log.engines for one in engine.state.incidents.values())


@pytest.mark.parametrize(
    ("event", "state", "text"),
    [
        ("incident.acknowledged", "acknowledged", "Ann Lee (via pagerduty) acknowledged it"),
        ("incident.resolved", "resolved", "Ann Lee (via pagerduty) resolved it"),
    ],
)
def test_what_a_person_does_there_is_so_here(
    event: str, state: str, text: str, log: WorkedLog, tmp_path: Path
) -> None:
    """Whoever it was is named, in the journal and in the timeline."""
    body = webhook(event, key(log))

    answer = send(log, tmp_path, body, signed_headers(body))

    [command] = commands(log)
    assert answer == (200, {"status": "done", "text": text})
    assert (incident(log).state, command["through"]) == (state, "pagerduty")


def test_what_is_reopened_there_is_open_here(log: WorkedLog, tmp_path: Path) -> None:
    """After it was resolved."""
    bodies = [webhook(f"incident.{event}", key(log)) for event in ("resolved", "reopened")]

    for body in bodies:
        send(log, tmp_path, body, signed_headers(body))

    assert incident(log).state == "open"


@pytest.mark.parametrize(
    ("assignee", "kind", "text"),
    [
        (SRE, "assign", "Ann Lee (via pagerduty) assigned it to on-call-sre"),
        (BOB, "note", "Ann Lee (via pagerduty): gave it to Bob, who is no contact of the policy"),
    ],
)
def test_what_is_reassigned_there_is_so_here(
    assignee: dict[str, str], kind: str, text: str, log: WorkedLog, tmp_path: Path
) -> None:
    """A contact of the policy has it then; of anybody else there is a note."""
    body = webhook("incident.reassigned", key(log), assignees=[assignee])

    answer = send(log, tmp_path, body, signed_headers(body))

    assert answer == (200, {"status": "done", "text": text})
    assert [one["command"] for one in commands(log)] == [kind]


def test_what_our_own_events_did_is_ignored(log: WorkedLog, tmp_path: Path) -> None:
    """Else it would go to and fro for ever."""
    body = webhook("incident.acknowledged", key(log), INTEGRATION)

    answer = send(log, tmp_path, body, signed_headers(body))

    assert (answer, commands(log)) == ((200, {"status": "ignored"}), [])


def test_an_event_that_comes_twice_counts_once(log: WorkedLog, tmp_path: Path) -> None:
    """PagerDuty sends again what was answered too late."""
    body = webhook("incident.reassigned", key(log), assignees=[BOB])

    answers = [send(log, tmp_path, body, signed_headers(body)) for _ in range(2)]

    assert [answer["status"] for _, answer in answers] == ["done", "refused"]
    assert log.timeline(log.incidents()[0]).count("Noted") == 1


def test_who_was_first_is_told(log: WorkedLog, tmp_path: Path) -> None:
    """The second to acknowledge hears of the first."""
    bodies = [webhook("incident.acknowledged", key(log), person) for person in (ANN, BOB)]

    answers = [send(log, tmp_path, body, signed_headers(body)) for body in bodies]

    assert answers[1][1]["text"].startswith("Ann Lee (via pagerduty) acknowledged it first, at ")
    assert incident(log).acknowledged_by == "Ann Lee (via pagerduty)"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-PagerDuty-Signature": ""},
        {"X-PagerDuty-Signature": "v1=" + "0" * 64},
        {"X-PagerDuty-Signature": ",".join(["v1=" + "0" * 64] * 100)},
        signed_headers(b"another body"),
        signed_headers(b"x", "another-secret"),
    ],
)
def test_a_wrong_signature_is_refused(
    headers: dict[str, str], log: WorkedLog, tmp_path: Path
) -> None:
    """Nothing is done, and the answer says nothing of the incident."""
    status, answer = send(log, tmp_path, webhook("incident.resolved", key(log)), headers)

    assert (status, answer["reason"], commands(log)) == (401, "wrong_signature", [])


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{}", 400, "malformed"),
        (b"\xff", 400, "malformed"),
        (b'{"event":' * 20_000, 400, "malformed"),
        (webhook("incident.resolved", "disk/1"), 400, "malformed"),
        (b" " * 300_000, 413, "too_large"),
    ],
)
def test_what_is_no_webhook_is_refused(
    body: bytes, status: int, reason: str, log: WorkedLog, tmp_path: Path
) -> None:
    """Though it is signed."""
    answer = send(log, tmp_path, body, signed_headers(body))

    assert (answer[0], answer[1]["reason"]) == (status, reason)


@pytest.mark.parametrize(
    "name", ["INC-20260412T031502Z-01K3F", "INC-20260412T031502Z-ZZ3F", "INC-20991212T000000Z-000"]
)
def test_an_incident_that_is_not_there_is_told(name: str, log: WorkedLog, tmp_path: Path) -> None:
    """With 200, or PagerDuty would send it again."""
    body = webhook("incident.resolved", f"{name}/1")

    status, answer = send(log, tmp_path, body, signed_headers(body))

    assert (status, answer["status"]) == (200, "unknown")


def test_a_journal_that_is_away_is_asked_again(log: WorkedLog, tmp_path: Path) -> None:
    """What the journal did not take is answered with 503."""
    body = webhook("incident.resolved", key(log))
    log.away = set(range(PARTITIONS))

    status, answer = send(log, tmp_path, body, signed_headers(body))

    assert (status, answer["reason"]) == (503, "journal_unavailable")


@pytest.mark.parametrize("text", ["", "\n", "short", "x" * 16 + "\nshort"])
def test_a_file_without_good_secrets_is_refused(text: str, tmp_path: Path) -> None:
    """Anybody could guess a short one."""
    write(tmp_path / "secrets", text)

    with pytest.raises(BadSettings, match="must have 1 to 20 secrets"):
        secrets_of(str(tmp_path / "secrets"))
