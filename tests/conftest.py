"""For all tests.

A journal that was stormed; and what stands in memory once they are collected is no matter of
collections.
"""

import gc
from pathlib import Path

import pytest

from tests.support.storm import leave_journal


def pytest_collection_finish() -> None:
    """Set aside the modules and tests.

    A full collection would take some 0.3 s, and there are hundreds in a run.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)  # Python has 700, at which some 6 % of the time go into collections


@pytest.fixture(scope="session")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an embedded journal, after a storm with kill -9 in it."""
    folder = tmp_path_factory.mktemp("stormed")
    leave_journal(folder)
    return folder
