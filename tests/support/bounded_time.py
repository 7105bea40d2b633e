"""A limit on processor time for what could take for ever: it fails instead."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 20  # of this process; what is bounded here takes a second at the worst


@contextmanager
def in_time() -> Iterator[None]:
    """Fail, rather than hang, when the body takes too long.

    Other processes do not count. Python's `re` and loops of Python let signals through.
    """

    def stop(*_: object) -> None:
        raise AssertionError(f"not within {SECONDS} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
