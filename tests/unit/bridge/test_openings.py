"""Incidents by hand and heartbeats by URL: alerts that a person or a job makes, through the same journal."""

from typing import Any

import orjson
import pytest

from app.bridge.commands.openings import SENDER
from app.core.rules.compiled_policy import CompiledPolicy
from app.intake.made_labels import heartbeat_labels
from models.reason import BadInput
from models.text.instant import format_instant
from tests.support.bridge_metrics import refused_count
from tests.support.driven_loop import run_driven
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import Client, error, serving, with_bridge
from tests.support.shipped_policy import shipped
from tests.support.worked_log import TOPICS, WorkedLog
from tests.unit.bridge.test_pagerduty_events import incidents

BODY = {"by": "ann", "title": "checkout is slow", "severity": "P1", "team": "platform"}


def talk_to_worker(log: WorkedLog, *requests: tuple[str, Any]) -> list[Any]:
    """The answers to these requests, for which the worker is waited for."""

    async def scenario() -> list[Any]:
        async with serving(log, answer_seconds=5.0) as client:
            return [await client.ask("POST", path, body) for path, body in requests]

    return run_driven(scenario())


@pytest.mark.parametrize("team", ["platform", "security", "ai", "data", "infrastructure"])
@pytest.mark.parametrize("severity", ["P0", "P1", "P2", "P3"])
def test_an_incident_by_hand(team: str, severity: str) -> None:
    """It is of the team and the severity that were named, from its first message on."""
    log = WorkedLog()
    body = BODY | {"team": team, "severity": severity}

    [(status, answer)] = talk_to_worker(log, ("/api/v1/incidents", body))
    [incident] = incidents(log)

    assert (status, answer["incident"], answer["state"]) == (201, incident["incident"], "open")
    assert (incident["owner"], incident["severity"]) == (team, severity)
    assert "Assigned" not in log.timeline(incident["incident"])


@pytest.mark.parametrize(
    ("known", "told"), [("", "checkout is slow"), ("30 s", "checkout is slow: 30 s")]
)
def test_its_messages_say_what_is_known(known: str, told: str) -> None:
    """The title once, and the text where there is one."""
    log = WorkedLog()

    talk_to_worker(log, ("/api/v1/incidents", BODY | {"text": known}))
    texts = {
        orjson.loads(record.value or b"")["text"]
        for (topic, _), records in log.topics.items()
        if topic == TOPICS.notifications
        for record in records
    }

    assert texts == {told}


def test_it_ends_with_its_incident() -> None:
    """Its alert fires until then, and no longer."""
    log = WorkedLog()
    [(_, opened)] = talk_to_worker(log, ("/api/v1/incidents", BODY))
    path = f"/api/v1/incidents/{opened['incident']}"

    [(noted, _), (resolved, _)] = talk_to_worker(
        log,
        (f"{path}/note", {"by": "ann", "text": "hm"}),
        (f"{path}/resolve", {"by": "ann"}),
    )
    log.show_growth()
    [incident] = incidents(log)

    assert (opened["snapshot"]["alerts_firing"], noted, resolved) == (1, 200, 200)
    assert (incident["state"], incident["alerts_firing"]) == ("resolved", 0)
    assert incident["alerts"][0]["labels"]["sender"] == SENDER


def test_two_of_the_same_title_are_two() -> None:
    """Who opens an incident means another one, unless a component is named."""
    log = WorkedLog()
    talk_to_worker(log, *[("/api/v1/incidents", BODY)] * 2)
    apart = len(incidents(log))
    talk_to_worker(log, *[("/api/v1/incidents", BODY | {"component": "cart"})] * 2)

    assert (apart, len(incidents(log))) == (2, 3)


def test_nobody_waits_for_ever() -> None:
    """Without a worker the incident is in the journal, and will be opened."""
    answer = with_bridge(FakeLog(), lambda client: client.ask("POST", "/api/v1/incidents", BODY))

    text = "no worker has answered yet; the incident will be opened"
    assert answer == (202, {"status": "accepted", "text": text})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"title": ""}, "title: is ''; String should have at least 1 character"),
        ({"severity": "P7"}, "severity: is 'P7'; Input should be 'P0', 'P1', 'P2' or 'P3'"),
        (
            {"team": "platfrom"},
            (
                "team: is 'platfrom', must be one of the policy's teams "
                "(infrastructure, platform, data, ai, security); did you mean 'platform'?"
            ),
        ),
    ],
)
def test_what_cannot_be_opened(change: dict[str, str], text: str) -> None:
    """It is refused by name, and nothing is in the journal."""
    log = FakeLog()

    status, answer = with_bridge(
        log, lambda client: client.ask("POST", "/api/v1/incidents", BODY | change)
    )

    assert (status, answer["reason"], sorted(answer["error"]), log.batches) == (
        400,
        "malformed",
        sorted(text),
        [],
    )


def policy_with(match: str, name: str = "backup") -> CompiledPolicy:
    """The shipped policy with one heartbeat."""
    rule = {"name": name, "match": [match], "missing": "26h", "severity": "P1"}
    return CompiledPolicy(shipped().document | {"heartbeats": [rule]})


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ('heartbeat="backup"', {"alertname": "backup"}),
        ('alertname="Backup"', {"alertname": "Backup"}),
        ('alertname=~"Nightly|Weekly"', {"alertname": "Nightly"}),
        ('alertname=~"(Nightly|Weekly)"', {"alertname": "Nightly"}),
        ('alertname!="x"', {"alertname": "backup"}),
    ],
)
def test_labels_of_a_heartbeat(match: str, expected: dict[str, str]) -> None:
    """They are those that the rule asks for, and the heartbeat's own name."""
    assert heartbeat_labels(policy_with(match), "backup") == expected | {"heartbeat": "backup"}


def test_labels_that_nobody_can_guess() -> None:
    """The message says what the rule could match."""
    with pytest.raises(BadInput, match="let it match heartbeat=backup"):
        heartbeat_labels(policy_with('job=~"b.*[0-9]+"'), "backup")


def test_a_job_says_that_it_ran() -> None:
    """With or without a body. The answer says when it is missed; when it is, an incident opens."""
    log = FakeLog()

    async def talk(client: Client) -> list[Any]:
        path = "/api/v1/heartbeats/backup"
        return [await client.ask("POST", path), await client.ask("POST", path, b"done", {})]

    answers = with_bridge(log, talk, policy=policy_with('heartbeat="backup"'))

    missing_at = format_instant(log.at_ms + 26 * 3_600_000)
    body = {"status": "success", "heartbeat": "backup", "grace": "1d2h", "missing_at": missing_at}
    assert answers == [(200, body), (200, body)]
    assert len({record.value for _, batch in log.batches for record in batch}) == 1


def test_a_heartbeat_that_nobody_expects_is_refused() -> None:
    """Else a typing mistake would be a heartbeat that nobody misses. It is counted."""
    before = refused_count("unknown_name")
    answer = with_bridge(
        FakeLog(), lambda client: client.ask("POST", "/api/v1/heartbeats/alerting-silnet")
    )

    text = "the policy has no heartbeat 'alerting-silnet', must be one of its `heartbeats`"
    text += " (alerting-silent); did you mean 'alerting-silent'?"
    assert answer == (404, error("unknown_name", text))
    assert refused_count("unknown_name") == before + 1


def test_a_web_page_says_nothing_for_a_job() -> None:
    """It needs no body whose type would make the browser ask first, so it is refused by its Origin."""
    log, headers = FakeLog(), {"Origin": "http://localhost:3000"}
    path = "/api/v1/heartbeats/alerting-silent"

    status, answer = with_bridge(log, lambda client: client.ask("POST", path, None, headers))

    assert (status, answer["reason"], log.batches) == (403, "foreign_origin", [])
