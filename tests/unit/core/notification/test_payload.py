"""What a message carries: the alerts, links, the next step, the reason, the action and the episode."""

from dataclasses import fields

import orjson
import pytest

from app.core.notification.actions import action_of, wakes
from app.core.state.alerts_shown import ALERTS_BYTES_MAX, alerts_of
from app.transport.log import StoredRecord
from models.effect import Stream
from models.events import Action, Notification, NotificationKind, NotifiedAlert
from models.journal import encode_command
from tests.support.alerts import (
    ANNOTATIONS,
    GRAPH,
    POD,
    RUNBOOK,
    documents,
    effects_of,
    engine_after,
    record,
    tick,
)
from tests.support.scenario import FEEDINGS, START_MS

MINUTE_MS = 60_000


def test_a_message_names_the_place_and_the_links() -> None:
    """Title, alert, labels and links stand in the message; so do the reason and the first step."""
    effects = effects_of(record())

    page = next(
        one for one in documents(effects, Stream.NOTIFICATIONS) if one["channel"] == "pager"
    )
    assert page["title"] == "PodRestarts: store/basket-5f8d"
    assert page["alerts"] == [
        {
            "fingerprint": page["alerts"][0]["fingerprint"],
            "status": "firing",
            "severity": "P0",
            "labels": POD,
            "annotations": ANNOTATIONS,
            "generator_url": GRAPH,
            "starts_at": page["at"],
            "ends_at": None,
        }
    ]
    assert page["common_labels"] == POD
    assert page["links"] == {
        "runbook": RUNBOOK,
        "dashboard": "https://grafana.example.org/d/pods",
        "graph": GRAPH,
    }
    assert (page["alerts_omitted"], page["alerts_firing"], page["alerts_total"]) == (0, 1, 1)
    assert page["reason"]["text"].startswith("first on call of the team")
    assert page["started_at"] == page["at"]


def test_a_message_has_the_fields_of_the_contract() -> None:
    """Each message has exactly the fields of `Notification`, each alert those of `NotifiedAlert`."""
    effects = effects_of(record(), _command(1000, "acknowledge"), record(2000, firing=False))

    for one in documents(effects, Stream.NOTIFICATIONS):
        assert sorted(one) == sorted(part.name for part in fields(Notification))
        for alert in one["alerts"]:
            assert sorted(alert) == sorted(part.name for part in fields(NotifiedAlert))


def test_a_snapshot_carries_the_alerts() -> None:
    """The newest snapshot has the alert with its end, and the links."""
    effects = effects_of(record(), record(MINUTE_MS, firing=False))

    newest = documents(effects, Stream.INCIDENTS)[-1]
    assert [(one["status"], one["ends_at"] is None) for one in newest["alerts"]] == [
        ("ended", False)
    ]
    assert newest["common_labels"] == POD
    assert newest["links"]["runbook"] == RUNBOOK


def test_each_step_up_is_an_episode_of_its_own() -> None:
    """The first ring and each escalation have keys of their own; the end has the last one's."""
    effects = effects_of(
        record(),
        _command(1000, "escalate"),
        _command(2000, "escalate"),
        record(3000, firing=False),
        _command(4000, "close"),
    )

    sent = documents(effects, Stream.NOTIFICATIONS)
    episodes = {
        kind: sorted({one["episode"] for one in sent if one["kind"] == kind})
        for kind in ("opened", "escalated", "resolved")
    }
    assert episodes == {"opened": [1], "escalated": [2, 3], "resolved": [3]}
    assert {one["dedup_key"].rpartition("/")[2] for one in sent if one["wakes"]} == {"1", "2", "3"}


@pytest.mark.parametrize("feeding", FEEDINGS, ids=lambda feeding: feeding.__name__)
def test_a_large_incident_shows_the_worst_and_newest(feeding: object) -> None:
    """Of 40 alerts, also after a restart, five stand in the snapshot, and the number of the others."""
    records = [
        record(
            number * 1000,
            labels=POD
            | {"pod": f"basket-{number}", "severity": "critical" if number == 3 else "warning"},
        )
        for number in range(40)
    ]
    records += [
        record(
            60_000 + number,
            firing=False,
            labels=POD | {"pod": f"basket-{number}", "severity": "warning"},
        )
        for number in range(30, 40)
    ]
    records.append(tick(62_000))

    newest = documents(effects_of(*records, feeding=feeding), Stream.INCIDENTS)[-1]  # type: ignore[arg-type]

    pods = [one["labels"]["pod"] for one in newest["alerts"]]
    assert pods == ["basket-3", *(f"basket-{number}" for number in range(29, 25, -1))]
    assert newest["alerts_omitted"] == 35
    assert newest["common_labels"] == {
        name: value for name, value in POD.items() if name not in ("pod", "severity")
    }


@pytest.mark.parametrize("alerts", [12, 40])
def test_a_message_shows_ten_alerts(alerts: int) -> None:
    """Few alerts are sorted, many have an index; both give the ten newest, and count the others."""
    records = [record(number, labels=POD | {"pod": f"basket-{number}"}) for number in range(alerts)]
    (incident,) = engine_after(*records).state.incidents.values()

    shown = orjson.loads(orjson.dumps(alerts_of(incident)))

    pods = [one["labels"]["pod"] for one in shown["alerts"]]
    assert pods == [f"basket-{number}" for number in range(alerts - 1, alerts - 11, -1)]
    assert (shown["alerts_omitted"], shown["alerts_total"]) == (alerts - 10, alerts)


def test_large_alerts_are_fewer() -> None:
    """What is shown has a bound in bytes; the first alert is always there, with its texts cut."""
    rest = "r" * 30_000
    records = [
        record(number, labels=POD | {"pod": f"basket-{number}", "rest": rest})
        for number in range(5)
    ]

    newest = documents(effects_of(*records, tick(2000)), Stream.INCIDENTS)[-1]

    assert [one["labels"]["pod"] for one in newest["alerts"]] == ["basket-4"]
    assert newest["alerts_omitted"] == 4
    assert len(orjson.dumps(newest["alerts"])) < ALERTS_BYTES_MAX


def test_long_annotations_are_cut_and_links_kept_whole() -> None:
    """The state keeps a bounded part of what a sender says; a link is whole or not there."""
    annotations = {
        **{f"more{number:03}": "m" * 900 for number in range(50)},
        "description": "d" * 100_000,
        "runbook_url": RUNBOOK,
    }

    newest = documents(effects_of(record(annotations=annotations)), Stream.INCIDENTS)[-1]

    kept = newest["alerts"][0]["annotations"]
    assert kept["description"].endswith("... (98976 more characters)")
    assert kept["runbook_url"] == RUNBOOK
    assert "more000" in kept
    assert "more049" not in kept
    assert sum(map(len, kept)) + sum(map(len, kept.values())) <= 4096


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "http://a b", "x"])
def test_what_is_no_web_address_is_no_link(url: str) -> None:
    """Neither a generatorURL nor an annotation that is something else is shown as a link."""
    annotations = {"summary": "s", "runbook_url": url}

    newest = documents(effects_of(record(annotations=annotations, url=url)), Stream.INCIDENTS)[-1]

    assert newest["links"] == {}
    assert newest["alerts"][0]["generator_url"] == ""


def test_members_bring_their_place_and_runbook() -> None:
    """An incident that a rule opened shows the alerts of other components, with pod and runbook."""
    records = [
        record(
            number,
            labels={
                "alertname": "AgentDown",
                "severity": "high",
                "component": f"agent-{number}",
                "namespace": "agents",
                "pod": f"agent-{number}-0",
            },
        )
        for number in range(3)
    ]

    opened = [
        one
        for one in documents(effects_of(*records), Stream.INCIDENTS)
        if one["rule"] == "agents-down"
    ]

    alerts = opened[-1]["alerts"]
    assert [one["labels"]["pod"] for one in alerts] == ["agent-2-0", "agent-1-0", "agent-0-0"]
    assert {one["annotations"]["runbook_url"] for one in alerts} == {RUNBOOK}
    assert opened[-1]["common_labels"]["namespace"] == "agents"
    assert opened[-1]["links"]["runbook"] == RUNBOOK


def test_which_messages_wake() -> None:
    """Through a pager wakes what triggers; nothing else wakes anybody."""
    waking = {kind for kind in NotificationKind if wakes(kind, "pager")}

    assert waking == {
        NotificationKind.OPENED,
        NotificationKind.REPEATED,
        NotificationKind.ESCALATED,
        NotificationKind.REOPENED,
        NotificationKind.SEVERITY_RAISED,
    }
    assert not any(
        wakes(kind, channel) for kind in NotificationKind for channel in ("chat", "email")
    )


def test_what_a_receiver_does() -> None:
    """An end resolves, an acknowledgement acknowledges, and words of people are posted quietly."""
    assert action_of(NotificationKind.RESOLVED, "pager") is Action.RESOLVE
    assert action_of(NotificationKind.ACKNOWLEDGED, "chat") is Action.ACKNOWLEDGE
    assert action_of(NotificationKind.REOPENED, "chat") is Action.UPDATE
    assert action_of(NotificationKind.UPDATED, "pager") is Action.UPDATE
    assert action_of(NotificationKind.UPDATE, "chat") is Action.INFORM
    changes = (NotificationKind.SUPPRESSED, NotificationKind.RELEASED, NotificationKind.FLAPPING)
    assert {action_of(kind, "chat") for kind in changes} == {Action.UPDATE}


def _command(at_ms: int, name: str) -> StoredRecord:
    first = documents(effects_of(record()), Stream.INCIDENTS)[0]["incident"]
    return StoredRecord(-1, START_MS + at_ms, b"", encode_command(name, first, "ann"))
