"""`python -m tests.planted`: plant each bug in a copy of the tree, and see that the battery catches it.

Exit status 1 when a bug was missed. The last line counts: passed are the bugs that were caught,
failed those that were missed, those that could not be planted, and those whose check fails without
them.
"""

import argparse
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.planted.battery import Verdict, copy_tree, run_check
from tests.planted.patches import Bug, DoesNotApply, apply, bugs


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a bug."""

    bug: Bug
    caught: bool
    said: str
    seconds: float


def plant(bug: Bug, pristine: Path, folder: Path) -> Result:
    """Plant a bug in a tree of its own, and run its check there."""
    tree = folder / bug.name
    shutil.copytree(pristine, tree, symlinks=True)
    try:
        apply(bug, tree)
        verdict = run_check(bug.check, tree)
    except DoesNotApply as problem:
        return Result(bug, False, f"NOT PLANTED: {problem}", 0.0)
    finally:
        shutil.rmtree(tree)
    if verdict.failed:
        return Result(bug, True, verdict.said, verdict.seconds)
    return Result(bug, False, f"MISSED: {verdict.said}", verdict.seconds)


def run_all(chosen: list[Bug], workers: int) -> list[Result]:
    """Each check on the tree as it is, then each bug whose check is sound."""
    checks = sorted({bug.check for bug in chosen})
    console = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory(prefix="tocsin-planted-") as name,
        ThreadPoolExecutor(workers) as pool,
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        pristine = Path(name) / "pristine"
        pristine.mkdir()
        copy_tree(pristine)
        done = progress.add_task("planting bugs", total=len(checks) + len(chosen))

        def check(command: str) -> Verdict:
            verdict = run_check(command, pristine)
            progress.advance(done)
            return verdict

        def one(bug: Bug) -> Result:
            verdict = sound[bug.check]
            if not verdict.passed:
                result = Result(bug, False, f"WITHOUT IT TOO: {verdict.said}", verdict.seconds)
            else:
                result = plant(bug, pristine, Path(name))
            progress.advance(done)
            return result

        sound = dict(zip(checks, pool.map(check, checks), strict=True))
        return list(pool.map(one, chosen))


def show(results: list[Result]) -> None:
    """The table, and the line that counts."""
    table = Table("bug", "caught by", "seconds", box=None, pad_edge=False)
    for result in results:
        check = (
            result.bug.check.removeprefix("python -m ").replace("pytest ", "").replace("-x ", "")
        )
        table.add_row(
            result.bug.name, check if result.caught else result.said, f"{result.seconds:.0f}"
        )
    Console(width=None if sys.stdout.isatty() else 200, markup=False).print(table)
    caught = sum(result.caught for result in results)
    print(f"{caught} passed, {len(results) - caught} failed")


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these, such as 07 or 07-no-claim")
    parser.add_argument(
        "--workers", type=int, default=cpu_count() or 1, help="bugs planted at a time"
    )
    asked = parser.parse_args()
    chosen = [bug for bug in bugs() if not asked.names or bug.name.startswith(tuple(asked.names))]
    results = run_all(chosen, asked.workers)
    show(results)
    return 0 if chosen and all(result.caught for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
