"""Copies of the tree, and checks run in them."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SECONDS_MAX = (
    240  # a check that takes longer has not caught anything: CI would stop it without a word
)

_COUNT = re.compile(r"(\d+) (passed|failed|errors?)\b")
# What only a patch that is no program causes; a bug that anybody could see is no test of the
# battery.
_CARELESS = re.compile(
    r"\b(?:ImportError|ModuleNotFoundError|NameError|SyntaxError|IndentationError)\b"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check said."""

    passed: bool
    failed: bool  # a test failed; not the same as not passed
    said: str
    seconds: float


def copy_tree(target: Path) -> None:
    """The project as it is in the working tree: what git knows, and what it does not ignore."""
    listed = [
        "git",
        "-C",
        str(ROOT),
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    for name in subprocess.run(listed, check=True, capture_output=True).stdout.decode().split("\0"):
        source = ROOT / name
        if name and source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    if (ROOT / ".tools").exists() and not (target / ".tools").exists():
        (target / ".tools").symlink_to((ROOT / ".tools").resolve())  # Kafka's jars, fetched once


def run_check(command: str, tree: Path) -> Verdict:
    """Run a check in a copy of the tree."""
    program, *arguments = shlex.split(command)
    assert program == "python", command
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return Verdict(
            False, False, f"it was not over after {SECONDS_MAX} s", time.monotonic() - began
        )
    return judge(output, process.returncode, time.monotonic() - began, errors)


def judge(output: str, status: int, seconds: float, errors: str = "") -> Verdict:
    """What the output of a check means.

    Its last line counts tests, of pytest as well as of the simulator.
    """
    last = (
        (output.strip() or errors.strip()).splitlines()
        or [f"it ended with status {status} and said nothing"]
    )[-1].strip("= ")
    counts = {name.rstrip("s"): int(number) for number, name in _COUNT.findall(last)}
    careless = _CARELESS.search(output + errors)
    if status == 0 and counts.get("passed") and not counts.get("failed"):
        return Verdict(True, False, last, seconds)
    if careless is not None or counts.get("error") or not counts.get("failed"):
        return Verdict(
            False, False, f"{last} ({careless.group() if careless else 'no test failed'})", seconds
        )
    return Verdict(False, True, last, seconds)
