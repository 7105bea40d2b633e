"""The same journal gives the same bytes in every process.

Nothing hangs on the order of a set, which is another in each.
"""

import os
import subprocess
import sys

from tests.support.engines import ROOT

SECONDS_MAX = 120


def test_two_processes_say_the_same() -> None:
    """Python hashes texts differently in each process.

    Effects and state are the same bytes all the same.
    """
    program = "from tests.support.effects_digest import digest; print(digest())"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment | {"PYTHONHASHSEED": seed},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    digests = [process.communicate(timeout=SECONDS_MAX)[0] for process in running]

    assert [process.returncode for process in running] == [0, 0]
    assert digests[0] == digests[1]
