"""The day that `bench/founding_rules.py` counts: drawn by its seed, played by the engine."""

from bench.founding_day import START_MS, Firing, Plant, Rule, each_once, storm
from bench.founding_rules import Day
from tests.support.shipped_policy import shipped

MINUTE_MS = 60_000
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
