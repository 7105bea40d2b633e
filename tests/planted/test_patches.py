"""The planted bugs can be planted: what they break is still there, and their checks too."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.planted.battery import ROOT, judge
from tests.planted.patches import Bug, DoesNotApply, apply, bugs, parse

BUGS = bugs()
PATCH = "# Breaks: a\n# Hurts: b\n# Check: c\n--- a/one.py\n+++ b/one.py\n@@ -1,2 +1,2 @@\n same\n-old\n+new\n"


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_each_bug_can_be_planted(bug: Bug, tmp_path: Path) -> None:
    """It changes the tree of today, and what comes out is a program still."""
    for hunk in bug.hunks:
        target = tmp_path / hunk.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / hunk.path, target)
    apply(bug, tmp_path)

    for hunk in bug.hunks:
        text = (tmp_path / hunk.path).read_text()
        assert text != (ROOT / hunk.path).read_text()
        compile(text, hunk.path, "exec")


def test_each_check_is_there() -> None:
    """Every named test file exists, and no bug is planted into a test."""
    named = {
        word.split("::")[0]
        for bug in BUGS
        for word in shlex.split(bug.check)
        if word.startswith("tests/")
    }

    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
    assert [
        hunk.path
        for bug in BUGS
        for hunk in bug.hunks
        if not re.match("(app|agents|models)/", hunk.path)
    ] == []


def test_all_are_documented() -> None:
    """docs/PLANTED.md has a row for each, made of its header, and no other."""
    expected = [f"| {bug.name} | {bug.breaks} | {bug.hurts} |" for bug in BUGS]

    assert [
        line for line in (ROOT / "docs/PLANTED.md").read_text().splitlines() if line[2:4].isdigit()
    ] == expected


def test_there_is_one_for_each_number() -> None:
    """They are numbered from 01 on, without a hole."""
    assert [bug.name[:3] for bug in BUGS] == [f"{number:02}-" for number in range(1, len(BUGS) + 1)]


def test_a_patch_is_found_by_its_text(tmp_path: Path) -> None:
    """Lines may have moved; they may not have changed, nor stand there twice."""
    bug, file = parse("01-a", PATCH), tmp_path / "one.py"
    file.write_text("more\nsame\nold\n")
    apply(bug, tmp_path)
    assert file.read_text() == "more\nsame\nnew\n"

    for text in ("same\nother\n", "same\nold\nsame\nold\n"):
        file.write_text(text)
        with pytest.raises(
            DoesNotApply, match=r"01-a: the lines it changes stand in one\.py [02] times"
        ):
            apply(bug, tmp_path)


def test_a_patch_without_a_header_or_a_hunk_is_none() -> None:
    """The message says what it lacks."""
    with pytest.raises(DoesNotApply, match=r"lacks \['Hurts'\], and there are 1 hunks"):
        parse("01-a", PATCH.replace("# Hurts: b\n", ""))
    with pytest.raises(DoesNotApply, match=r"lacks \[\], and there are 0 hunks"):
        parse("01-a", PATCH.split("---", maxsplit=1)[0])


@pytest.mark.parametrize(
    ("output", "status", "expected"),
    [
        ("2000 passed, 0 failed\n", 0, (True, False)),
        ("seed 3: Broken\n1999 passed, 1 failed\n", 1, (False, True)),
        ("12 passed in 3.21s\n", 0, (True, False)),
        ("E   assert 1 == 2\n1 failed, 11 passed in 3.21s\n", 1, (False, True)),
        (
            "E   NameError: name 'x' is not defined\n1 failed, 11 passed in 3.21s\n",
            1,
            (False, False),
        ),
        ("ERROR tests/test_x.py\n1 error in 0.10s\n", 2, (False, False)),
        ("1 failed, 1 error in 0.10s\n", 1, (False, False)),
        ("no tests ran in 0.01s\n", 5, (False, False)),
        ("Traceback (most recent call last):\nKeyError: 'x'\n", 1, (False, False)),
        ("", -9, (False, False)),
    ],
)
def test_only_a_test_that_failed_has_caught_something(
    output: str, status: int, expected: tuple[bool, bool]
) -> None:
    """A check that passes has missed the bug, and one that could not run says nothing of it."""
    verdict = judge(output, status, 0.0)

    assert (verdict.passed, verdict.failed) == expected
