"""Policy files.

The one that ships, and every mistake told with file, line, key, found and expected.
"""

import re
from pathlib import Path

import pytest

from app.files.policy_file import BadPolicy, default_path, load_policy
from tests.support.shipped_policy import shipped


@pytest.mark.parametrize(
    ("instead", "of", "expected"),
    [
        (
            "close_after: 5 m",
            "close_after: 5m",
            "incidents.close_after: is '5 m', must be a duration such as 90s, 15m, 1h30m or 2d",
        ),
        (
            "retain_resolvedd: 1h",
            "retain_resolved: 1h",
            "incidents.retain_resolvedd: is not a key that there is here; did you mean 'retain_resolved'?",
        ),
        (
            "x: 1h",
            "retain_resolved: 1h",
            "incidents.x: is not a key that there is here, must be one of lost_after, close_after",
        ),
        (
            "chane: [",
            "chain: [",
            "teams.infrastructure.chane: is not a key that there is here; did you mean 'chain'?",
        ),
        (
            "within: 5m, severity: [P1, P2]",
            "within: 5m, severity: [P2, P3]",
            "notify.digest.severity: P1 is urgent and cannot wait, must be P2 or P3",
        ),
        (
            "clas: security",
            "class: security",
            "escalations[1].clas: is not a key that there is here; did you mean 'class'?",
        ),
        (
            "team: secruity",
            "team: security",
            "ownership[0].team: is 'secruity', must be one of the teams (infrastructure, ai, ",
        ),
        (
            "default_owner: A_I",
            "default_owner: infrastructure",
            "default_owner: is 'A_I', must match pattern '^[a-z]",
        ),
        ("bounds: 7\nboundaries:", "bounds:", "bounds: is 7, must be a mapping"),
        (
            "count: 1,",
            "count: 2,",
            "correlations[0].count: is 1, must be greater than or equal to 2",
        ),
        (
            "owner: nobody, title",
            "owner: ai, title",
            "correlations[1].open.owner: is 'nobody', must be one of the teams",
        ),
        (
            "hours: office",
            "hours: business-hours",
            "teams.infrastructure.hours: is 'office', must be one of the time_",
        ),
        (
            "run: \"docker logs '{component}'\"",
            'run: "docker logs {component}"',
            'runbooks[4].steps[2].run: is "docker logs',
        ),
        (
            "without: coffee",
            "without: root_cause",
            "escalations[3].without: is 'coffee', must be 'root_cause' or 'mitigation'",
        ),
        (
            "lasting: 15m, always: true",
            "lasting: 15m",
            "escalations[0]: has lasting and always, has to have one of",
        ),
        (
            "target: 100,",
            "target: 99.9,",
            "targets.availability[0].target: is 100, must be less than 100",
        ),
        (
            'weekdays: ["mon:fri"]',
            'weekdays: ["monday:friday"]',
            "time_intervals.business-hours[0].weekdays: is 'mon:fri'",
        ),
        (
            "name: several-p1\n",
            "name: agents-down\n",
            "correlations[1].name: is 'several-p1', must be unique",
        ),
        (
            "P3: [fax]",
            "P3: [chat]",
            "notify.channels.P3[0]: is 'fax', must be 'pager', 'email' or 'chat'",
        ),
    ],
)
def test_mistakes(tmp_path: Path, instead: str, of: str, expected: str) -> None:
    """A mistake is told with its place in the file."""
    text = default_path().read_text().replace(of, instead, 1)
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    line = text[: text.index(instead)].count("\n") + 1

    with pytest.raises(BadPolicy) as refused:
        load_policy(file)

    told = re.compile(rf"{re.escape(str(file))}:{line}:\d+: {re.escape(expected)}")
    assert [problem for problem in refused.value.problems if told.match(problem)], (
        refused.value.problems
    )


def test_places(tmp_path: Path) -> None:
    """All mistakes at once, each with the line and the column of its key, or of its place in a list."""
    file = tmp_path / "policy.yaml"
    old = [
        ("close_after: 5m", "close_afer: 5m"),
        ("P1: [email, chat]", "P1: [email, fax]"),
        ("hours: business-hours", "hours: office"),
    ]
    text = default_path().read_text()
    for before, after in old:
        text = text.replace(before, after, 1)
    file.write_text(text)

    with pytest.raises(BadPolicy) as refused:
        load_policy(file)

    lines = text.splitlines()
    for mistake in refused.value.mistakes:
        part = lines[mistake.line - 1][mistake.column - 1 :]
        assert part.startswith(("close_afer", "fax", "incidents"))
    assert [(one.key, one.problem) for one in refused.value.mistakes] == [
        ("incidents.close_after", "is missing, must be there"),
        ("incidents.close_afer", "is not a key that there is here; did you mean 'close_after'?"),
        ("notify.channels.P1[1]", "is 'fax', must be 'pager', 'email' or 'chat'"),
    ]


def test_a_name_that_is_near(tmp_path: Path) -> None:
    """Whoever writes a name wrong is told which one is nearest."""
    file = tmp_path / "policy.yaml"
    file.write_text(default_path().read_text().replace("team: security}", "team: secruity}", 1))

    with pytest.raises(BadPolicy, match=r"did you mean 'security'\?"):
        load_policy(file)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\nversion: 1\n", ":2:1: version: stands twice, must stand once"),
        ("[]", ": is list, must be a mapping of policy keys (docs/POLICY.md)"),
        ("a: [", ":1:5: is not YAML: expected the node content, but found '<stream end>'"),
    ],
)
def test_files_that_are_no_policy(tmp_path: Path, text: str, expected: str) -> None:
    """What cannot be read as a policy at all is told in one line."""
    file = tmp_path / "policy.yaml"
    file.write_text(text)

    with pytest.raises(BadPolicy) as refused:
        load_policy(file)

    assert refused.value.problems == [f"{file}{expected}"]


def test_the_fingerprint_is_the_policys(tmp_path: Path) -> None:
    """Comments do not change a policy; a decision does."""
    text = default_path().read_text()
    same, other = tmp_path / "same.yaml", tmp_path / "other.yaml"
    same.write_text(f"# a comment\n{text}")
    other.write_text(text.replace("lasting: 15m", "lasting: 14m"))

    assert load_policy(same).fingerprint == shipped().fingerprint != load_policy(other).fingerprint
