"""Alertmanager configurations for tests.

Random ones, whom Alertmanager would tell, and whom an imported policy tells.
"""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from app.cli.policy_import import import_policy
from app.core.rules.compiled_policy import CompiledPolicy
from app.files import bounded_yaml
from app.policy.importer.reader import Route
from models.matcher import test_of

LABELS = {
    "severity": ("critical", "warning", "info"),
    "team": ("ops", "dev"),
    "service": ("db", "web", "db-2"),
    "zone": ("a", "b"),
}
RECEIVERS = tuple(f"r{number}" for number in range(6))


def configuration(seed: int) -> str:
    """A random configuration, whose routes nest, go on, repeat themselves and contradict each other."""
    chance = random.Random(seed)
    document = {
        "route": {
            "receiver": "r0",
            "routes": [_route(chance, 0) for _ in range(chance.randint(1, 6))],
        },
        "time_intervals": [
            {"name": name, "time_intervals": [{"years": ["2026"]}]} for name in ("night", "day")
        ],
        "receivers": [
            {"name": name, "pushover_configs": [{"user_key": "k", "token": "t"}]}
            for name in RECEIVERS
        ],
    }
    return yaml.safe_dump(document)


def _route(chance: random.Random, depth: int) -> dict[str, Any]:
    route: dict[str, Any] = {}
    for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3))):
        label = chance.choice(list(LABELS))
        value = chance.choice((*LABELS[label], "other", ""))
        pattern = chance.choice(
            (
                f"{value}|x",
                f"{value[:2]}.*",
                ".*",
                "",
                ".+",
                "(db|web)",
                "^db$",
                "(?i)DB.*",
                "[a-z]",
            )
        )
        match chance.randint(0, 3):
            case 0:
                route.setdefault("match", {})[label] = value
            case 1:
                route.setdefault("match_re", {})[label] = pattern
            case 2:
                route.setdefault("matchers", []).append(
                    f'{label}{chance.choice(("=", "!="))}"{value}"'
                )
            case _:
                route.setdefault("matchers", []).append(
                    f'{label}{chance.choice(("=~", "!~"))}"{pattern}"'
                )
    if chance.random() < 0.8:
        route["receiver"] = chance.choice(RECEIVERS)
    if chance.random() < 0.35:
        route["continue"] = True
    if chance.random() < 0.15:
        route["mute_time_intervals"] = ["night"]
    if chance.random() < 0.15:
        route["active_time_intervals"] = ["day"]
    if depth < 2 and chance.random() < 0.5:
        route["routes"] = [_route(chance, depth + 1) for _ in range(chance.randint(1, 3))]
    return route


def label_sets(seed: int, number: int) -> Iterator[dict[str, str]]:
    """Random labels, some absent."""
    chance = random.Random(seed)
    for _ in range(number):
        chosen = {
            label: chance.choice((*values, "another", "")) for label, values in LABELS.items()
        }
        yield {label: value for label, value in chosen.items() if value}


def routes_of(route: Route, labels: Mapping[str, str]) -> list[Route]:
    """The routes that notify, as Alertmanager's documentation says it.

    From the top, anew for each alert.
    """
    found: list[Route] = []
    for below in route.routes:
        if test_of([below.matchers] if below.matchers else [])(labels):
            found += routes_of(below, labels)
            if not below.goes_on:
                break
    return found or [route]


def policy_of(path: Path) -> CompiledPolicy:
    """The policy that an import makes."""
    return CompiledPolicy(bounded_yaml.read_document(import_policy(path)[0]).data)


def told(policy: CompiledPolicy, labels: Mapping[str, str]) -> set[str]:
    """The receivers that the policy's engine would tell of an alert."""
    verdict = policy.evaluate(dict(labels))
    contacts = [
        policy.team_contact(verdict.owner),
        *policy.also_notify(verdict.severity, verdict.incident_class),
    ]
    assert policy.chain(verdict.owner)[0].name == contacts[0].name
    return {contact.name.partition(" (")[0] for contact in contacts}
