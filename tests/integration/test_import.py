"""Imported policies against a real amtool: for the same labels the same receivers are told."""

import itertools
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.cli.policy_import import import_policy
from app.policy.importer import reader
from app.policy.importer.label_matchers import named_values
from tests.support.alertmanager_routes import configuration, label_sets, policy_of, told

EVERYTHING = Path(__file__).parent.parent / "data" / "alertmanager" / "everything.yml"
SETS_MAX = 150


def amtool(path: Path, labels: Mapping[str, str]) -> list[str]:
    """The receivers that Alertmanager's own tool finds."""
    command = ["amtool", "config", "routes", "test", f"--config.file={path}"]
    command += [f"{label}={json.dumps(value)}" for label, value in labels.items()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip().split(",")


def accepts(path: Path) -> bool:
    """Whether Alertmanager takes the file."""
    return (
        subprocess.run(
            ["amtool", "check-config", path], capture_output=True, timeout=20, check=False
        ).returncode
        == 0
    )


def combinations(path: Path) -> Iterator[dict[str, str]]:
    """All combinations of the values that the routes name, something else, and nothing, for each label that they ask for."""
    values: dict[str, dict[str, None]] = {}
    for route in reader.read_configuration(path).route.all():
        for matcher in route.matchers:
            values.setdefault(matcher.label, {"": None, "other-x": None}).update(
                dict.fromkeys(named_values(matcher))
            )
    for chosen in itertools.product(*values.values()):
        yield {label: value for label, value in zip(values, chosen, strict=True) if value}


@pytest.mark.parametrize("name", ["alertmanager.yml", "config.yml", "production_config.yml"])
def test_the_founding_organisations_routes(shared: Path, tmp_path: Path, name: str) -> None:
    """All combinations of the labels that it routes by go to those whom its Alertmanager tells."""
    text = (shared / "sutazai" / "monitoring" / "alertmanager" / name).read_text()
    # Two of them Alertmanager takes only when somebody has filled in what is left out, and
    # corrected its mails.
    filled = tmp_path / name
    filled_in = re.sub(r"\$\{\w+\}", "https://example.org/x", text)
    filled.write_text(re.sub(r"\n +subject:.*", "", filled_in).replace(" body: |", " text: |"))
    assert accepts(filled)
    policy = policy_of(shared / "sutazai" / "monitoring" / "alertmanager" / name)

    found = {
        str(labels): (told(policy, labels), set(amtool(filled, labels)))
        for labels in combinations(filled)
    }

    assert {labels: pair for labels, pair in found.items() if pair[0] != pair[1]} == {}
    assert len(found) >= 18 or name == "alertmanager.yml"


def test_everything() -> None:
    """A file with everything in it that Alertmanager has.

    What it routes by leads to the same receivers.
    """
    assert accepts(EVERYTHING)
    policy = policy_of(EVERYTHING)
    sets = list(combinations(EVERYTHING))
    more = [
        {"service": service, "severity": severity}
        for service in ("postgres-x", "redis")
        for severity in ("page", "")
    ]
    said = [
        {"severity": "critical", "service": "till", "code": "599", "said": said}
        for said in ("", '"never", he said')
    ]

    for labels in [*sets[:: max(len(sets) // SETS_MAX, 1)], *more, *said, {"team": "otherwise"}]:
        assert told(policy, labels) == set(amtool(EVERYTHING, labels)), labels


@pytest.mark.parametrize("seed", range(40))
def test_random_trees(tmp_path: Path, seed: int) -> None:
    """Whatever the tree, whoever Alertmanager tells is told, and nobody else."""
    path = tmp_path / "alertmanager.yml"
    path.write_text(configuration(seed))
    policy = policy_of(path)

    for labels in label_sets(seed, 8):
        assert told(policy, labels) == set(amtool(path, labels)), labels


def test_what_is_announced_is_what_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `continue` cannot be carried over, those whom its route would have told besides are missed, and nobody else."""
    monkeypatch.setattr("app.policy.importer.routes.CASES_MAX", 3)
    for seed in range(10):
        path = tmp_path / f"{seed}.yml"
        path.write_text(configuration(seed))
        policy, findings = policy_of(path), import_policy(path)[1]
        announced = any(finding.key == "continue" for finding in findings)

        differing = [
            labels
            for labels in label_sets(seed, 10)
            if told(policy, labels) != set(amtool(path, labels))
        ]

        assert announced or not differing
        for labels in differing:
            # What is left is the first that Alertmanager tells, for in a tree the first route that
            # fits is the first told.
            assert told(policy, labels) == {amtool(path, labels)[0]}
