"""A release is refused where it is not ready, and says what it depends on."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import pytest

from deploy.release import problems_of
from deploy.sbom import bill_of_materials, installed_closure, licence_of, licences_text
from tests.support.engines import ROOT

VERSION = "0.1.0"


def _git(root: Path, *arguments: str) -> None:
    person = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *person, *arguments], cwd=root, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the tree, committed, whose changelog is that of a release."""
    root = tmp_path / "tree"
    skipped = shutil.ignore_patterns(".git", ".*_cache", "__pycache__", ".venv", "dist", "data")
    shutil.copytree(ROOT, root, ignore=skipped, symlinks=True)
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text()
    start = text.index("\n## ")
    changelog.write_text(f"{text[:start]}\n## {VERSION} (2026-12-01)\n{text[start:]}")
    _git(root, "init", "--quiet")
    _git(root, "add", "--all")
    _git(root, "commit", "--quiet", "--message", "all")
    return root


def test_a_tree_that_is_ready(tree: Path) -> None:
    """Nothing keeps it from being released."""
    assert list(problems_of(tree, VERSION)) == []


def test_everything_that_is_missing_is_told_at_once(tree: Path) -> None:
    """Changes, another version, an old changelog and old images: a sentence each."""
    (tree / "new").write_text("")

    problems = list(problems_of(tree, "0.2.0"))
    assert [re.sub(r", must .*", "", problem) for problem in problems] == [
        "the tree has changes",
        "pyproject.toml has version 0.1.0",
        "the newest section of CHANGELOG.md is '0.1.0 (2026-12-01)'",
        "docker-compose.yml has the image tocsin:0.1.0",
        "deploy/kubernetes/embedded.yaml has the image tocsin:0.1.0",
        "deploy/kubernetes/kafka.yaml has the image tocsin:0.1.0",
    ]


def test_a_version_is_released_once(tree: Path) -> None:
    """A tag that is there already is not moved."""
    _git(tree, "tag", f"v{VERSION}")

    assert list(problems_of(tree, VERSION)) == [
        "the tag v0.1.0 is there already, must be a new version"
    ]


@pytest.mark.parametrize("version", ["0.1", "v0.1.0", "0.1.0rc1", "00.1.0", "0.1.0\n"])
def test_a_version_is_three_numbers(version: str) -> None:
    """Anything else is refused before anything else is looked at."""
    (problem,) = problems_of(ROOT, version)

    assert problem.endswith("must be three numbers such as 0.1.0")


@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling is in the extra dev")
def test_the_dry_run_builds_all_but_the_tag(tree: Path) -> None:
    """It leaves wheel, source distribution, bill of materials and licences in dist/."""
    command = [sys.executable, "-m", "deploy.release", VERSION, "--dry-run"]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert {file.name for file in (tree / "dist").iterdir()} == {
        "tocsin-0.1.0-py3-none-any.whl",
        "tocsin-0.1.0.tar.gz",
        "tocsin-0.1.0.cdx.json",
        "tocsin-0.1.0-licences.txt",
    }
    wheel = zipfile.ZipFile(tree / "dist" / "tocsin-0.1.0-py3-none-any.whl")
    assert "app/default_policy.yaml" in wheel.namelist()
    assert json.loads((tree / "dist" / "tocsin-0.1.0.cdx.json").read_text())["components"]
    tags = subprocess.run(["git", "tag"], cwd=tree, capture_output=True, check=True)
    assert tags.stdout == b""


def test_the_bill_names_each_dependency_once() -> None:
    """Each reference is defined, what runs is in it, and what developers use is not."""
    bill = bill_of_materials(installed_closure(), VERSION)
    references = [component["bom-ref"] for component in bill["components"]]
    references.append(bill["metadata"]["component"]["bom-ref"])

    names = {component["name"] for component in bill["components"]}
    assert len(set(references)) == len(references)
    assert {entry["ref"] for entry in bill["dependencies"]} == set(references)
    assert {ref for entry in bill["dependencies"] for ref in entry["dependsOn"]} <= set(references)
    assert {"faust-streaming", "aiokafka", "pydantic-core", "markupsafe"} <= names
    assert names.isdisjoint({"pytest", "mypy", "tocsin"})
    assert bill["metadata"]["component"]["bom-ref"] == "pkg:pypi/tocsin@0.1.0"


def test_the_bill_is_the_same_for_the_same_packages() -> None:
    """Nothing in it is of the moment, so two builds can be compared."""
    closure = installed_closure()

    assert bill_of_materials(closure, VERSION) == bill_of_materials(closure, VERSION)


_SERIAL = {"type": "string", "pattern": "^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}


def test_the_bill_has_the_form_of_cyclonedx() -> None:
    """What its specification requires of a document and a component is there."""
    component = {
        "type": "object",
        "required": ["type", "name"],
        "properties": {
            "type": {"enum": ["application", "library"]},
            "purl": {"pattern": "^pkg:pypi/"},
            "licenses": {"type": "array", "minItems": 1},
        },
    }
    schema = {
        "required": ["bomFormat", "specVersion"],
        "properties": {
            "bomFormat": {"const": "CycloneDX"},
            "specVersion": {"const": "1.6"},
            "serialNumber": _SERIAL,
            "version": {"type": "integer", "minimum": 1},
            "components": {"type": "array", "items": component},
        },
    }

    jsonschema.validate(bill_of_materials(installed_closure(), VERSION), schema)


def test_every_dependency_states_its_licence() -> None:
    """One that does not has to be looked at by somebody before a release."""
    closure = installed_closure()
    unstated = [name for name, package in closure.items() if not licence_of(package)]

    assert unstated == []
    assert all(f"\n{name} " in licences_text(closure) for name in closure if name != "tocsin")
