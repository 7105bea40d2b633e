"""The table of an incident's life, every pair of state and cause."""

import pytest

from app.core.state.lifecycle import Cause, advance
from models.incident import State
from models.reason import BadInput

# Rows are states, columns causes: fired, ended, acknowledge, resolve, reopen, close, fired anew,
# handed over, forgotten, quiet, still firing.
TABLE = """
open          open          resolved  acknowledged  resolved  -     -       open  open  -     -       -
acknowledged  acknowledged  resolved  acknowledged  resolved  -     -       open  open  open  -       -
resolved      open          resolved  -             -         open  closed  -     -     -     closed  open
closed        -             -         -             -         -     -       -     -     -     -       -
"""
CASES = [
    (State(row.split()[0]), cause, after)
    for row in TABLE.strip().splitlines()
    for cause, after in zip(Cause, row.split()[1:], strict=True)
]


@pytest.mark.parametrize(("state", "root_cause", "after"), CASES)
def test_every_pair(state: State, cause: Cause, after: str) -> None:
    """What the table says happens; everything else is refused."""
    try:
        found = str(advance(state, cause))
    except BadInput:
        found = "-"

    assert found == after
