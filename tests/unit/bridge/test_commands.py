"""Operators' commands and notifiers' receipts over HTTP.

What reaches the journal, and what is refused.
"""

from typing import Any

import orjson
import pytest

from app.transport.log import NewRecord
from models.command import Command
from models.journal import encode_receipt
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import INCIDENT, Answer, Client, error, with_bridge

NOW_MS = FakeLog().at_ms
OTHER = "SEC-20260412T031502Z-00K3F"  # of partition 0


def accepted(command: str) -> dict[str, str]:
    """The answer while no worker has answered."""
    text = "no worker has answered yet; the command is in the journal, and will be carried out"
    return {"status": "accepted", "incident": INCIDENT, "command": command, "text": text}


@pytest.mark.parametrize(
    ("command", "document", "details"),
    [
        ("acknowledge", {}, {"text": ""}),
        ("assign", {"to": "bob"}, {"text": "", "to": "bob", "team": ""}),
        ("assign", {"team": "data", "text": "yours"}, {"text": "yours", "to": "", "team": "data"}),
        ("assess", {"verdict": "genuine"}, {"text": "", "verdict": "genuine", "scope": ""}),
        (
            "assess",
            {"verdict": "false-positive", "scope": "none", "text": "a test"},
            {"text": "a test", "verdict": "false-positive", "scope": "none"},
        ),
        ("note", {"text": "hm"}, {"text": "hm"}),
        ("root-cause", {"text": "a lock"}, {"text": "a lock"}),
        ("mitigate", {}, {"text": ""}),
        ("update", {"text": "soon"}, {"text": "soon"}),
        ("update", {"text": "soon", "eta": ""}, {"text": "soon"}),
        (
            "update",
            {"text": "soon", "eta": "1h30m"},
            {"text": "soon", "eta_ms": NOW_MS + 5_400_000},
        ),
        (
            "update",
            {"text": "x", "eta": "2026-04-13T00:00:00Z"},
            {"text": "x", "eta_ms": 1_776_038_400_000},
        ),
        ("complaint", {}, {"text": "", "number": 1}),
        ("complaint", {"number": 12, "text": "by phone"}, {"text": "by phone", "number": 12}),
        ("escalate", {}, {"text": ""}),
        ("escalate", {"step": 4}, {"text": "", "step": 4}),
        ("resolve", {"text": "rolled back"}, {"text": "rolled back"}),
        ("reopen", {}, {"text": ""}),
        ("close", {}, {"text": ""}),
        ("split", {}, {"text": ""}),
        ("done", {"task": "review"}, {"text": "", "task": "review"}),
        ("done", {"task": f"{INCIDENT}.root-cause"}, {"text": "", "task": "root-cause"}),
    ],
)
def test_a_commands_details(
    command: str, document: dict[str, Any], details: dict[str, Any]
) -> None:
    """Each command's details stand in the journal, with times absolute and a task by its name."""
    log = FakeLog()
    path = f"/api/v1/incidents/{INCIDENT}/{command}"
    answer = with_bridge(log, lambda client: client.ask("POST", path, {"by": "ada"} | document))

    assert answer == (202, accepted(command))
    assert [(partition, len(records)) for partition, records in log.batches] == [(1, 1)]
    expected = {"command": command, "incident": INCIDENT, "by": "ada"} | details
    assert orjson.loads(log.values()[0]) == expected


def test_every_command_is_taken() -> None:
    """There is no command without a resource. A merge looks for the other incident first."""
    fields = {"by": "ada", "text": "x", "to": "bob", "verdict": "genuine", "task": "review"}

    async def talk(client: Client) -> dict[str, int]:
        paths = {command: f"/api/v1/incidents/{INCIDENT}/{command}" for command in Command}
        given = fields | {"into": INCIDENT}
        return {
            command: (await client.ask("POST", path, given))[0] for command, path in paths.items()
        }

    expected = {command: 404 if command is Command.MERGE else 202 for command in Command}
    assert with_bridge(FakeLog(), talk) == expected


@pytest.mark.parametrize(
    ("command", "document", "reason", "text"),
    [
        ("note", {}, "malformed", "text: is missing; Field required"),
        (
            "root-cause",
            {"text": ""},
            "malformed",
            "text: is ''; String should have at least 1 character",
        ),
        (
            "note",
            {"text": "x" * 16385},
            "malformed",
            f"text: is '{'x' * 59}...'; String should have at most 16384 characters",
        ),
        (
            "assign",
            {},
            "malformed",
            "to: is missing, and so is team; must name a person, a team or both",
        ),
        (
            "assign",
            {"team": "nobodys"},
            "malformed",
            "team: is 'nobodys', must be one of the policy's teams (infrastructure, ai, data, security, platform)",
        ),
        ("assign", {"to": 7}, "malformed", "to: is 7; Input should be a valid string"),
        (
            "assign",
            {"team": "x" * 257},
            "malformed",
            f"team: is '{'x' * 59}...'; String should have at most 256 characters",
        ),
        ("assess", {}, "malformed", "verdict: is missing; Field required"),
        (
            "assess",
            {"verdict": "true"},
            "malformed",
            "verdict: is 'true'; Input should be 'genuine' or 'false-positive'",
        ),
        (
            "assess",
            {"verdict": 1},
            "malformed",
            "verdict: is 1; Input should be 'genuine' or 'false-positive'",
        ),
        ("update", {"eta": "30m"}, "malformed", "text: is missing; Field required"),
        (
            "update",
            {"text": "x", "eta": 30},
            "malformed",
            "eta: is 30; Input should be a valid string",
        ),
        (
            "update",
            {"text": "x", "eta": "soon"},
            "bad_time",
            "eta: is 'soon', must be an RFC 3339 time, or a duration such as 30m",
        ),
        (
            "update",
            {"text": "x", "eta": "30"},
            "bad_time",
            "eta: is '30', must be a duration such as 90s, 15m, 1h30m or 2d, or an RFC 3339 time",
        ),
        (
            "update",
            {"text": "x", "eta": "0"},
            "bad_time",
            "eta: is '0', which is past; must be ahead",
        ),
        (
            "update",
            {"text": "x", "eta": "2026-04-12T03:15:02Z"},
            "bad_time",
            "eta: is '2026-04-12T03:15:02Z', which is past; must be ahead",
        ),
        (
            "update",
            {"text": "x", "eta": "9" * 20 + "w"},
            "bad_time",
            "eta: is '99999999999999999999w', must be before the year 10000 in UTC",
        ),
        (
            "complaint",
            {"number": 0},
            "malformed",
            "number: is 0; Input should be greater than or equal to 1",
        ),
        (
            "complaint",
            {"number": True},
            "malformed",
            "number: is True; Input should be a valid integer",
        ),
        (
            "complaint",
            {"number": "2"},
            "malformed",
            "number: is '2'; Input should be a valid integer",
        ),
        (
            "complaint",
            {"number": 10**7},
            "malformed",
            "number: is 10000000; Input should be less than or equal to 1000000",
        ),
        (
            "escalate",
            {"step": 0},
            "malformed",
            "step: is 0; Input should be greater than or equal to 1",
        ),
        (
            "escalate",
            {"step": 101},
            "malformed",
            "step: is 101; Input should be less than or equal to 100",
        ),
        ("done", {}, "malformed", "task: is missing; Field required"),
        (
            "done",
            {"task": f"{OTHER}.review"},
            "unknown_task",
            f"task: is '{OTHER}.review', must be a task of {INCIDENT}, such as review or {INCIDENT}.review",
        ),
        (
            "done",
            {"task": "Review"},
            "unknown_task",
            f"task: is 'Review', must be a task of {INCIDENT}, such as review or {INCIDENT}.review",
        ),
    ],
)
def test_refuses_details(command: str, document: dict[str, Any], reason: str, text: str) -> None:
    """A detail that cannot be is refused by its name, with what was found and what is expected."""
    log = FakeLog()
    path = f"/api/v1/incidents/{INCIDENT}/{command}"
    answer = with_bridge(log, lambda client: client.ask("POST", path, {"by": "ada"} | document))

    assert (answer, log.batches) == ((400, error(reason, text)), [])


def test_receipts_go_to_their_incidents_partitions() -> None:
    """Those of one partition are one batch.

    A digest is of no incident, and its receipt goes where the digest came from.
    """
    log = FakeLog()
    receipts = [
        {"notification": "1-7-0", "incident": INCIDENT, "state": "delivered", "detail": "to ops"},
        {
            "notification": "0-3-2",
            "incident": OTHER,
            "state": "failed",
            "detail": "550 no such user",
        },
        {"notification": "1-7-1", "incident": INCIDENT, "state": "delivered"},
        {"notification": "1-9-0", "incident": None, "state": "delivered"},
    ]
    answer = with_bridge(log, lambda client: client.ask("POST", "/api/v1/receipts", receipts))

    mine = [
        NewRecord(INCIDENT.encode(), encode_receipt("1-7-0", INCIDENT, "delivered", "to ops")),
        NewRecord(INCIDENT.encode(), encode_receipt("1-7-1", INCIDENT, "delivered", "")),
        NewRecord(b"", encode_receipt("1-9-0", "", "delivered", "")),
    ]
    others = [
        NewRecord(OTHER.encode(), encode_receipt("0-3-2", OTHER, "failed", "550 no such user"))
    ]
    assert answer == (202, {"status": "success", "accepted": 4})
    assert sorted(log.batches) == [(0, others), (1, mine)]


GOOD = {"notification": "1-7-0", "incident": INCIDENT, "state": "delivered"}


@pytest.mark.parametrize(
    ("document", "status", "reason", "text"),
    [
        (GOOD, 400, "malformed", "the body is an object, must be a list of receipts"),
        ([GOOD] * 10_001, 413, "too_large", "the body has 10001 receipts, must have at most 10000"),
        (
            [GOOD, []],
            400,
            "malformed",
            "[1]: the body: is a list; Input should be a valid dictionary or instance of ReceiptRequest",
        ),
        (
            [GOOD, GOOD | {"state": "sent"}],
            400,
            "malformed",
            "[1]: state: is 'sent'; Input should be 'delivered' or 'failed'",
        ),
        (
            [{"incident": INCIDENT, "state": "failed"}],
            400,
            "malformed",
            "[0]: notification: is missing; Field required",
        ),
        (
            [GOOD | {"notification": "seven"}],
            400,
            "malformed",
            "[0]: notification: is 'seven'; String should match pattern '^[0-9]{1,19}-[0-9]{1,19}-[0-9]{1,19}$'",
        ),
        (
            [GOOD | {"incident": "nonsense"}],
            400,
            "unknown_incident",
            "[0]: 'nonsense' is not an incident id such as INC-20260412T031502Z-00K3F",
        ),
        (
            [GOOD | {"detail": "x" * 1025}],
            400,
            "malformed",
            f"[0]: detail: is '{'x' * 59}...'; String should have at most 1024 characters",
        ),
    ],
)
def test_refuses_receipts(document: Any, status: int, reason: str, text: str) -> None:
    """One that cannot be read spoils the list, so that its sender can send all of it again."""
    log = FakeLog()
    answer: Answer = with_bridge(
        log, lambda client: client.ask("POST", "/api/v1/receipts", document)
    )

    kept = "" if isinstance(document, dict) or len(document) > 2 else "; no receipt was kept"
    assert (answer, log.batches) == ((status, error(reason, f"{text}{kept}")), [])
