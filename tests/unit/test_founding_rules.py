"""The day that `bench/founding_rules.py` counts: drawn by its seed, played by the engine."""

from typing import Any

from bench.alertmanager_model import Sent
from bench.founding_day import START_MS, Firing, Plant, Rule, each_once, storm
from bench.founding_rules import Day
from bench.matters import LATE_MS, Naming, matters_of, score
from bench.messages_seen import SeenMessages, alertmanager_new
from tests.support.shipped_policy import shipped

MINUTE_MS = 60_000
PAGE = ("pager", "trigger")
PLANT = Plant(agents=[f"a{number}" for number in range(5)], services=["ollama", "postgres", "web"])
RULES = [
    Rule(
        "OllamaDown",
        {"severity": "critical", "component": "ollama"},
        'up{job="ollama"} == 0',
        60_000,
        frozenset(),
    ),
    Rule("AgentDown", {"severity": "warning"}, "agent_up == 0", 120_000, frozenset({"agent_name"})),
    Rule(
        "ServiceDown",
        {"severity": "critical", "service": "{{ $labels.job }}"},
        "up == 0",
        60_000,
        frozenset({"job"}),
    ),
    Rule(
        "LowAgentCount",
        {"severity": "warning", "service": "agents"},
        "count(agent_up) < 3",
        0,
        frozenset(),
    ),
]


def test_a_day_is_its_seeds() -> None:
    """The same seed draws the same day, another one another.

    Each rule fires once, or once on each series.
    """
    once = [each_once(RULES, PLANT, seed, everywhere=False) for seed in (1, 1, 2)]
    everywhere = each_once(RULES, PLANT, 1, everywhere=True)

    assert once[0] == once[1] != once[2]
    assert (len(once[0]), len(everywhere)) == (4, 1 + 5 + 8 + 1)
    assert {
        firing.labels["service"]
        for firing in everywhere
        if firing.labels["alertname"] == "ServiceDown"
    } >= {
        "web",
        "a3",
    }


def test_the_storm_is_one_cause() -> None:
    """While Ollama is down its agents page nobody; who answers is paged less."""
    firings = storm(RULES, PLANT, 1)

    alone, answered = (Day(shipped(), answered=way).play(firings) for way in (False, True))

    assert sum(firing.labels["alertname"] == "AgentDown" for firing in firings) == 5
    paged = {alone.incidents[name]["component"] for name in alone.paged}
    assert paged == {"ollama", "postgres"}
    assert 0 < answered.pages() < alone.pages()


def test_a_page_is_of_something_wrong() -> None:
    """A P0 that ends at once pages its first on call, and its end is no page."""
    labels = {"alertname": "OllamaDown", "severity": "critical", "component": "ollama"}

    outcome = Day(shipped(), answered=True).play([Firing(labels, START_MS, START_MS + MINUTE_MS)])

    assert (outcome.pages(), outcome.messages["P0", "ai", "pager", "resolved"]) == (1, 1)


def _firing(name: str, **labels: str) -> Firing:
    return Firing({"alertname": name, **labels}, START_MS, START_MS + MINUTE_MS)


def test_matters_are_drawn_up_from_the_day() -> None:
    """What is critical, or named in the procedure, is a matter of the team whose words it has."""
    firings = [
        _firing("DiskFull", severity="critical", instance="web"),
        _firing("DiskFuller", severity="warning"),
        _firing("HighErrorRate", severity="warning", job="kong"),
        _firing("Odd", severity="critical", team="data", component="agent"),
    ]

    found = matters_of(firings)

    assert [(matter.name, matter.team) for matter in found] == [
        ("DiskFull (web)", "infrastructure"),
        ("HighErrorRate (kong)", "platform"),
        ("Odd ()", "data"),
    ]


def test_a_storm_has_two_matters() -> None:
    """What follows from a root is no matter of its own."""
    found = matters_of(storm(RULES, PLANT, 1))

    assert sorted((matter.name, matter.team) for matter in found) == [
        ("ollama", "ai"),
        ("postgresql", "data"),
    ]


def test_a_matter_is_missed_when_nobody_is_told_in_time() -> None:
    """A naming counts from the beginning of its alert to ten minutes after its end, for its team."""
    firings = [_firing(name, severity="critical", team="ai") for name in ("A", "B", "C", "D")]
    end_ms = firings[0].ends_ms
    namings = [
        Naming(START_MS, 0, "ai"),
        Naming(end_ms + LATE_MS, 1, "data"),
        Naming(end_ms + LATE_MS + 1, 2, "ai"),
    ]

    figures = score(matters_of(firings), firings, namings)

    assert (figures["told"], figures["told_to_their_team"], figures["missed"]) == (2, 1, 2)
    assert figures["missed_by_name"] == ["C ()", "D ()"]


def test_every_matter_of_the_storm_is_told() -> None:
    """Tocsin names each matter to its team, also where it explains most of the alerts."""
    firings = storm(RULES, PLANT, 1)
    listed = matters_of(firings)

    outcome = Day(shipped(), answered=False).play(firings)

    figures = score(listed, firings, outcome.namings)
    assert (figures["matters"], figures["told_to_their_team"]) == (2, 2)


def test_what_a_person_sees_as_new() -> None:
    """A pager rings once for a key, a chat message is changed, and each e-mail is new."""
    seen = SeenMessages()

    def is_new(channel: str, action: str, key: str = "I/1") -> bool:
        body: dict[str, Any] = {"channel": channel, "action": action, "dedup_key": key}
        body |= {"address": "here", "incident": "I", "wakes": (channel, action) == PAGE}
        return seen.is_new(body)

    pages = [is_new("pager", "trigger", key) for key in ("I/1", "I/1", "I/2")]
    chats = [is_new("chat", action) for action in ("update", "update", "trigger", "resolve")]

    assert (pages, is_new("pager", "resolve")) == ([True, False, True], False)
    assert chats == [True, False, True, False]
    assert [is_new("email", action) for action in ("trigger", "resolve")] == [True, True]


def test_what_an_alertmanager_posts_is_new() -> None:
    """Each post is new, and of a pager's messages the one that begins a group."""
    sent = [
        Sent(START_MS, kind, "ops", firing, first)
        for kind in ("slack", "pagerduty")
        for firing, first in ((1, True), (1, False), (0, False))
    ]

    new = alertmanager_new(sent)

    assert new == {"slack": 3, "pagerduty": 1}
