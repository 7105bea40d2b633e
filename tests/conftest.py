"""For all tests.

How many examples properties try, what is set right after each test, and a journal that was stormed.
"""

import fcntl
import gc
import logging
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from app.logs import InertFormatter
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


_LOGGERS = [logging.getLogger(name) for name in (None, "tocsin", "asyncio")]
_LEVELS = [logger.level for logger in _LOGGERS]


@pytest.fixture(autouse=True)
def _logging_is_off() -> None:
    """A command turns logging on for its process; each test begins as if none had been run."""
    logging.disable(logging.NOTSET)
    for logger, level in zip(_LOGGERS, _LEVELS, strict=True):
        logger.setLevel(level)
        logger.filters.clear()
        for handler in [
            one for one in logger.handlers if isinstance(one.formatter, InertFormatter)
        ]:
            logger.removeHandler(handler)


@pytest.fixture(scope="session")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an embedded journal, after a storm with kill -9 in it. Nobody may change it.

    The processes of a run share it: the first one that needs it makes it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "stormed"
    with (shared / "stormed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "stormed.whole").exists():
            folder.mkdir()
            leave_journal(folder)
            (shared / "stormed.whole").touch()
    return folder
