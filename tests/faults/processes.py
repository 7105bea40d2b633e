"""Tocsin processes under a supervisor.

Whatever ends one, it is started again, as systemd or Kubernetes would.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.engines import ROOT, wait_until

RESTART_SECONDS = 0.2  # between an end and the next start
STOP_SECONDS = 60
_TAKEN = re.compile(r"partition (\d+): taken over at offset (\d+)")


@dataclass(slots=True)
class Run:
    """One life of a process. Times are by the wall clock, in seconds; 0 is not yet."""

    started: float
    ready: float = 0.0
    ended: float = 0.0
    status: int | None = None


class Supervised:
    """A process that is started again until it is told to stop.

    What it complains of stands in `complaints`.
    """

    def __init__(
        self, folder: Path, name: str, arguments: Sequence[str], settings: dict[str, str]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.arguments = list(arguments)  # of python; may be changed for the next start
        self.complaints = folder / f"{name}.log"
        self.runs: list[Run] = []
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None
        self._wanted = threading.Event()
        self._wanted.set()
        self._stopping = False
        self._thread = threading.Thread(target=self._supervise, name=name, daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether its newest run has said that it is ready, and has not ended."""
        return bool(self.runs and self.runs[-1].ready and not self.runs[-1].ended)

    @property
    def deaths(self) -> list[int]:
        """The exit statuses of the runs that ended; negative ones are signals."""
        return [run.status for run in self.runs if run.status is not None]

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def wait_ready(self, runs: int = 1) -> None:
        """Return when it is ready, in its `runs`-th life or later."""
        wait_until(
            lambda: len(self.runs) >= runs and self.ready,
            f"{self.name} is ready; see {self.complaints}",
        )

    def wait_runs(self, runs: int) -> None:
        """Return when its `runs`-th life has begun."""
        wait_until(lambda: len(self.runs) >= runs, f"{self.name} is started")

    def has_died(self, deaths: int) -> bool:
        """Whether it has ended so many times."""
        return len(self.deaths) >= deaths

    def wait_death(self, deaths: int) -> None:
        """Return when it has ended so many times."""
        wait_until(lambda: len(self.deaths) >= deaths, f"{self.name} ends; see {self.complaints}")

    def kill(self, *, again: bool = True) -> float:
        """kill -9; return when that was. It is started again at once, or by `start`."""
        if not again:
            self._wanted.clear()
        return self._signal(signal.SIGKILL)

    def start(self) -> None:
        """Start it again after a `kill` or an `end` that was to last."""
        self._wanted.set()

    def pause(self) -> float:
        """SIGSTOP."""
        return self._signal(signal.SIGSTOP)

    def resume(self) -> float:
        """SIGCONT."""
        return self._signal(signal.SIGCONT)

    def end(self) -> float:
        """SIGTERM, as an operator would.

        It has to end well. Returns the seconds that it took; `start` starts it again.
        """
        self._wanted.clear()
        deaths = len(self.deaths)
        told = self._signal(signal.SIGTERM)
        wait_until(lambda: len(self.deaths) > deaths, f"{self.name} ends; see {self.complaints}")
        assert self.deaths[-1] == 0, (
            f"{self.name} ended with status {self.deaths[-1]}; see {self.complaints}"
        )
        return self.runs[-1].ended - told

    def stop(self) -> None:
        """Stop it for good, however it is."""
        self._stopping = True
        self._wanted.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(STOP_SECONDS)

    def taken_over(self) -> list[int]:
        """The partitions that it said it took over, in order, over all its lives."""
        return [int(found[1]) for found in _TAKEN.finditer(self.told())]

    def told(self) -> str:
        """What it has complained of so far."""
        return self.complaints.read_text(errors="replace") if self.complaints.exists() else ""

    def _signal(self, number: signal.Signals) -> float:
        assert self._process is not None
        at = time.time()
        self._process.send_signal(number)
        return at

    def _supervise(self) -> None:
        environment = os.environ | {"TOCSIN_PORT": "0"} | self._settings
        while not self._stopping:
            self._wanted.wait()
            if self._stopping:
                return
            run = Run(time.time())
            with self.complaints.open("ab") as complaints:
                self._process = subprocess.Popen(
                    [sys.executable, *self.arguments],
                    stdout=subprocess.PIPE,
                    stderr=complaints,
                    text=True,
                    env=environment,
                    cwd=ROOT,
                )
            self.runs.append(run)
            assert self._process.stdout is not None
            with self._process.stdout as output:
                if output.readline():
                    run.ready = time.time()
                output.read()
            run.status = self._process.wait()
            run.ended = time.time()
            if not self._stopping:
                time.sleep(RESTART_SECONDS)


@contextmanager
def stopped_at_last(*processes: Supervised) -> Iterator[None]:
    """Stops the processes at the end, whatever happens."""
    try:
        yield
    finally:
        for process in processes:
            process.stop()
