"""For all tests: what stands in memory once they are collected is nothing that a garbage collection should look at again."""

import gc


def pytest_collection_finish() -> None:
    """Set aside the modules and tests: a full collection would take some 0.3 s, and there are hundreds in a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)  # Python has 700, at which some 6 % of the time go into collections
