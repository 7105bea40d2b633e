"""What a command is answered: what the engine made of it, wherever it works."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.served_bridge import INCIDENT, Answer, Client, serving
from tests.support.worked_log import WorkedLog

NEWEST = "the newest are: "


def talk_to(log: WorkedLog, talk: Callable[[Client], Awaitable[Any]], seconds: float = 30) -> Any:
    """What `talk` returns of a conversation with a bridge in front of the log."""

    async def conversation() -> Any:
        async with serving(log, answer_seconds=seconds) as client:
            return await talk(client)

    return asyncio.run(conversation())


def command(log: WorkedLog, incident: str, name: str, **details: Any) -> Answer:
    """The answer to one command."""
    path, body = f"/api/v1/incidents/{incident}/{name}", {"by": "ann", **details}
    answer: Answer = talk_to(log, lambda client: client.ask("POST", path, body))
    return answer


def opened(severity: str = "high") -> tuple[WorkedLog, str]:
    """A log with one incident."""
    log = WorkedLog()
    log.fire(severity=severity)
    return log, log.incidents()[0]


@pytest.mark.parametrize(
    ("name", "details", "state", "text"),
    [
        ("acknowledge", {"text": "looking"}, "acknowledged", "ann acknowledged it: looking"),
        ("note", {"text": "hm"}, "open", "ann: hm"),
        ("resolve", {}, "resolved", "ann resolved it"),
        ("escalate", {"step": 3}, "open", "ann escalated it. Step 3: Engineering Manager."),
        ("assign", {"to": "on-call-dba"}, "open", "ann assigned it to on-call-dba"),
    ],
)
def test_what_came_of_a_command(name: str, details: dict[str, Any], state: str, text: str) -> None:
    """A command that is carried out is answered with the new state, and with what the timeline says."""
    log, incident = opened()

    status, body = command(log, incident, name, **details)

    assert (status, body["state"], body["texts"][0]) == (200, state, text)
    assert body["snapshot"]["incident"] == incident


@pytest.mark.parametrize(
    ("name", "details", "reason", "text"),
    [
        (
            "reopen",
            {},
            "illegal_transition",
            "the incident is open, so reopen is not possible. Possible: acknowledge, resolve",
        ),
        (
            "close",
            {},
            "illegal_transition",
            "1 of its alerts are firing, must be none: silence them first",
        ),
        (
            "escalate",
            {"step": 9},
            "unknown_name",
            (
                "step is 9, must be one of platform: 1 On-call Platform Engineer,"
                " 2 Platform Team Lead, 3 Engineering Manager, 4 CTO"
            ),
        ),
    ],
)
def test_refused(name: str, details: dict[str, Any], reason: str, text: str) -> None:
    """A command that the engine refuses is answered with 409 and the reason, and the timeline has it."""
    log, incident = opened()

    status, body = command(log, incident, name, **details)

    assert (status, body) == (409, {"status": "error", "reason": reason, "error": text})
    assert log.timeline(incident)[-1] == "CommandRefused"


def test_an_unknown_person() -> None:
    """Nobody is given an incident who is no contact of the policy; the answer says who is."""
    log, incident = opened()

    status, body = command(log, incident, "assign", to="on-call-dbb")

    assert (status, body["reason"]) == (409, "unknown_name")
    assert body["error"].startswith("to is 'on-call-dbb', must be a contact of the policy (on-call")
    assert body["error"].endswith("did you mean 'on-call-dba'?")


def test_a_resolved_incident_is_not_escalated() -> None:
    """Nobody is woken for what is over."""
    log, incident = opened()
    log.fire(firing=False)

    status, body = command(log, incident, "escalate")

    text = "the incident is resolved, must be open or acknowledged to escalate: reopen it first"
    assert (status, body["error"]) == (409, text)


def test_an_unknown_incident() -> None:
    """An incident that never was is not found; the answer names the newest that are."""
    log, incident = opened()

    status, body = command(log, INCIDENT, "acknowledge")

    text = f"no incident {INCIDENT!r}; {NEWEST}{incident}"
    expected = {"status": "error", "reason": "unknown_incident", "error": text}
    assert (status, body) == (404, expected)
    assert log.timeline(INCIDENT) == ["CommandRefused"]


def test_a_closed_incident() -> None:
    """A closed incident is known, and says when it was closed."""
    log, incident = opened()
    log.fire(firing=False)
    command(log, incident, "close")

    status, body = command(log, incident, "acknowledge")

    text = f"{incident} was closed at 2026-04-12T13:20:00.000Z"
    expected = {"status": "error", "reason": "illegal_transition", "error": text}
    assert (status, body) == (409, expected)


def test_an_unknown_task() -> None:
    """A task that there is not is not found."""
    log, incident = opened()

    status, body = command(log, incident, "done", task="revue")

    text = f"{incident} has no open task 'revue', must be one of: none"
    assert (status, body["reason"], body["error"]) == (404, "unknown_task", text)


def test_a_done_task() -> None:
    """A task of a closed incident is done; there is no state of the incident to tell."""
    log, incident = opened(severity="critical")
    log.at_ms += 60_000
    log.fire(severity="critical", firing=False)
    command(log, incident, "close")

    status, body = command(log, incident, "done", task="review", text="held")

    assert (status, body["texts"]) == (200, ["ann finished review: held"])
    assert "state" not in body


def test_no_worker_answers() -> None:
    """A command that no worker has answered yet is accepted, for it is in the journal."""
    log, incident = opened()
    log.working = False

    async def talk(client: Client) -> Answer:
        return await client.ask("POST", f"/api/v1/incidents/{incident}/acknowledge", {"by": "ann"})

    status, body = talk_to(log, talk, seconds=0)

    assert (status, body["status"]) == (202, "accepted")
    assert body["text"].startswith("no worker has answered yet")


def test_a_deadline_before_the_command_is_not_its_answer() -> None:
    """What a command's record only moved the time past is not taken for what came of the command."""
    log, incident = opened()
    log.at_ms += 600_000  # the first message is due, and the first step

    status, body = command(log, incident, "reopen")

    assert (status, body["reason"]) == (409, "illegal_transition")


def test_two_at_once() -> None:
    """Each command gets its own answer."""
    log, incident = opened()
    paths = [f"/api/v1/incidents/{incident}/{name}" for name in ("acknowledge", "reopen")]

    async def talk(client: Client) -> list[Answer]:
        return [await client.ask("POST", path, {"by": "ann"}) for path in paths]

    assert [status for status, _ in talk_to(log, talk)] == [200, 409]


def test_a_merge_into_what_is_not_there_is_refused() -> None:
    """Nothing reaches the journal, and the answer says what is wrong with the other incident."""
    log, incident = opened()

    status, body = command(log, incident, "merge", into="INC-20260412T031502Z-00K3F")

    assert (status, body["reason"]) == (404, "unknown_incident")
    assert body["error"] == "into: there is no incident 'INC-20260412T031502Z-00K3F'"
