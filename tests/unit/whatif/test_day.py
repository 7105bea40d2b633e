"""What other policies would have spared people on the bad day, and what they would have missed, as people read it."""

import io
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from app.core.rules.compiled_policy import CompiledPolicy
from app.render.whatif_text import show_comparison
from tests.support.bad_day import bad_day_log
from tests.support.whatif_runs import changed_policy, compared, correlations, played
from tests.support.whole_policy import POLICY

EXPECTED = Path(__file__).parents[2] / "whatif"
NOTIFY: dict[str, Any] = POLICY.document["notify"]

ALONE = changed_policy(
    dependencies=POLICY.document["dependencies"][1:]
)  # agents do not depend on Ollama

CHANGES = {
    "agents-down-from-five": changed_policy(correlations=correlations(agents_down=5)),
    "several-p1-from-three": changed_policy(correlations=correlations(several_p1=3)),
    "p0-waits-three-minutes": changed_policy(
        notify=NOTIFY | {"group_wait": {"P0": "3m", "P1": "3m", "P2": "30s", "P3": "30s"}}
    ),
    "p2-in-business-hours": changed_policy(notify=NOTIFY | {"hours": ["P2", "P3"]}),
    "no-dependency-on-ollama": ALONE,
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_pages_that_it_saves_and_misses(name: str) -> None:
    """Exactly these.

    To write the files anew after a change that is meant: TOCSIN_WRITE=1 pytest
    tests/unit/whatif/test_day.py.
    """
    found = told(CHANGES[name])

    file = EXPECTED / f"{name}.txt"
    if os.environ.get("TOCSIN_WRITE"):
        file.write_text(found)
    assert found == file.read_text()


def test_two_policies() -> None:
    """Where agents stand alone, a threshold that the day does not reach has each of them told on its own, or in a digest."""
    policy = CompiledPolicy(ALONE.document | {"correlations": correlations(agents_down=50)})

    found = told(policy, ALONE)

    file = EXPECTED / "agents-alone-from-fifty.txt"
    if os.environ.get("TOCSIN_WRITE"):
        file.write_text(found)
    assert found == file.read_text()


def told(policy: CompiledPolicy, against: CompiledPolicy | None = None) -> str:
    """The comparison with what happened, or with another policy; all of it, as it is printed."""
    paper = io.StringIO()
    show_comparison(
        compared(played(bad_day_log(), 8, policy, against)),
        Console(file=paper, width=120, color_system=None),
        verbose=True,
    )
    return "".join(f"{line.rstrip()}\n" for line in paper.getvalue().splitlines())


def test_the_same_policy_says_that_nothing_is_different() -> None:
    """In so many words."""
    assert told(POLICY).startswith("\nNothing would have been different.\n")
