"""What a release depends on, and under which licences, from what is installed.

The bill of materials is CycloneDX 1.6 in JSON (https://cyclonedx.org/docs/1.6/json/).
"""

import uuid
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = "tocsin"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/tocsin")
_LICENCE_FILES = ("licen", "copying", "notice")


class MissingDependency(Exception):
    """A dependency that is not installed, so that nothing can be told of it."""


def installed_closure(name: str = PROJECT) -> dict[str, Distribution]:
    """A package and everything that it needs to run here, by canonical name, sorted.

    Extras are followed where somebody asks for them; our own extras are not. Raises
    MissingDependency.
    """
    closure: dict[str, Distribution] = {}
    waiting: list[tuple[str, frozenset[str]]] = [(name, frozenset())]
    visited = set()
    while waiting:
        entry = waiting.pop()
        if entry in visited:
            continue
        visited.add(entry)
        package, extras = entry
        try:
            closure[package] = distribution(package)
        except PackageNotFoundError:
            raise MissingDependency(f"{package} is not installed: make check installs it") from None
        waiting += _required_by(closure[package], extras)
    return dict(sorted(closure.items()))


def _required_by(package: Distribution, extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    needed: list[tuple[str, frozenset[str]]] = []
    for line in package.requires or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": name}) for name in extras | {""}):
            needed.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return needed


def bill_of_materials(closure: Mapping[str, Distribution], version: str) -> dict[str, Any]:
    """The CycloneDX document of a release. The same packages give the same document."""
    references = {
        name: _reference(name, version if name == PROJECT else package.version)
        for name, package in closure.items()
    }
    described = {
        name: _component(name, references[name], package) for name, package in closure.items()
    }
    product = described.pop(PROJECT) | {"type": "application", "version": version}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, ' '.join(references.values()))}",
        "version": 1,
        "metadata": {"component": product},
        "components": list(described.values()),
        "dependencies": [
            {"ref": references[name], "dependsOn": _depends_on(package, references)}
            for name, package in closure.items()
        ],
    }


def _depends_on(package: Distribution, references: Mapping[str, str]) -> list[str]:
    names = {name for name, _ in _required_by(package, frozenset())}
    return sorted(references[name] for name in names)


def _reference(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version}"


def _component(name: str, reference: str, package: Distribution) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": package.version,
        "purl": reference,
    }
    expression = _field(package, "License-Expression")
    licence = licence_of(package)
    if expression:
        component["licenses"] = [{"expression": expression}]
    elif licence:
        component["licenses"] = [{"license": {"name": licence}}]
    return component


def licence_of(package: Distribution) -> str:
    """The licence that a package states; empty when it states none.

    Its expression counts first, then its classifiers, then the first line of its free text.
    """
    expression = _field(package, "License-Expression")
    if expression:
        return expression
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in package.metadata.get_all("Classifier") or []
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    free_text = _field(package, "License").strip()
    return ", ".join(classifiers) or free_text.partition("\n")[0][:200]


def _field(package: Distribution, name: str) -> str:
    values = package.metadata.get_all(name) or []
    return str(values[0]) if values else ""


def licences_text(closure: Mapping[str, Distribution]) -> str:
    """Each dependency with its licence, and the text of its licence files."""
    parts = ["The licences of what Tocsin depends on.\n"]
    for name, package in closure.items():
        if name == PROJECT:
            continue
        parts.append(
            f"{'=' * 78}\n{name} {package.version}: {licence_of(package) or 'not stated'}\n"
        )
        parts += [
            f"\n--- {file.name}\n{file.read_text(encoding='utf-8').strip()}\n"
            for file in package.files or []
            if file.name.lower().startswith(_LICENCE_FILES) and file.suffix not in (".py", ".pyc")
        ]
    return "\n".join(parts)
