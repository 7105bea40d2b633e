"""constraints.txt: the exact versions that make, CI and the image install."""

import tomllib

import pytest
from packaging.requirements import Requirement

from deploy.constraints import FREE
from tests.support.engines import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSIONS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
)
REQUIREMENTS = [
    Requirement(line)
    for lines in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for line in lines
]


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda it: it.name)
def test_each_dependency_has_a_version_that_the_project_allows(requirement: Requirement) -> None:
    """What pyproject.toml asks for is in the file, within its bounds."""
    name = requirement.name.lower()

    assert name in FREE or requirement.specifier.contains(VERSIONS[name])


@pytest.mark.parametrize("file", ["Dockerfile", "Makefile"])
def test_what_installs_uses_them(file: str) -> None:
    """No command installs from a registry without the file."""
    text = (ROOT / file).read_text()
    commands = [line for line in text.splitlines() if "pip install" in line or "pip wheel" in line]

    assert commands
    assert all("--no-index" in line or "--constraint constraints.txt" in line for line in commands)


@pytest.mark.parametrize("package", ["app", "agents", "models"])
def test_a_package_says_that_it_is_typed(package: str) -> None:
    """Who imports it gets our types (PEP 561)."""
    assert (ROOT / package / "py.typed").is_file()
