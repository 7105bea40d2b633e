"""`docs/LIMITS.md` says what the code does."""

import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from app import metrics
from app.bridge.connections.limits import Limits
from app.core.state.state import PartitionState
from models.policy.policy import Bounds
from models.reason import Reason
from tests.support.bridge_bounds import BRIDGE_LIMITS
from tests.support.engine_bounds import ENGINE_LIMITS
from tests.support.policy_bounds import POLICY_LIMITS

ROOT = Path(__file__).parents[2]
_CONSTANT = re.compile(r"^([A-Z][A-Z_]*_MAX(?:_MS)?)\b", re.MULTILINE)
INNER = {
    "app.core.notification.mute_times.ROUNDS_MAX",  # of a calculation
    "app.cli.board_client.SECONDS_MAX",  # as the next
    "app.cli.bridge_client.SECONDS_MAX",  # that the command line waits for an answer
}


class Row(NamedTuple):
    """A line of a table."""

    limit: str
    default: str
    where: str
    above: str
    counted: str


def _rows() -> list[Row]:
    lines = (ROOT / "docs" / "LIMITS.md").read_text().splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("| ")
    ]
    return [
        Row(limit, default, where.strip("`"), above, counted)
        for limit, default, where, above, counted in cells
        if limit != "limit"
    ]


ROWS = _rows()


@pytest.mark.parametrize("row", ROWS, ids=[row.where for row in ROWS])
def test_a_limit_is_what_the_code_has(row: Row) -> None:
    """Its default stands where the table says."""
    module, _, name = row.where.rpartition(".")
    whole = {"bounds": Bounds(), "Limits": Limits()}.get(module)
    found = getattr(whole or import_module(module), name)

    assert str(found) == row.default


def test_all_limits_are_told() -> None:
    """What the code calls a maximum, or a policy bounds, stands in the table, once."""
    told = [row.where for row in ROWS]
    code = {f"bounds.{name}" for name in Bounds.model_fields} | {
        f"Limits.{one.name}" for one in fields(Limits)
    }
    for folder in ("app", "agents", "models"):
        for path in (ROOT / folder).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            if not module.startswith(("app.demo", "app.render.demo_text")):
                code |= {f"{module}.{name}" for name in _CONSTANT.findall(path.read_text())}

    assert sorted(told) == sorted(set(told))
    assert code - set(told) - INNER == set()


def test_what_is_counted_has_the_name_of_a_reason() -> None:
    """Reasons are those of the closed list, and those of the bridge that are answers of their own."""
    counted = [
        part for row in ROWS for part in re.findall(r"(?:deadletters\.|bridge `)(\w+)", row.counted)
    ]

    assert set(counted) <= {*Reason, "too_slow", "too_much", "bodies_wait", "small_chunks"}


def test_limits_are_tested() -> None:
    """Each bound of a policy, and each constant that the tables of tests name, is one that is told of."""
    tested = {name.split(",")[0] for name in (*ENGINE_LIMITS, *BRIDGE_LIMITS, *POLICY_LIMITS)}
    told = {
        row.where if row.where.startswith("bounds.") else row.where.rpartition(".")[2]
        for row in ROWS
    }

    assert tested <= told
    assert {f"bounds.{name}" for name in Bounds.model_fields} <= tested


def test_what_is_held_is_measured() -> None:
    """Everything that the state holds by key has a metric, and so can be seen to come near its bound."""
    held = {
        name
        for name, value in vars(PartitionState()).items()
        if isinstance(value, dict | list) and name[0] != "_"
    }

    assert set(metrics.KINDS) == held - {
        "current",
        "quarantined",
        "dirty",
        "touched",
        "noted",
        "kin",
        "followers",
    }
