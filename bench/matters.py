"""The matters of a founding day: what should wake somebody once, and whom. Drawn up from the day alone.

A matter is the urgent alerts of one cause, for one team. The day knows the causes: in a storm the
firings of a root and of what follows from it have that root's name. On the other days each firing is
drawn by itself, and is a cause of its own. Urgent is what the organisation's rules call critical,
and what its procedure names as P0 or P1. The team is the rule's `team` label if that is one of the
procedure's five teams, else the first team whose words ("Team Response Assignments") the alert
has, else operations.

A matter is told when a message names one of its alerts after that began to fire, and no later than
ten minutes after it ended. Alertmanager and Tocsin are scored by the same list.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.founding_day import MINUTE_MS, Firing

LATE_MS = 10 * MINUTE_MS  # after its end: Alertmanager waits for up to two group intervals
NAMED_MAX = 20  # missed matters that a summary names; it counts all

_TEAM_LABELS = {
    "ops": "infrastructure",
    "operations": "infrastructure",
    "ai": "ai",
    "data": "data",
    "security": "security",
    "platform": "platform",
}
_WORDS = {
    "security": r"security|intrusion|unauthori[sz]ed|suspicious|authentication|poisoning|privilege",
    "ai": r"agent|ollama|model|inference|gpu",
    "data": r"postgres|redis|vector|chroma|qdrant|neo4j|database|data ?pipeline|cache|graph-database",
    "platform": r"consul|kong|rabbitmq|gateway|load ?balancer|service[-_ ]?(discovery|mesh)|message-queue",
}
_OTHERS = "infrastructure"
_URGENT = re.compile(
    r"(Ollama)?ServiceDown|PostgreSQLDown|HighErrorRate|Multiple\w*Agent\w*|Database\w*Connection\w*"
)


@dataclass(frozen=True, slots=True)
class Matter:
    """What should wake somebody once."""

    name: str
    team: str
    firings: tuple[int, ...]  # numbers of the day's firings


@dataclass(frozen=True, slots=True)
class Naming:
    """A message named a firing to a receiver."""

    at_ms: int
    firing: int
    team: str  # of the receiver; empty when it is no team's


def matters_of(firings: Sequence[Firing]) -> list[Matter]:
    """The matters of a day, in the order in which they begin."""
    by_cause: dict[str, list[int]] = {}
    for number in sorted(range(len(firings)), key=lambda number: firings[number].starts_ms):
        if is_urgent(firings[number]):
            by_cause.setdefault(firings[number].cause or str(number), []).append(number)
    return [_matter(firings, cause, numbers) for cause, numbers in by_cause.items()]


def _matter(firings: Sequence[Firing], cause: str, numbers: Sequence[int]) -> Matter:
    first = firings[numbers[0]]
    if first.cause:
        return Matter(cause, team_of_words(cause), tuple(numbers))
    place = first.labels.get("instance") or first.labels.get("name") or first.labels.get("job", "")
    return Matter(f"{first.labels['alertname']} ({place})", team_of(first), tuple(numbers))


def is_urgent(firing: Firing) -> bool:
    """Whether a firing should wake somebody."""
    name = firing.labels["alertname"]
    return firing.labels.get("severity") == "critical" or _URGENT.fullmatch(name) is not None


def team_of(firing: Firing) -> str:
    """The team that a firing concerns."""
    labels = firing.labels
    known = _TEAM_LABELS.get(labels.get("team", ""))
    texts = (labels.get(name, "") for name in ("alertname", "component", "service", "job"))
    return known or team_of_words(" ".join(texts))


def team_of_words(text: str) -> str:
    """The team whose words a text has."""
    found = (team for team, words in _WORDS.items() if re.search(words, text, re.IGNORECASE))
    return next(found, _OTHERS)


def team_of_receiver(name: str) -> str:
    """The team of an Alertmanager's receiver, by its name; empty for one that is nobody's."""
    found = re.search(r"\b(ops|ai|data|database|security|platform)\b", name)
    return _TEAM_LABELS[found[1].replace("database", "data")] if found else ""


def score(
    matters: Sequence[Matter], firings: Sequence[Firing], namings: Iterable[Naming]
) -> dict[str, object]:
    """How many of the matters were told, how many to their team, and which were missed."""
    told: dict[int, set[str]] = {}
    for naming in namings:
        firing = firings[naming.firing]
        if firing.starts_ms <= naming.at_ms <= firing.ends_ms + LATE_MS:
            told.setdefault(naming.firing, set()).add(naming.team)
    teams = {
        matter: set[str]().union(*(told.get(one, set()) for one in matter.firings))
        for matter in matters
    }
    missed = [matter.name for matter in matters if not teams[matter]]
    return {
        "matters": len(matters),
        "told": len(matters) - len(missed),
        "told_to_their_team": sum(matter.team in teams[matter] for matter in matters),
        "missed": len(missed),
        "missed_by_name": missed[:NAMED_MAX],
    }
