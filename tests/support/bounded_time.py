"""A limit on time for what could take for ever: it fails instead."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 20  # what takes a second at the worst here may take so long on a busy machine


@contextmanager
def in_time() -> Iterator[None]:
    """Fail, rather than hang, when the body takes too long.

    Python's `re` and loops of Python let signals through.
    """

    def stop(*_: object) -> None:
        raise AssertionError(f"not within {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
