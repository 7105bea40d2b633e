"""Policy files: the one that ships, and every mistake told with file, line, key, found and expected."""

from pathlib import Path

import pytest

from app.policy_file import BadPolicy, default_path, load


@pytest.mark.parametrize(
    ("instead", "of", "expected"),
    [
        ("settle: 5 m", "settle: 5m", "incidents.settle: is '5 m', must be a duration such as 90s, 15m, 1h30m or 2d"),
        ("settel: 5m", "forget: 1h", "incidents.settel: is not a key that a policy has here"),
        ("count: 1,", "count: 2,", "correlations[0].count: is 1, must be greater than or equal to 2"),
        (
            "owner: nobody, title",
            "owner: ai, title",
            "correlations[1].open.owner: is 'nobody', must be one of the teams",
        ),
        ("hours: office", "hours: business-hours", "teams.infrastructure.hours: is 'office', must be one of the time_"),
        (
            "run: \"docker logs '{component}'\"",
            'run: "docker logs {component}"',
            'guides[1].steps[2].run: is "docker logs',
        ),
        ("without: coffee", "without: cause", "escalations[3].without: is 'coffee', must be 'cause' or 'mitigation'"),
        ("lasting: 15m, always: true", "lasting: 15m", "escalations[0]: has lasting and always, has to have one of"),
        ("target: 100,", "target: 99.9,", "targets.availability[0].target: is 100, must be less than 100"),
        (
            'weekdays: ["mon:fri"]',
            'weekdays: ["monday:friday"]',
            "time_intervals.business-hours[0].weekdays: is 'mon:fri'",
        ),
        ("name: several-p1\n", "name: agents-down\n", "correlations[1].name: is 'several-p1', must be unique"),
        ("P3: [fax]", "P3: [chat]", "notify.channels.P3[0]: is 'fax', must be 'pager', 'email' or 'chat'"),
    ],
)
def test_mistakes(tmp_path: Path, instead: str, of: str, expected: str) -> None:
    """A mistake is told with its place in the file."""
    text = default_path().read_text().replace(of, instead, 1)
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    line = text[: text.index(instead)].count("\n") + 1

    with pytest.raises(BadPolicy) as refused:
        load(file)

    told = f"{file}:{line}: {expected}"
    assert [problem for problem in refused.value.problems if problem.startswith(told)], refused.value.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\nversion: 1\n", ":2: version: stands twice, must stand once"),
        ("[]", ": is list, must be a mapping of policy keys (docs/POLICY.md)"),
        ("a: [", ":1:5: is not YAML: expected the node content, but found '<stream end>'"),
    ],
)
def test_files_that_are_no_policy(tmp_path: Path, text: str, expected: str) -> None:
    """What cannot be read as a policy at all is told in one line."""
    file = tmp_path / "policy.yaml"
    file.write_text(text)

    with pytest.raises(BadPolicy) as refused:
        load(file)

    assert refused.value.problems == [f"{file}{expected}"]


def test_the_fingerprint_is_the_policys(tmp_path: Path) -> None:
    """Comments do not change a policy; a decision does."""
    text = default_path().read_text()
    same, other = tmp_path / "same.yaml", tmp_path / "other.yaml"
    same.write_text(f"# a comment\n{text}")
    other.write_text(text.replace("lasting: 15m", "lasting: 14m"))

    assert load(same).fingerprint == load().fingerprint != load(other).fingerprint
