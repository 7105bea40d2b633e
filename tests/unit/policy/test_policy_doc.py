"""`docs/POLICY.md` has every key, and its examples are policies."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.cli.main import main

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "POLICY.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
SCHEMA = json.loads((ROOT / "docs" / "policy.schema.json").read_text())


def _merged(base: Any, changes: Any) -> Any:
    """A document with the keys of another one; lists are replaced."""
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    return base | {key: _merged(base.get(key), value) for key, value in changes.items()}


@pytest.mark.parametrize("example", EXAMPLES, ids=[text.split(":")[0] for text in EXAMPLES])
def test_an_example_can_be_added_to_the_smallest_policy(
    example: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`tocsin policy check` takes the smallest policy with the keys of each example."""
    policy = _merged(yaml.safe_load(EXAMPLES[0]), yaml.safe_load(example))
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(policy))

    status = main(["policy", "check", str(path)])

    assert (status, capsys.readouterr().err) == (0, "")


def test_the_smallest_policy_has_no_doubts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It passes with `--strict`."""
    path = tmp_path / "policy.yaml"
    path.write_text(EXAMPLES[0])

    status = main(["policy", "check", "--strict", str(path)])

    assert (status, capsys.readouterr().err) == (0, "")


def test_every_key_is_in_the_document() -> None:
    """Each key of the schema stands in an example or, as code, in the text."""
    words = set(re.findall(r"[\w-]+", " ".join([*EXAMPLES, *re.findall(r"`([^`\n]+)`", TEXT)])))
    parts = [SCHEMA, *SCHEMA["$defs"].values()]
    keys = {key for part in parts for key in part.get("properties", {})}

    assert len(keys) > 100
    assert keys - words == set()


def test_every_key_in_the_document_exists() -> None:
    """A key that a table names with its section is a key of the schema."""
    properties = SCHEMA["properties"]
    defs = SCHEMA["$defs"]
    named = re.findall(r"^\| `([a-z_]+)\.(?:\*\.)?([a-z_]+)`", TEXT, re.MULTILINE)
    unknown = [
        (section, key) for section, key in named if key not in _keys_of(properties[section], defs)
    ]

    assert len(named) > 40
    assert unknown == []


def _keys_of(section: Any, defs: Any) -> set[str]:
    """The keys of a section, of its entries, or of what it may be."""
    references = re.findall(r'"#/\$defs/(\w+)"', json.dumps(section))
    return {key for name in references for key in defs[name].get("properties", {})}
