"""A day of alerts from Prometheus rule files: which series each rule can fire for, and when it does.

Nobody has recorded such a day, so it is a stated one. A rule can fire for the series that its
annotations and its expression name: `agent_name`, or a job pattern of agents, is each of the
organisation's agents; `up == 0` each of its services and agents; `name` each of its containers; an
aggregation, or anything else, is one series. An alert fires once at a time of the day that the seed
draws, for a time that it draws too (the middle is 15 minutes, the bounds 2 minutes and 4 hours),
and is sent again each minute as Prometheus does it.
"""

import json
import math
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MINUTE_MS = 60_000
DAY_MS = 1440 * MINUTE_MS
START_MS = 1_773_100_800_000  # 2026-03-10T00:00:00Z, a Tuesday
STORM_MS = START_MS + 14 * 60 * MINUTE_MS
STORM_LASTS_MS = 20 * MINUTE_MS

_FILES = (
    "monitoring/*.yml",
    "monitoring/prometheus/*.yml",
    "monitoring/prometheus/rules/*.yml",
    "config/prometheus/*.yml",
)
_ONE_SERIES = re.compile(
    r"[\s(]*(sum|count|avg|min|max|absent)\s*\((?!.*\bby\s*\()", re.IGNORECASE | re.DOTALL
)
_TEMPLATE = re.compile(r"\{\{\s*\$labels\.(\w+)\s*\}\}")
_MEDIAN_MS, _SIGMA, _SHORTEST_MS, _LONGEST_MS = 15 * MINUTE_MS, 1.0, 2 * MINUTE_MS, 240 * MINUTE_MS

# What follows when Ollama and PostgreSQL are down, besides their own rules: what the rules say of
# them.
_ROOTS = re.compile(r"Ollama(Service)?Down|Postgre(s|SQL)Down|CriticalServiceUnavailable")
_EACH_AGENT = re.compile(r"(AI)?AgentDown|AgentHealthCheckFailed|AgentUnresponsive")
_FOLLOWING = re.compile(
    r"HighAgentFailureRate|LowAgentCount|AIAgentsDown|AgentFleetUnhealthy|Tier\w+AgentsDown|Backend(High)?ErrorRate|HighErrorRate"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """An alerting rule."""

    name: str
    labels: dict[str, str]
    expression: str
    for_ms: int
    asked: frozenset[str]  # the labels that its texts show


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert from when it fires to when it is over."""

    labels: dict[str, str]
    starts_ms: int
    ends_ms: int
    cause: str = ""  # the root that it follows from; empty when it is a cause of its own


def rules_of(folder: Path) -> list[Rule]:
    """Every alerting rule of the organisation's rule files."""
    found = []
    for path in sorted(path for pattern in _FILES for path in folder.glob(pattern)):
        for group in (yaml.safe_load(path.read_text()) or {}).get("groups", []):
            found += [_rule(rule) for rule in group["rules"] if "alert" in rule]
    return found


def _rule(rule: dict[str, Any]) -> Rule:
    labels = {name: str(value) for name, value in rule["labels"].items()}
    texts = [*labels.values(), *map(str, rule.get("annotations", {}).values())]
    asked = frozenset(name for text in texts for name in re.findall(r"\$labels\.(\w+)", text))
    number, unit = re.fullmatch(r"(\d+)([smh])", rule.get("for", "0s")).groups()  # type: ignore[union-attr]  # as all are
    return Rule(
        rule["alert"],
        labels,
        rule["expr"],
        int(number) * {"s": 1000, "m": 60_000, "h": 3_600_000}[unit],
        asked,
    )


@dataclass(frozen=True, slots=True)
class Plant:
    """What the organisation runs."""

    agents: Sequence[str]
    services: Sequence[str]

    def series(self, rule: Rule) -> list[dict[str, str]]:
        """The labels of the series that a rule can fire for."""
        expression = rule.expression
        if _ONE_SERIES.match(expression):
            return [{}]
        if "agent_name" in rule.asked:
            return [
                {"agent_name": name, "job": "agents", "instance": f"{name}:8080"}
                for name in self.agents
            ]
        if expression.strip() == "up == 0":
            return [
                {"job": name, "instance": f"{name}:8080"} for name in (*self.services, *self.agents)
            ]
        if "name" in rule.asked:
            names = self.agents if "-agent" in expression else self.services
            return [
                {"name": f"sutazai-{name}", "job": "cadvisor", "instance": "cadvisor:8080"}
                for name in names
            ]
        if re.search(r'job=~"[^"]*(sutazai-|agent)', expression) and "job" in rule.asked:
            return [
                {"job": f"sutazai-{name}-agent", "instance": f"{name}:8080"} for name in self.agents
            ]
        job = re.search(r'job="([\w-]+)"', expression)
        return [
            {"job": job[1], "instance": f"{job[1]}:9090"}
            if job
            else {"job": "node", "instance": "sutazai:9100"}
        ]


def plant_of(folder: Path) -> Plant:
    """The agents and services of the organisation's data."""
    agents = json.loads((folder / "agents" / "agent_names.json").read_text())
    services = json.loads((folder / "config" / "consul" / "services.json").read_text())["services"]
    return Plant(agents, [service["name"] for service in services])


def _labels(rule: Rule, series: dict[str, str]) -> dict[str, str]:
    rendered = {
        name: _TEMPLATE.sub(lambda found: series.get(found[1], ""), value)
        for name, value in rule.labels.items()
    }
    return {
        name: value
        for name, value in (series | rendered | {"alertname": rule.name}).items()
        if value
    }


def each_once(rules: Sequence[Rule], plant: Plant, seed: int, *, everywhere: bool) -> list[Firing]:
    """Each rule fires once that day, for a series that the seed draws.

    `everywhere` once for each of its series.
    """
    chance = random.Random(seed)
    found = []
    for rule in rules:
        series = plant.series(rule)
        for one in series if everywhere else [chance.choice(series)]:
            starts_ms = START_MS + rule.for_ms + int(chance.random() * DAY_MS)
            lasts_ms = _MEDIAN_MS * math.exp(chance.gauss(0, _SIGMA))
            lasts_ms = min(max(lasts_ms, _SHORTEST_MS), _LONGEST_MS)
            found.append(Firing(_labels(rule, one), starts_ms, int(starts_ms + lasts_ms)))
    return list(_merged(found))


def storm(rules: Sequence[Rule], plant: Plant, seed: int) -> list[Firing]:
    """Ollama and PostgreSQL are down for 20 minutes, and with them all that the rules say of what depends on them."""
    chance = random.Random(seed)
    found = []
    for rule in rules:
        each = bool(_EACH_AGENT.fullmatch(rule.name))
        if (
            not each
            and not _ROOTS.fullmatch(rule.name)
            and not _FOLLOWING.fullmatch(rule.name)
            and rule.name != "ServiceDown"
        ):
            continue
        series = plant.series(rule)
        if rule.name == "ServiceDown":
            series = [one for one in series if one.get("job") in ("ollama", "postgres")]
        for one in series if each or rule.name == "ServiceDown" else series[:1]:
            # Targets are scraped and rules evaluated at their own seconds; agents notice within two
            # minutes.
            late_ms = int(chance.random() * (2 if each else 0.5) * MINUTE_MS)
            starts_ms, ends_ms = (
                STORM_MS + rule.for_ms + late_ms,
                STORM_MS + STORM_LASTS_MS + late_ms,
            )
            labels = _labels(rule, one)
            found.append(Firing(labels, starts_ms, ends_ms, _cause_of(labels)))
    return list(_merged(found))


def _cause_of(labels: dict[str, str]) -> str:
    """The root of what fires in the storm: agents depend on Ollama, all else on PostgreSQL."""
    text = f"{labels['alertname']} {labels.get('job', '')}"
    return "ollama" if re.search("agent|ollama", text, re.IGNORECASE) else "postgresql"


def _merged(firings: Iterable[Firing]) -> Iterator[Firing]:
    """The firings, where those of the same labels that overlap are one.

    Rules of two files can have the same.
    """
    by_labels: dict[str, list[Firing]] = {}
    for firing in firings:
        by_labels.setdefault(json.dumps(firing.labels, sort_keys=True), []).append(firing)
    for alike in by_labels.values():
        alike.sort(key=lambda firing: firing.starts_ms)
        last = alike[0]
        for firing in alike[1:]:
            if firing.starts_ms <= last.ends_ms + MINUTE_MS:
                ends_ms = max(last.ends_ms, firing.ends_ms)
                last = Firing(last.labels, last.starts_ms, ends_ms, last.cause)
            else:
                yield last
                last = firing
        yield last
