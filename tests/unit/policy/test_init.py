"""`tocsin policy init`: the files are good, nothing is lost, and bad answers are told."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.main import main
from app.files.policy_file import load_policy
from tests.support.shipped_policy import shipped

REACH = {
    "first": "pager:web-1 mail:web@example.org",
    "second": "phone:+15550100 chat:#web",
    "manager": "pager:web-manager mail:manager@example.org chat:#web",
}
ANSWERS = ["--team", "Web Ops"] + [word for role in REACH for word in (f"--{role}", REACH[role])]


class Terminal(io.StringIO):
    """A terminal on which somebody types."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.mark.parametrize(
    "options",
    [
        ["--yes"],
        [*ANSWERS, "--yes"],
        [*ANSWERS, "--yes", "--kubernetes", "no", "--next-after", "1m"],
        ["--yes", "--hours", "08:30-24:00 America/New_York", "--next-after", "60m"],
        ["--yes", "--team", "No"],
        ["--yes", "--team", "24/7 \"quoted\": {team} # 'x'"],
    ],
)
def test_what_is_written_is_accepted(tmp_path: Path, options: list[str]) -> None:
    """`policy check --strict` and `notify check` find nothing in them."""
    policy, receivers = str(tmp_path / "policy.yaml"), str(tmp_path / "receivers.yaml")

    assert main(["policy", "init", policy, *options]) == 0
    assert main(["policy", "check", "--strict", policy]) == 0
    assert main(["notify", "check", receivers]) == 0
    assert {file.name for file in tmp_path.iterdir()} == {"policy.yaml", "receivers.yaml"}


def test_the_policy_is_the_shipped_one_for_another_team(tmp_path: Path) -> None:
    """Contacts, team, hours and pace are the answers'; what correlates is as it ships."""
    file = tmp_path / "policy.yaml"
    main(["policy", "init", str(file), *ANSWERS, "--next-after", "3m", "--yes"])
    policy, before = load_policy(file).policy, shipped().policy

    text = file.read_text() + (tmp_path / "receivers.yaml").read_text()
    assert "sutazai" not in text
    assert list(policy.teams) == [policy.default_owner] == ["web-ops"]
    assert policy.teams["web-ops"].chain == ["first", "second", "manager"]
    assert policy.contacts["second"].pager == "+15550100"
    assert text.count("{channel: pager, address:") == 3
    assert policy.escalate_after != before.escalate_after
    assert (policy.severities, policy.nearness, policy.dependencies, policy.inhibit_rules) == (
        before.severities,
        before.nearness,
        before.dependencies,
        before.inhibit_rules,
    )
    assert [rule.name for rule in policy.escalations] == [rule.name for rule in before.escalations]
    assert [rule.name for rule in policy.runbooks] == [rule.name for rule in before.runbooks]


def test_without_kubernetes_its_runbooks_are_left_out(tmp_path: Path) -> None:
    """The others stay."""
    file = tmp_path / "policy.yaml"
    main(["policy", "init", str(file), "--kubernetes", "no", "--yes"])

    names = [rule.name for rule in load_policy(file).policy.runbooks]
    assert names == [
        rule.name
        for rule in shipped().policy.runbooks
        if not str(rule.name).startswith("kubernetes")
    ]


@pytest.mark.parametrize("name", ["policy.yaml", "receivers.yaml"])
def test_a_file_that_is_there_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Neither file is written then; with --force both are."""
    command = ["policy", "init", str(tmp_path / "policy.yaml"), "--yes"]
    (tmp_path / name).write_text("mine")

    assert main(command) == 1
    assert f"{name} is there already; --force writes over it" in capsys.readouterr().err
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(name, "mine")]
    assert main([*command, "--force"]) == 0
    assert (tmp_path / name).read_text() != "mine"


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        ("team", "?", "must be a name of 1 to 60 characters"),
        ("team", "a\nb", "must be a name of 1 to 60 characters"),
        ("first", "pigeon:coo", "has 'pigeon:coo', must be ways such as"),
        ("first", "mail:a@example.org", "has no pager and no phone"),
        ("second", "pager:a", "has no mail and no chat"),
        ("second", "pager:a phone:b chat:c", "has two ways for pager"),
        ("hours", "9-5", "must be such as 09:00-17:00 Europe/Berlin"),
        ("hours", "17:00-09:00 UTC", "must be such as 09:00-17:00 Europe/Berlin"),
        ("hours", "09:00-17:00 Mars/Base", "has the time zone 'Mars/Base'"),
        ("kubernetes", "maybe", "must be yes or no"),
        ("next-after", "0m", "must be 1m to 60m"),
        ("next-after", "2h", "must be 1m to 60m"),
    ],
)
def test_a_bad_answer_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, text: str, expected: str
) -> None:
    """It names the option, and nothing is written."""
    status = main(["policy", "init", str(tmp_path / "p.yaml"), f"--{option}", text, "--yes"])

    (line,) = capsys.readouterr().err.splitlines()
    assert status == 1
    assert line.startswith(f"tocsin: --{option} is ")
    assert expected in line
    assert list(tmp_path.iterdir()) == []


def test_questions_are_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad answer is told and asked again; an empty one is the default; what is given is not asked."""
    monkeypatch.setattr(sys, "stdin", Terminal("\n\n\nsometimes\n\nno\n7m\n"))
    file = tmp_path / "policy.yaml"
    status = main(["policy", "init", str(file), "--team", "Web"])

    told = capsys.readouterr().out
    assert status == 0
    assert "What is the team's name?" not in told
    assert told.count("When does the team work, and where?") == 2
    assert "The answer must be such as 09:00-17:00 Europe/Berlin.\n" in told
    assert "  P0: [7m, 14m]\n" in file.read_text()


@pytest.mark.parametrize(
    ("stdin", "expected"),
    [
        (Terminal("Web\n"), "the input ended before the last answer; nothing is written"),
        (io.StringIO("Web\n"), "--team is not given, and there is no terminal to ask on"),
    ],
)
def test_nobody_answers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stdin: io.StringIO,
    expected: str,
) -> None:
    """The end of the input and a missing terminal are one line."""
    monkeypatch.setattr(sys, "stdin", stdin)

    assert main(["policy", "init", str(tmp_path / "policy.yaml")]) == 1
    assert capsys.readouterr().err.startswith(f"tocsin: {expected}")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room(tmp_path: Path) -> None:
    """What was there stays as it was, and no part of a file is left."""
    file = tmp_path / "policy.yaml"
    file.write_text("mine")
    words = [sys.executable, "-m", "app", "policy", "init", str(file), "--yes", "--force"]
    command = ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", *words]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (
        1,
        f"tocsin: {file} cannot be written: File too large\n",
    )
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [
        ("policy.yaml", "mine")
    ]
