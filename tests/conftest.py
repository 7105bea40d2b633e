"""For all tests.

How many examples properties try, what is set right after each test, and a journal that was stormed.
"""

import gc
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.example_counts import examples
from tests.support.storm import leave_journal

# No test fails because the machine is busy, and each run tries the same examples.
settings.register_profile(
    "tocsin",
    max_examples=examples(20),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tocsin")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what hypothesis tries as `sampled`."""
    for item in items:
        if getattr(getattr(item, "function", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.sampled)


def pytest_collection_finish() -> None:
    """Set aside the modules and tests.

    A full collection would take some 0.3 s, and there are hundreds in a run.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)  # Python has 700, at which some 6 % of the time go into collections


@pytest.fixture(autouse=True)
def _logging_stays_as_it_was() -> Iterator[None]:
    """A command turns logging on for its process; the next test finds it as this one did."""
    loggers = [logging.getLogger(name) for name in (None, "tocsin", "asyncio")]
    before = [
        (logger, logger.level, [*logger.handlers], [*logger.filters], logger.propagate)
        for logger in loggers
    ]
    yield
    for logger, level, handlers, filters, propagate in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.filters[:] = filters
        logger.propagate = propagate
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="session")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an embedded journal, after a storm with kill -9 in it."""
    folder = tmp_path_factory.mktemp("stormed")
    leave_journal(folder)
    return folder
