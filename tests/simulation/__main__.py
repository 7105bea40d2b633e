"""`python -m tests.simulation`: many seeds, or one of them, or a part of one.

Exit status 1 when a promise was broken; the last line counts.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import replace
from os import cpu_count

from rich.progress import track

from tests.simulation.check import check
from tests.simulation.plan import Plan, draw
from tests.simulation.run import run

CHUNK = 250  # seeds that a process is given at a time
SHOWN = 5  # failing seeds that are shrunk and shown


def failure(plan: Plan) -> str | None:
    """What is broken after a run of the plan, or None."""
    try:
        check(plan, run(plan))
    except Exception as error:  # noqa: BLE001  whatever it is, the seed has found it
        return f"{type(error).__name__}: {error}"[:2000]
    return None


def fails(plan: Plan) -> bool:
    """Whether something is broken after a run of the plan."""
    return failure(plan) is not None


def shrink(plan: Plan, keep: list[int], still: Callable[[Plan], bool] = fails) -> list[int]:
    """The smallest part of the steps that still fails, found by leaving out ever smaller pieces."""
    size = max(len(keep) // 2, 1)
    while True:
        for start in range(0, len(keep), size):
            less = keep[:start] + keep[start + size :]
            if still(part(plan, less)):
                keep = less
                break
        else:
            if size == 1:
                return keep
            size //= 2


def part(plan: Plan, keep: list[int]) -> Plan:
    """The plan with only these of its steps."""
    return replace(plan, steps=tuple(plan.steps[number] for number in keep))


def _failures(seeds: range) -> list[int]:
    return [seed for seed in seeds if fails(draw(seed))]


def _found(pool: Executor, chunks: list[range], at_once: int) -> Iterator[list[int]]:
    for start in range(0, len(chunks), at_once):
        yield from pool.map(_failures, chunks[start : start + at_once])


def _many(first: int, count: int, workers: int, *, brief: bool) -> int:
    began = time.monotonic()
    size = CHUNK // 10 if brief else CHUNK
    chunks = [
        range(start, min(start + size, first + count))
        for start in range(first, first + count, size)
    ]
    failed: list[int] = []
    with ProcessPoolExecutor(workers) as pool:
        found = _found(pool, chunks, at_once=workers if brief else len(chunks))
        for chunk, some in zip(
            chunks,
            track(found, "simulating", len(chunks), disable=not sys.stderr.isatty()),
            strict=True,
        ):
            failed += some
            if failed and brief:
                count = chunk.stop - first
                break
    for seed in failed[:SHOWN]:
        plan = draw(seed)
        keep = list(range(len(plan.steps)))
        keep = keep if brief else shrink(plan, keep)
        steps = ",".join(str(number) for number in keep)
        print(f"seed {seed}: {failure(part(plan, keep))}")
        print(f"  again: python -m tests.simulation --seed {seed} --steps {steps or 'none'}")
    print(f"seeds {first} to {first + count - 1} in {time.monotonic() - began:.0f} s")
    print(f"{count - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def _one(seed: int, steps: str) -> int:
    plan = draw(seed)
    if steps:
        plan = part(plan, [int(number) for number in steps.split(",") if number != "none"])
    print(plan.world)
    for number, step in enumerate(plan.steps):
        print(f"{number:4} after {step.wait_s} s: {step.kind} {step.detail}")
    try:
        check(plan, run(plan))
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
        print("0 passed, 1 failed")
        raise
    print("1 passed, 0 failed")
    return 0


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--workers", type=int, default=cpu_count() or 1, help="processes")
    parser.add_argument(
        "--seed", type=int, help="one seed: say what happens, and show the error's trace"
    )
    parser.add_argument(
        "--steps", default="", help="of that seed, only these steps: numbers with commas between"
    )
    parser.add_argument(
        "--brief",
        action="store_true",
        help="stop soon after a seed has failed, and do not shrink it",
    )
    asked = parser.parse_args()
    if asked.seed is not None:
        return _one(asked.seed, asked.steps)
    return _many(asked.first, asked.seeds, asked.workers, brief=asked.brief)


if __name__ == "__main__":
    sys.exit(main())
