"""Make a release: `python -m deploy.release X.Y.Z`, or `make release VERSION=X.Y.Z`.

It refuses a tree that is not ready, builds wheel and source distribution into dist/, writes the
bill of materials and the licences beside them, tests the packages, and makes the tag. It pushes
nothing. `--dry-run` leaves out the tests of the packages and the tag.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from deploy.sbom import MissingDependency, bill_of_materials, installed_closure, licences_text

ROOT = Path(__file__).parents[1]
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_IMAGE = re.compile(r"image: tocsin:(\S+)")
_PACKAGE_TESTS = "tests/integration/test_package.py"


def main(argv: Sequence[str] | None = None) -> int:
    """Make the release; 0, or 1 when the tree is not ready, or a step failed."""
    parser = argparse.ArgumentParser(prog="python -m deploy.release", description=__doc__)
    parser.add_argument("version", metavar="X.Y.Z")
    parser.add_argument("--dry-run", action="store_true", help="no tests of the packages, no tag")
    arguments = parser.parse_args(argv)
    problems = list(problems_of(ROOT, arguments.version))
    for problem in problems:
        print(f"release: {problem}", file=sys.stderr)
    if problems:
        return 1
    try:
        _release(arguments.version, dry_run=arguments.dry_run)
    except (MissingDependency, subprocess.CalledProcessError) as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


def problems_of(root: Path, version: str) -> Iterator[str]:
    """What keeps a tree from being this release, a sentence each."""
    if not _VERSION.fullmatch(version):
        yield f"the version is {version!r:.60}, must be three numbers such as 0.1.0"
        return
    if _git(root, "status", "--porcelain"):
        yield "the tree has changes, must be clean: commit them, or git stash"
    if _git(root, "tag", "--list", f"v{version}"):
        yield f"the tag v{version} is there already, must be a new version"
    stated = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    if stated != version:
        yield f"pyproject.toml has version {stated}, must be {version}"
    yield from _changelog_problems((root / "CHANGELOG.md").read_text(), version)
    manifests = sorted((root / "deploy" / "kubernetes").glob("*.yaml"))
    for file in [root / "docker-compose.yml", *manifests]:
        others = sorted(set(_IMAGE.findall(file.read_text())) - {version})
        if others:
            name = file.relative_to(root)
            yield f"{name} has the image tocsin:{others[0]}, must be tocsin:{version}"


def _changelog_problems(text: str, version: str) -> Iterator[str]:
    titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
    newest = titles[0] if titles else "none"
    if not re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", newest):
        yield f"the newest section of CHANGELOG.md is {newest!r}, must be '{version} (YYYY-MM-DD)'"


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=root, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


def _release(version: str, *, dry_run: bool) -> None:
    """The steps, in their order; the first that fails ends it."""
    folder = ROOT / "dist"
    closure = installed_closure()
    shutil.rmtree(folder, ignore_errors=True)
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, stdout=sys.stderr)
    bill = bill_of_materials(closure, version)
    (folder / f"tocsin-{version}.cdx.json").write_text(json.dumps(bill, indent=2) + "\n")
    (folder / f"tocsin-{version}-licences.txt").write_text(licences_text(closure))
    for file in sorted(folder.iterdir()):
        print(f"{file.relative_to(ROOT)}  {file.stat().st_size} bytes")
    if dry_run:
        print("dry run: the packages are not tested, and there is no tag")
        return
    options = ["-o", "addopts=--strict-markers --strict-config -q", "-n", "0"]
    tests = [sys.executable, "-m", "pytest", *options, _PACKAGE_TESTS]
    subprocess.run(tests, cwd=ROOT, check=True)
    tag = ["git", "tag", "--annotate", f"v{version}", "--message", f"Tocsin {version}"]
    subprocess.run(tag, cwd=ROOT, check=True)
    print(f"tagged v{version}; push it with: git push origin v{version}")


if __name__ == "__main__":
    sys.exit(main())
