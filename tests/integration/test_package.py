"""What is built and released works without the tree: installed into an empty environment, run in an empty folder.

It needs a package registry.
"""

import json
import os
import subprocess
import tarfile
import urllib.request
import venv
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 900  # for a step; a registry may be slow
DEVELOPERS = ("pytest", "mypy", "ruff", "hypothesis")


def _run(command: Sequence[str | Path], where: Path, **settings: str) -> str:
    """What a command prints. It has no variable that could lead it back to the tree."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "TOCSIN_", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        command,
        cwd=where,
        env=environment | settings,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def _environment(folder: Path, *packages: str | Path) -> Path:
    """The programs of a new environment with some packages."""
    venv.create(folder, with_pip=True)
    constraints = ROOT / "constraints.txt"
    pip: list[str | Path] = [
        folder / "bin" / "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    _run([*pip, "--constraint", constraints, *packages], folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution, as a release builds them."""
    folder = tmp_path_factory.mktemp("built")
    tools = _environment(folder / "tools", "hatchling")
    _run([tools / "python", "-m", "hatchling", "build", "--directory", folder], ROOT)
    return folder


@pytest.fixture(scope="module", params=["*.whl", "*.tar.gz"])
def programs(
    built: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The programs of an empty environment into which one of them was installed."""
    (package,) = built.glob(request.param)
    return _environment(tmp_path_factory.mktemp("installed") / "env", package)


def test_the_wheel_has_what_is_needed_and_no_more(built: Path) -> None:
    """Policy, templates and type marker are in it; tests and benchmarks are not."""
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()

    folders = {name.partition("/")[0] for name in names}
    assert {name for name in folders if not name.endswith(".dist-info")} == {
        "app",
        "agents",
        "models",
    }
    assert {"app/default_policy.yaml", "app/py.typed", "models/py.typed"} <= set(names)
    assert any(name.startswith("app/web/templates/") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".db")]


def test_the_source_has_what_builds_it(built: Path) -> None:
    """It has the licence and the tests, and nothing that git ignores."""
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"LICENSE", "pyproject.toml", "policies/default.yaml", "tests/conftest.py"} <= names
    assert not [name for name in names if name.startswith((".venv", "tocsin-data", "dist"))]


def test_the_demo_runs(programs: Path, tmp_path: Path) -> None:
    """Outside of the tree, without a tool of developers."""
    has = _run([programs / "pip", "list", "--format", "freeze"], tmp_path)
    told = _run([programs / "tocsin", "demo", "--json"], tmp_path, HOME=str(tmp_path))

    assert not [name for name in DEVELOPERS if f"{name}==" in has]
    assert json.loads(told.splitlines()[-1])


def test_the_service_runs(programs: Path, tmp_path: Path) -> None:
    """It takes an alert, shows the page, and its doctor finds nothing wrong."""
    settings = {"TOCSIN_BROKER": f"embedded:{tmp_path / 'data'}", "TOCSIN_PORT": "0"}
    with _served(programs, tmp_path, settings) as url:
        body = json.dumps([{"labels": {"alertname": "A", "component": "c"}}]).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}/api/v2/alerts", body, headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            taken = response.status
        with urllib.request.urlopen(f"{url}/", timeout=60) as response:
            page = response.read().decode()
        doctor = _run([programs / "tocsin", "doctor"], tmp_path, **settings, TOCSIN_URL=url)

    assert taken == 200
    assert "<title>" in page
    assert "WRONG" not in doctor


@contextmanager
def _served(programs: Path, where: Path, settings: dict[str, str]) -> Iterator[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(where), **settings}
    with subprocess.Popen(
        [programs / "tocsin", "up"], cwd=where, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
            process.wait(60)


def test_the_version_is_that_of_the_project(programs: Path, tmp_path: Path) -> None:
    """`tocsin --version` says what was built."""
    text = (ROOT / "pyproject.toml").read_text()
    version = text.partition('\nversion = "')[2].partition('"')[0]

    assert _run([programs / "tocsin", "--version"], tmp_path) == f"tocsin {version}\n"
