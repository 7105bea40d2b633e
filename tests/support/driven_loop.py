"""An event loop whose time passes only when a test says so. Sockets are real.

Nothing that a test asserts of a timer depends on how busy the machine is.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class DrivenLoop(asyncio.SelectorEventLoop):
    """A loop that stands at 0 seconds until `advance` is called."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__()

    def time(self) -> float:
        """The time that the test gave, in seconds."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Let time pass. Timers that are due run when the loop runs next."""
        self._now_s += seconds


def run_driven(main: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns on a driven loop."""
    with asyncio.Runner(loop_factory=DrivenLoop) as runner:
        return runner.run(main)


async def pass_time(seconds: float) -> None:
    """Let time pass on the driven loop that this runs on, and let the timers run that are due."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, DrivenLoop)
    loop.advance(seconds)
    for _ in range(3):
        await asyncio.sleep(0)
