"""What a silence is answered: what it acknowledges, what it mutes, and why not more."""

from typing import Any

import orjson

from models.text.instant import format_instant
from tests.support.served_bridge import Answer
from tests.support.worked_log import TOPICS, WorkedLog
from tests.unit.bridge.test_answers import talk_to

PATH, PREVIEW = "/api/v2/silences", "/api/v1/silences/preview"


def body(log: WorkedLog, comment: str, **matchers: str) -> dict[str, Any]:
    """A silence of an hour."""
    return {
        "matchers": [{"name": name, "value": value} for name, value in matchers.items()],
        "endsAt": format_instant(log.at_ms + 3_600_000),
        "createdBy": "ann",
        "comment": comment,
    }


def silenced(log: WorkedLog, comment: str, path: str = PATH, **matchers: str) -> Any:
    """The answer's lists."""
    asked = body(log, comment, **matchers)
    answer: Answer = talk_to(log, lambda client: client.ask("POST", path, asked))
    status, document = answer
    assert status == 200
    return document.get("data", document)


def two_alerts() -> tuple[WorkedLog, str]:
    """A log with one incident, of a P1 and a P2 of one component."""
    log = WorkedLog()
    log.fire()
    log.fire(alertname="HighLatency", severity="warning")
    return log, log.incidents()[0]


def test_the_procedures_silence_acknowledges() -> None:
    """A silence of the worst alert acknowledges its incident, although a second alert is in it."""
    log, incident = two_alerts()

    answer = silenced(log, "Investigating - ann", alertname="HighErrorRate")

    muted = [{"name": "HighErrorRate", "component": "api", "incident": incident}]
    assert (answer["acknowledged"], answer["mutes"], answer["complete"]) == (
        [incident],
        muted,
        True,
    )
    assert "Acknowledged" in log.timeline(incident)


def test_any_other_comment_only_mutes() -> None:
    """A silence that does not say that somebody investigates acknowledges nothing, and says why."""
    log, incident = two_alerts()

    answer = silenced(log, "maintenance", alertname="HighErrorRate")

    why = "its comment must begin with one of: Investigating, ACK!"
    assert answer["not_acknowledged"] == [{"incident": incident, "why": why}]
    assert (answer["acknowledged"], answer["mutes_total"]) == ([], 1)
    assert "Acknowledged" not in log.timeline(incident)


def test_the_worst_alert_is_not_meant() -> None:
    """Whoever looks into a lesser alert has not taken the incident."""
    log, incident = two_alerts()

    answer = silenced(log, "ACK! looking", alertname="HighLatency")

    why = "it matches no firing P1 alert: HighErrorRate"
    assert answer["not_acknowledged"] == [{"incident": incident, "why": why}]


def test_a_preview_changes_nothing() -> None:
    """What a silence would do is shown, and nothing is done."""
    log, incident = two_alerts()
    before = log.timeline(incident)

    answer = silenced(log, "Investigating", PREVIEW, alertname="HighErrorRate")

    assert (answer["acknowledged"], answer["mutes_total"]) == ([incident], 1)
    assert log.timeline(incident) == before
    assert [engine.state.silences for engine in log.engines] == [{}, {}]


def test_a_silence_on_a_root_covers_what_it_explains() -> None:
    """What depends on a silenced root stays quiet with it, and the answer lists it."""
    log = WorkedLog()
    log.fire("postgres", alertname="PostgreSQLDown", severity="critical")
    log.fire("api", alertname="HighErrorRate", severity="high")
    log.exchange_signals()

    answer = silenced(log, "Investigating", alertname="PostgreSQLDown")

    assert [one["component"] for one in answer["covers"]] == ["api"]


def test_no_message_tells_of_a_silence() -> None:
    """Nobody gets a message because a silence began or ended."""
    log = WorkedLog()
    log.fire(severity="critical")
    log.at_ms += 300_000
    log.tick()
    before = kinds(log)

    silenced(log, "maintenance", alertname="HighErrorRate")
    log.at_ms += 3_600_000
    log.tick()

    assert not {"suppressed", "released"} & set(kinds(log)[len(before) :])


def kinds(log: WorkedLog) -> list[str]:
    """The kinds of all notifications."""
    return [
        orjson.loads(record.value or b"")["kind"]
        for (topic, _), records in log.topics.items()
        for record in records
        if topic == TOPICS.notifications
    ]
