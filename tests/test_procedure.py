"""The table of the procedure: whatever it names exists."""

import re
from pathlib import Path

import yaml

from app.policy_file import default_path

ROOT = Path(__file__).parent.parent
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in (ROOT / "docs" / "PROCEDURE.md").read_text().partition("\n## What a day")[0].splitlines()
    if line.startswith("| ") and not line.startswith("| line |")
]


def test_every_line_names_its_test() -> None:
    """The last column of each row names a scenario or a test that exists, or says why a machine cannot do it."""
    missing = []
    for row in ROWS:
        names = re.findall(r"`([a-z0-9_/]+)`", row[-1])
        folder = "scenarios/" if names and names[0].startswith("scenarios/") else ""
        for name in names:
            path = f"{name}.py" if name.startswith("test_") else f"{folder}{name.removeprefix('scenarios/')}.txt"
            if not (ROOT / "tests" / path).exists():
                missing.append((row[0], path))
        if not names and not row[-1].startswith(("none:", "below")):
            missing.append((row[0], row[-1]))

    assert len(ROWS) > 40
    assert missing == []


def test_every_key_is_in_the_shipped_policy() -> None:
    """The policy keys that the table names are keys, or names of rules, of the policy that ships."""
    policy = default_path().read_text()
    document = yaml.safe_load(policy)
    named = {key for row in ROWS for key in re.findall(r"`([a-z_]+)(?:[.:`])", row[1])}

    assert sorted(key for key in named if key not in document and f"{key}:" not in policy) == []
