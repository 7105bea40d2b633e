"""Explanations of what really happened: the founding organisation's bad day on eight partitions, and alerts that woke nobody.

What is expected stands in `tests/explanations/`, the command above a line of dashes and what it
prints below. `python -m tests.support.explanations` writes it anew: read the difference before it is
committed.
"""

from pathlib import Path

import pytest

from tests.support.explanations import CASES, HERE, expected_of, text_of


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_explanations(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is what stands in its file."""
    monkeypatch.chdir(HERE.parent)  # the policy file's name is shown as short as the folder allows
    scenario, words, text = expected_of(path)

    assert text_of(scenario, words) == text
