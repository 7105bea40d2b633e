"""What tools read from an Alertmanager, in front of a log in memory with what an engine says."""

import asyncio
from typing import Any

import pytest

from app.bridge.alertmanager.root_alerts import INHIBITED_BY_MAX
from app.core.engine import Engine
from app.history.alert_view import AlertView
from app.policy.simulator import Stage
from app.transport.log import NewRecord, StoredRecord
from models.alert import Alert, fingerprint
from models.effect import Effect, Stream
from models.journal import TICK, encode_alert, encode_command, encode_silence
from models.matcher import parse_matcher
from models.silence import Silence
from models.text.instant import format_instant
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import Client, with_bridge
from tests.support.shipped_policy import shipped

REDIS = {"alertname": "RedisDown", "service": "redis", "severity": "critical"}
NODE = {"alertname": "NodeDown", "instance": "n1", "component": "n1", "severity": "critical"}
DISK = {"alertname": "DiskFull", "instance": "n1", "component": "app", "severity": "warning"}
TTL_MS, SECOND_MS = 300_000, 1000
HOUR_MS = 3_600_000
NOW_MS = FakeLog().at_ms


def sent(labels: dict[str, str], at_ms: int, *, firing: bool = True) -> StoredRecord:
    """The journal record of an alert."""
    ends_ms, ttl_ms = (0, TTL_MS) if firing else (at_ms, 0)
    known = Alert(
        fingerprint(labels),
        labels,
        {"summary": "s"},
        firing,
        NOW_MS,
        ends_ms,
        ttl_ms,
        url="http://p/g",
    )
    component = shipped().place(labels, known.fingerprint).key
    return StoredRecord(-1, at_ms, component.encode(), encode_alert(known))


def silenced(name: str, matcher: str, at_ms: int) -> StoredRecord:
    """The journal record of a silence of an hour."""
    silence = Silence(name, (parse_matcher(matcher),), at_ms, at_ms + HOUR_MS, "ann", "known")
    return StoredRecord(-1, at_ms, None, encode_silence(silence))


def told(log: FakeLog, *records: StoredRecord) -> FakeLog:
    """The log with what an engine says of the records, and of what its actors say."""
    stage = Stage(shipped())
    for record in records:
        stage.append(record)
    keep(log, Engine(0, shipped()).apply(stage.journal))
    return log


def keep(log: FakeLog, effects: list[Effect]) -> None:
    """Put effects where a worker puts them."""
    topics = {Stream.ALERTS: "tocsin.alerts", Stream.INCIDENTS: "tocsin.incidents"}
    for stream, topic in topics.items():
        kept = [effect for effect in effects if effect.stream is stream]
        records = [
            NewRecord(effect.key, effect.kept_value, (effect.position.header(),)) for effect in kept
        ]
        log.put(topic, 0, records)


def three() -> FakeLog:
    """A silenced alert, an active one, and one that the active one inhibits."""
    return told(
        FakeLog(),
        sent(REDIS, NOW_MS),
        sent(NODE, NOW_MS),
        sent(DISK, NOW_MS + SECOND_MS),
        silenced("s1", 'alertname="RedisDown"', NOW_MS + 2 * SECOND_MS),
    )


def asked(log: FakeLog, path: str) -> tuple[int, Any]:
    """Status and answer."""
    return with_bridge(log, lambda client: client.ask("GET", path))  # type: ignore[no-any-return]


def names(log: FakeLog, query: str) -> list[str]:
    """The alertnames that a query finds."""
    status, alerts = asked(log, f"/api/v2/alerts{query}")
    assert status == 200
    return sorted(one["labels"]["alertname"] for one in alerts)


def test_alerts_have_alertmanagers_shape() -> None:
    """Times, receivers and what suppresses them: silences by id, sources by fingerprint."""
    _, alerts = asked(three(), "/api/v2/alerts")

    by_name = {one["labels"]["alertname"]: one for one in alerts}
    active = {"inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active"}
    assert by_name["NodeDown"] == {
        "annotations": {"summary": "s"},
        "endsAt": format_instant(NOW_MS + TTL_MS),
        "fingerprint": fingerprint(NODE),
        "receivers": [{"name": "infrastructure"}],
        "startsAt": format_instant(NOW_MS),
        "status": active,
        "updatedAt": format_instant(NOW_MS),
        "generatorURL": "http://p/g",
        "labels": NODE,
    }
    suppressed = active | {"state": "suppressed"}
    assert by_name["RedisDown"]["status"] == suppressed | {"silencedBy": ["s1"]}
    disk = by_name["DiskFull"]["status"]
    assert disk == suppressed | {"inhibitedBy": [fingerprint(NODE)]}
    assert [one["fingerprint"] for one in alerts] == sorted(map(fingerprint, (REDIS, NODE, DISK)))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["DiskFull", "NodeDown", "RedisDown"]),
        ("?active=false", ["DiskFull", "RedisDown"]),
        ("?silenced=false", ["DiskFull", "NodeDown"]),
        ("?inhibited=false&silenced=false", ["NodeDown"]),
        ("?unprocessed=false&other=x", ["DiskFull", "NodeDown", "RedisDown"]),
        ("?filter=severity%3D%22critical%22", ["NodeDown", "RedisDown"]),
        ("?filter=severity%3Dcritical&filter=service!%3Dredis", ["NodeDown"]),
        ("?filter=absent%3D%22%22&filter=alertname%3D~%22D.*%22", ["DiskFull"]),
        ("?receiver=infra.*", ["DiskFull", "NodeDown"]),
        ("?receiver=infra", []),
    ],
)
def test_filters(query: str, expected: list[str]) -> None:
    """As Alertmanager's; all flags are true where they are not given."""
    assert names(three(), query) == expected


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("alerts?active=maybe", "active: is 'maybe', must be true or false"),
        ("alerts?receiver=(", "receiver: "),
        ("alerts/groups?filter=%3D", "filter: is '=', must be a matcher"),
        ("silences?expired=maybe", "expired: is 'maybe', must be true or false"),
    ],
)
def test_what_is_no_filter_is_refused(path: str, message: str) -> None:
    """With a text, as amtool reads it."""
    status, answer = asked(three(), f"/api/v2/{path}")

    assert status == 400
    assert answer.startswith(message)


def test_members_of_a_correlation_inhibit_each_other() -> None:
    """An incident has no place in `inhibitedBy`: the others that fire in it have."""
    agents = [
        {"alertname": "AgentDown", "agent_name": name, "severity": "warning"}
        for name in ("planner", "critic", "tutor")
    ]
    records = [sent(agent, NOW_MS + number * SECOND_MS) for number, agent in enumerate(agents)]
    fired = {fingerprint(agent) for agent in agents}

    _, alerts = asked(told(FakeLog(), *records), "/api/v2/alerts")

    named = {one["fingerprint"]: set(one["status"]["inhibitedBy"]) for one in alerts}
    assert named == {name: fired - {name} for name in fired}


def test_what_an_incident_near_by_explains_names_its_alerts() -> None:
    """The alerts of the root, each once, whatever else explains the alert."""
    _, alerts = asked(three(), "/api/v2/alerts?filter=alertname%3DDiskFull")

    assert [one["status"]["inhibitedBy"] for one in alerts] == [[fingerprint(NODE)]]


def test_an_incident_of_any_class_that_an_alert_was_merged_into_names_its_alerts() -> None:
    """The id of a security incident begins otherwise, and is no fingerprint either."""
    breach = {"alertname": "UnauthorizedAccess", "component": "vpn", "severity": "critical"}
    stage = Stage(shipped())
    for labels in (breach, DISK):
        stage.append(sent(labels, NOW_MS))
    whole, part = stage.engine.state.incidents
    merge = encode_command("merge", part, "ann", into=whole)
    stage.append(StoredRecord(-1, NOW_MS, part.encode(), merge))
    log = FakeLog()
    keep(log, Engine(0, shipped()).apply(stage.journal))

    _, alerts = asked(log, "/api/v2/alerts?filter=alertname%3DDiskFull")

    assert whole.startswith("SEC-")
    assert [one["status"]["inhibitedBy"] for one in alerts] == [[fingerprint(breach)]]


def test_many_roots_are_bounded() -> None:
    """A root of hundreds of alerts is named by a few of them."""
    fleet = [
        {"alertname": "AgentDown", "agent_name": f"agent-{number}", "severity": "warning"}
        for number in range(30)
    ]
    records = [sent(agent, NOW_MS + number) for number, agent in enumerate(fleet)]

    _, alerts = asked(told(FakeLog(), *records), "/api/v2/alerts?active=false")

    assert {len(one["status"]["inhibitedBy"]) for one in alerts} == {INHIBITED_BY_MAX}


def test_groups_are_incidents_and_teams() -> None:
    """Each alert of it is in the group as in the list."""
    log = three()
    _, alerts = asked(log, "/api/v2/alerts")
    _, groups = asked(log, "/api/v2/alerts/groups?silenced=false")

    found = [(one["labels"]["component"], one["receiver"]["name"]) for one in groups]
    assert found == [("app", "infrastructure"), ("n1", "infrastructure")]
    assert all(one["labels"]["incident"].startswith("INC-") for one in groups)
    assert all(alert in alerts for one in groups for alert in one["alerts"])


def test_what_ended_is_listed_no_more() -> None:
    """Nor what is forgotten. A repeat moves nothing."""
    records = [sent(REDIS, NOW_MS), sent(NODE, NOW_MS), sent(REDIS, NOW_MS + SECOND_MS)]
    ended = sent(NODE, NOW_MS + SECOND_MS, firing=False)

    before = names(told(FakeLog(), *records), "")
    after = names(told(FakeLog(), *records, ended), "")
    late = StoredRecord(-1, NOW_MS + 24 * HOUR_MS, None, TICK)
    forgotten = names(told(FakeLog(), *records, ended, late), "")

    assert (before, after, forgotten) == (["NodeDown", "RedisDown"], ["RedisDown"], [])


def test_an_alert_that_is_repeated_ends_ahead() -> None:
    """Its last word is no older than its time to live."""
    log = told(FakeLog(), sent(REDIS, NOW_MS))
    log.at_ms = NOW_MS + 10 * TTL_MS

    _, (alert,) = asked(log, "/api/v2/alerts")

    assert alert["endsAt"] == format_instant(NOW_MS + 11 * TTL_MS)


def test_receivers_and_status() -> None:
    """Receivers are the policy's teams. The status has what Alertmanager's has, and no address."""
    teams = sorted(shipped().policy.teams)

    _, receivers = asked(FakeLog(), "/api/v2/receivers")
    _, status = asked(FakeLog(), "/api/v2/status")

    assert receivers == [{"name": name} for name in teams]
    assert status["cluster"] == {"status": "disabled", "peers": []}
    assert set(status) == {"cluster", "config", "uptime", "versionInfo"}
    assert all(f'- name: "{name}"' in status["config"]["original"] for name in teams)
    assert "@" not in status["config"]["original"]


def test_head_and_probes_and_how_old_it_is() -> None:
    """HEAD has the headers of GET; probes need nothing but the process and the journal."""
    log = three()

    async def talk(client: Client) -> list[Any]:
        answers = []
        for path in ("/-/healthy", "/-/ready", "/api/v2/alerts", "/api/v2/alerts/groups"):
            async with client.session.head(client.url + path) as response:
                answers.append((response.status, await response.read(), response.headers))
        return answers

    *probes, alerts, groups = with_bridge(log, talk)

    assert [(status, body) for status, body, _ in (*probes, alerts, groups)] == [(200, b"")] * 4
    for _, _, headers in (alerts, groups):
        assert headers["Tocsin-As-Of"] == format_instant(log.at_ms)
        assert headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("number", [0, 1, 499, 500, 501, 1000])
def test_long_lists_are_whole(number: int) -> None:
    """They are sent in parts."""
    records = [
        sent({"alertname": "Many", "pod": str(one), "service": str(one)}, NOW_MS)
        for one in range(number)
    ]

    assert len(names(told(FakeLog(), *records), "")) == number


def test_a_full_view_says_what_it_leaves_out() -> None:
    """And reads it once others have ended."""
    labels = [{"alertname": "Many", "service": str(one)} for one in range(12)]
    engine, log = Engine(0, shipped()), FakeLog()
    view = AlertView(log, "tocsin.alerts", 1, alerts_max=10)

    def apply(offset: int, one: dict[str, str], *, firing: bool) -> None:
        record = sent(one, NOW_MS + offset, firing=firing)
        record.offset = offset
        keep(log, engine.apply([record]))

    for offset, one in enumerate(labels):
        apply(offset, one, firing=True)
    full = asyncio.run(view.firing())
    for offset, one in enumerate(labels[:2], start=len(labels)):
        apply(offset, one, firing=False)
    again = asyncio.run(view.firing())

    assert (len(full.values), full.left_out) == (10, 2)
    assert (set(again.values), again.left_out) == (set(map(fingerprint, labels[2:])), 0)
