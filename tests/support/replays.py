"""`tocsin replay` in this process, and what it answers."""

import json
from typing import Any

import pytest

from app.cli.main import main


def replayed(capsys: pytest.CaptureFixture[str], *options: object) -> tuple[int, dict[str, Any]]:
    """Status and summary."""
    capsys.readouterr()
    status = main(["replay", "--json", *map(str, options)])
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return status, found


def refused(capsys: pytest.CaptureFixture[str], *options: object) -> str:
    """What a replay says that does not begin."""
    capsys.readouterr()
    assert main(["replay", *map(str, options)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    return told.err.removeprefix("tocsin: ").rstrip("\n")
