"""A progress bar on a terminal's stderr, and nothing elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Bar:
    """Moves a progress bar on."""

    def __init__(self, shown: Progress, task: TaskID) -> None:
        self._shown = shown
        self._task = task

    def advance(self, number: int) -> None:
        """So many more are done."""
        self._shown.advance(self._task, number)


@contextmanager
def progress(what: str, total: int) -> Iterator[Bar]:
    """A bar for so many records, which goes away when they are done."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as shown:
        yield Bar(shown, shown.add_task(what, total=total))
