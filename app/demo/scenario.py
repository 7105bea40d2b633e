"""A bad day of the founding organisation, on virtual time: what Prometheus would have sent, minute by minute.

It is a Sunday. Ollama goes down and forty agents follow; postgres suffers and then fails; an
intrusion is reported, and lost data; one service flaps; a P3 waits for Monday; people answer, and
one forgets to. Some alerts are of the kinds that every real feed has: no component, severities that
nobody declared, resolved before they fired. Each firing alert is sent again every minute with an
end four minutes ahead, as Prometheus does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from models.text.instant import format_instant

MINUTE_MS = 60_000
START_MS = 1_790_496_000_000  # 2026-09-27T08:00:00Z, a Sunday
MINUTES = 180
AGENTS = (
    *(
        "planner",
        "researcher",
        "code-writer",
        "code-reviewer",
        "test-writer",
        "doc-writer",
        "data-cleaner",
        "translator",
    ),
    *(
        "summariser",
        "scheduler",
        "memory-keeper",
        "tool-caller",
        "web-reader",
        "image-reader",
        "speech-writer",
        "critic",
    ),
    *(
        "orchestrator",
        "validator",
        "deployer",
        "auditor",
        "optimiser",
        "tutor",
        "support-desk",
        "forecaster",
    ),
    *(
        "archivist",
        "benchmarker",
        "crawler",
        "designer",
        "editor",
        "fact-checker",
        "gardener",
        "historian",
    ),
    *("indexer", "judge", "librarian", "mediator", "negotiator", "observer", "profiler", "ranker"),
)
BROKEN_BODIES = (
    b"{",
    b"[]]",
    b'{"labels": {}}',
    b'[{"labels": {"alertname": 7}}]',
)  # each is answered 400


@dataclass(frozen=True, slots=True)
class Episode:
    """One alert's life: minutes of the day at which it begins and ends to fire."""

    labels: dict[str, str]
    summary: str
    begins: float
    ends: float
    hold: int = 4  # minutes for which it counts as firing when it is not sent again


@dataclass(frozen=True, slots=True)
class OperatorWord:
    """What somebody says about an incident, which is named by how its title begins, at a minute of the day."""

    minute: float
    title: str
    command: str
    body: dict[str, Any]


Step = tuple[int, list[dict[str, Any]]]


def bad_day() -> Iterator[Step]:
    """(time in ms, API v2 alerts) in the order of time."""
    episodes = list(_all_episodes())
    for minute in range(MINUTES + 1):
        at_ms = START_MS + minute * MINUTE_MS
        alerts = [
            alert for episode in episodes if (alert := _alert_at(episode, minute)) is not None
        ]
        if alerts:
            yield at_ms, alerts


def operator_words() -> list[OperatorWord]:
    """What people say, in the order of time.

    Nobody says anything about the intrusion: it climbs to the CTO.
    """
    ann, bob = {"by": "ann"}, {"by": "bob"}
    return [
        OperatorWord(21, "OllamaServiceDown", "acknowledge", ann | {"text": "on it"}),
        OperatorWord(
            26, "OllamaServiceDown", "update", ann | {"text": "the GPU driver hangs", "eta": "20m"}
        ),
        OperatorWord(30, "OllamaServiceDown", "root-cause", ann | {"text": "a driver update"}),
        OperatorWord(40, "OllamaServiceDown", "mitigate", ann | {"text": "rolled back"}),
        OperatorWord(67, "HighErrorRate", "acknowledge", bob),  # and never speaks of it again
        OperatorWord(76, "PostgreSQLDown", "acknowledge", bob),
        OperatorWord(
            78,
            "PostgreSQLDown",
            "assess",
            bob | {"verdict": "genuine", "scope": "everything that writes"},
        ),
        OperatorWord(80, "PostgreSQLDown", "complaint", bob | {"number": 3}),
        OperatorWord(97, "BackupDataLoss", "acknowledge", {"by": "dora"}),
        OperatorWord(
            98,
            "BackupDataLoss",
            "escalate",
            {"by": "dora", "step": 4, "text": "we may have lost a day"},
        ),
    ]


def _alert_at(episode: Episode, minute: int) -> dict[str, Any] | None:
    """What Prometheus sends of an episode in a minute.

    It fires, or it ended within the last two minutes.
    """
    begins = START_MS + int(episode.begins * MINUTE_MS)
    alert = {
        "labels": episode.labels,
        "annotations": {"summary": episode.summary},
        "startsAt": format_instant(begins),
        "generatorURL": "http://prometheus.example/graph",
    }
    if episode.begins <= minute < episode.ends:
        return alert | {"endsAt": format_instant(START_MS + (minute + episode.hold) * MINUTE_MS)}
    if episode.ends <= minute < episode.ends + 2:
        return alert | {"endsAt": format_instant(START_MS + int(episode.ends * MINUTE_MS))}
    return None


def _all_episodes() -> Iterator[Episode]:
    yield from _before_the_outage()
    yield from _ollama_and_its_agents()
    yield from _postgres()
    yield from _security_and_data()
    yield from _what_every_feed_has()


def _before_the_outage() -> Iterator[Episode]:
    yield Episode(
        _alert_labels("HighCPUUsage", "warning", service="system", instance="node-3:9100"),
        "CPU above 80 %",
        2,
        30,
    )
    yield Episode(
        _alert_labels("LowOllamaRequestRate", "info", component="ollama"), "Few requests", 5, 15
    )
    yield Episode(
        _alert_labels("FewSignUps", "info", component="shop"),
        "Fewer sign-ups than on other Sundays",
        9,
        999,
        1440,
    )


def _ollama_and_its_agents() -> Iterator[Episode]:
    """Ollama goes down; its agents follow within minutes."""
    yield Episode(
        _alert_labels("OllamaServiceDown", "critical", component="ollama"),
        "Ollama does not answer",
        20,
        48,
    )
    for number, agent in enumerate(AGENTS):
        labels = _alert_labels("AgentDown", "warning", agent_name=agent, job=f"{agent}-agent")
        yield Episode(labels, f"Agent {agent} is down", 21 + number % 4, 52 + number % 3)


def _postgres() -> Iterator[Episode]:
    """Postgres suffers, several ways at once, and then fails."""
    yield Episode(
        _alert_labels("HighPostgreSQLConnections", "warning", component="postgres"),
        "93 % of connections in use",
        60,
        110,
    )
    yield Episode(
        _alert_labels("PostgreSQLSlowQueries", "high", component="postgres"),
        "P95 above 500 ms",
        64,
        112,
    )
    yield Episode(
        _alert_labels("PostgreSQLDown", "critical", component="postgres"),
        "Postgres does not accept connections",
        75,
        105,
    )
    yield Episode(
        _alert_labels("HighErrorRate", "high", component="backend"),
        "12 % of requests fail",
        66,
        108,
    )


def _security_and_data() -> Iterator[Episode]:
    """An intrusion and lost data, and a service that flaps."""
    yield Episode(
        _alert_labels("UnauthorizedAccess", "critical", category="intrusion", host="vpn-gw"),
        "Login from a stolen key",
        90,
        130,
    )
    yield Episode(
        _alert_labels("BackupDataLoss", "critical", component="backup"),
        "Last night's backup is empty",
        95,
        125,
    )
    for begin in range(120, 150, 6):
        yield Episode(
            _alert_labels("ServiceDown", "critical", service="qdrant", job="qdrant"),
            "qdrant does not answer",
            begin,
            begin + 2,
        )


def _what_every_feed_has() -> Iterator[Episode]:
    """No component, severities that nobody declared, over before it was heard of."""
    yield Episode(
        {"alertname": "CertificateExpiry", "severity": "task"},
        "A certificate ends in 20 days",
        10,
        170,
    )
    yield Episode(
        {"alertname": "QuotaReached", "severity": "maintenance", "namespace": "batch"},
        "Quota reached",
        11,
        40,
    )
    yield Episode({"alertname": "NodeClockSkew", "instance": "NULL"}, "Clock is 3 s off", 12, 25)
    yield Episode(
        _alert_labels("RedisDown", "critical", component="redis"),
        "Over before it was heard of",
        138.2,
        138.6,
    )


def _alert_labels(name: str, severity: str, **more: str) -> dict[str, str]:
    return {"alertname": name, "severity": severity, **more}
