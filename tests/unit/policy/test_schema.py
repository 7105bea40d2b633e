"""The JSON Schemas that editors use: up to date, and of one mind with the loader."""

import json
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from app.cli.main import main
from app.files import yaml_file
from app.files.policy_file import BadPolicy, default_path, load_policy
from app.policy.schema import model_schema
from models.policy.policy import Policy
from models.policy.scenario import Scenarios
from tests.support.changed_policy import CHANGES, changed
from tests.support.policy_test_files import FAILING

ROOT = Path(__file__).parents[3]
POLICY, TESTS = model_schema(Policy), model_schema(Scenarios)


def mistakes(document: dict[str, Any], path: Path) -> list[str]:
    """Where a file is not as its schema says."""
    data = orjson.loads(orjson.dumps(yaml_file.read_mapping(path, "keys").data))
    return [error.json_path for error in Draft202012Validator(document).iter_errors(data)]


@pytest.mark.parametrize(
    ("file", "arguments"),
    [("policy.schema.json", []), ("policy-tests.schema.json", ["--tests"])],
    ids=["policy", "tests"],
)
def test_the_file_is_up_to_date(
    capsys: pytest.CaptureFixture[str], file: str, arguments: list[str]
) -> None:
    """When this fails.

    `tocsin policy schema > docs/policy.schema.json`, and with --tests the other.
    """
    assert main(["policy", "schema", *arguments]) == 0

    out = capsys.readouterr().out
    Draft202012Validator.check_schema(json.loads(out))
    assert (ROOT / "docs" / file).read_text() == out


@pytest.mark.parametrize(
    "path",
    [default_path(), *sorted((default_path().parent / "tests").glob("*.yaml"))],
    ids=lambda one: one.stem,
)
def test_files_name_their_schema(path: Path) -> None:
    """The first line of what ships leads an editor to it, and it is as that says."""
    found = re.fullmatch(
        r"# yaml-language-server: \$schema=(\S+)", path.read_text().splitlines()[0]
    )

    assert found is not None
    document = json.loads((path.parent / found[1]).read_text())
    assert mistakes(document, path) == []


@pytest.mark.parametrize(("before", "after"), [(before, after) for before, after, _ in CHANGES])
def test_good_policies_are_good(tmp_path: Path, before: str, after: str) -> None:
    """What the loader takes, the schema takes."""
    file = changed(tmp_path, (before, after))
    load_policy(file)

    assert mistakes(POLICY, file) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("group_wait: {P0: 0, P1: 0, P2: 30s, P3: 30s}", "group_wait: 30s"),
        (
            '    steps: ["See what changed on {component}, then acknowledge the incident"]',
            "    steps: [{say: Look}, Run]",
        ),
        ('start_time: "09:00", end_time: "17:00"', "start_time: 540, end_time: 17:00"),
        (
            "match: ['team=~\"(ai|ai-team|ml|ml-team|agents)\"']",
            "match: [['team=ai'], ['team != \"x\"', 'a=b']]",
        ),
        ("    hours: business-hours\n  ai:", "    hours: null\n  ai:"),
        ("      location: Europe/Berlin\n", "      years: [2026, '2027:2028']\n"),
    ],
)
def test_ways_to_write(tmp_path: Path, before: str, after: str) -> None:
    """Everything that may be written in several ways may be written so in an editor too."""
    file = changed(tmp_path, (before, after))
    load_policy(file)

    assert mistakes(POLICY, file) == []


@pytest.mark.parametrize(
    ("before", "after", "where"),
    [
        ("close_after: 5m", "close_after: 5 m", "$.incidents.close_after"),
        ("close_after: 5m", "close_after: 5", "$.incidents.close_after"),
        ("retain_resolved: 1h", "retain_resolvedd: 1h", "$.incidents"),
        ("count: 2,", "count: 1,", "$.correlations[0].count"),
        ("without: root_cause", "without: coffee", "$.escalations[3].without"),
        ("target: 99.9,", "target: 100,", "$.targets.availability[0].target"),
        ("P3: [chat]", "P3: [fax]", "$.notify.channels.P3[0]"),
        ("P3: [chat]", "P4: [chat]", "$.notify.channels"),
        ("version: 1", "version: 2", "$.version"),
        ("  ceo: {", "  The_CEO: {", "$.contacts"),
        ("team: security}", "team: Security}", "$.ownership[0].team"),
        ("severity: P0}", "severity: P7}", "$.severities.rules[0].severity"),
        ("match: ['team=~\"(security|security-team)\"']", "match: [team]", "$.ownership[0].match"),
        ("match: ['team=~\"(security|security-team)\"']", "match: []", "$.ownership[0].match"),
        (
            "escalate_after:\n  P0: [2m, 5m, 10m]",
            "escalate_after:\n  P0: 2m",
            "$.escalate_after.P0",
        ),
        ("group_wait: {P0: 0, ", "group_wait: {P0: 1, ", "$.notify.group_wait"),
        (
            'start_time: "09:00"',
            'start_time: "9 am"',
            "$.time_intervals['business-hours'][0].times[0].start_time",
        ),
        (
            "chain: [on-call-sre, lead-sre, engineering-manager, cto]",
            "chain: []",
            "$.teams.infrastructure.chain",
        ),
        ("default_owner: infrastructure\n", "", "$"),
    ],
)
def test_mistakes_are_seen_in_an_editor(
    tmp_path: Path, before: str, after: str, where: str
) -> None:
    """What is wrong by itself, and not because of something else in the file."""
    file = changed(tmp_path, (before, after))
    with pytest.raises(BadPolicy):
        load_policy(file)

    assert where in mistakes(POLICY, file)


def test_tests_are_seen_in_an_editor(tmp_path: Path) -> None:
    """The same for a file of tests."""
    file = tmp_path / "some.yaml"
    file.write_text(FAILING)
    good = mistakes(TESTS, file)
    file.write_text(
        FAILING.replace("fire:", "fier:")
        .replace("pages: 3", "pages: many")
        .replace("at: 7m", "at: 7 m")
    )

    assert good == []
    assert mistakes(TESTS, file) == ["$.tests[0].do[0]", "$.tests[0].expect", "$.tests[1].do[0]"]


def test_editors_are_told_what_keys_mean() -> None:
    """What stands beside a field in the code, and what durations and matchers are like."""
    definitions = POLICY["$defs"]
    assert (
        definitions["Team"]["properties"]["chain"]["description"]
        == "Names of `contacts`, first on call first"
    )
    assert "15m" in definitions["Duration"]["examples"]
    assert definitions["Severity"]["enum"] == ["P0", "P1", "P2", "P3"]
    assert list(definitions["DurationBySeverity"]["anyOf"][1]["properties"]) == [
        "P0",
        "P1",
        "P2",
        "P3",
    ]
    assert {name for name, one in definitions.items() if "description" not in one} == {
        "Step"
    }  # its two forms have it
