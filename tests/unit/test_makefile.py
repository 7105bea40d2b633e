"""The Makefile: what each target installs, and what it says when it cannot."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.engines import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

NO_VENV = """#!/bin/sh
case "$1 $2" in "-m venv") echo "a long story"; echo "of ensurepip"; exit 1;; esac
"""


def _make(*arguments: str) -> tuple[int, str]:
    """Status and output of make."""
    ended = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        # `make test` tells those below it about itself.
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout


@pytest.mark.parametrize("target", ["demo", "up"])
def test_a_user_installs_no_tools_of_a_developer(tmp_path: Path, target: str) -> None:
    """`make demo` and `make up` install Tocsin itself, and nothing of the group dev."""
    status, recipe = _make("-n", target, f"VENV={tmp_path}/venv")

    assert status == 0
    assert "-e .\n" in recipe
    assert "[dev]" not in recipe


def test_a_developer_installs_both(tmp_path: Path) -> None:
    """`make test` installs the tools too, and what the demo needs is there with them."""
    _, recipe = _make("-n", "test", f"VENV={tmp_path}/venv")

    assert "'.[dev]'" in recipe
    assert f"touch {tmp_path}/venv/.runtime {tmp_path}/venv/.installed" in recipe


def test_a_python_without_venv_is_told_in_one_line(tmp_path: Path) -> None:
    """Where no environment can be made, one line says what to install."""
    python = tmp_path / "python"
    python.write_text(NO_VENV)
    python.chmod(0o755)
    status, output = _make("demo", f"VENV={tmp_path}/venv", f"PYTHON={python}")

    line, end = output.splitlines()
    assert status != 0
    assert line.startswith(
        f"{python} cannot make the environment {tmp_path}/venv: install its venv"
    )
    assert end.startswith("make: ***")
