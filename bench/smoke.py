"""How much work each kind of alert is to the pure modules, counted: `make bench-smoke`.

Counts bytecodes, Python calls and calls into C of a repeat, a joining and an opening alert and the
others, and of reading a raw value. The same tree and Python give the same counts on any machine,
however busy. `bench/counts.json` has the counts of before: one that has grown by a tenth fails.
Whoever means it to grow writes the file anew (`--write`) and says why in the commit. Another Python
has other bytecodes: there nothing is judged. Times are printed too, as multiples of `orjson.loads`
of the same records, and are never judged. Not counted are allocations.
"""

import argparse
import json
import platform
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from app.core.engine import Engine
from app.files import policy_file
from app.intake.normalise import entries_from
from app.intake.raw_values import RawValues
from app.intake.records import Intake
from bench.alert_kinds import CHECKPOINT, START_MS, figures, made
from bench.workload import Mix, workload

PYTHON = "3.11"  # whose bytecodes are counted
FILE = Path(__file__).parent / "counts.json"
MIX = Mix(6_000, new=0.1, ended=0.02, components=300)
TIMED = Mix(12_000, new=0.1, ended=0.02)
WARM_UP = 500  # records before the first that is counted
GROWTH = 1.1

Counts = dict[str, float]  # of one alert, by what is counted
Kinds = dict[str, Counts]


class Counter:
    """Counts what runs in `counting`, by kind of alert."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._alerts: dict[str, int] = defaultdict(int)
        self._now: dict[str, int] = defaultdict(int)

    @contextmanager
    def counting(self) -> Iterator[Callable[[str], None]]:
        """Count until the block names the kind that it was of."""

        def end(kind: str) -> None:
            sys.settrace(None)
            sys.setprofile(None)
            for name, number in self._now.items():
                self._sums[kind][name] += number
            self._alerts[kind] += 1

        self._now.clear()
        sys.setprofile(self._on_profile)
        sys.settrace(self._on_call)
        try:
            yield end
        finally:
            sys.settrace(None)
            sys.setprofile(None)

    def means(self) -> Kinds:
        """What one alert of each kind took on average."""
        return {
            kind: {name: round(number / self._alerts[kind], 1) for name, number in sums.items()}
            for kind, sums in sorted(self._sums.items())
        }

    def _on_call(self, frame: FrameType, _: str, __: Any) -> Any:
        self._now["calls"] += 1
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._on_opcode

    def _on_opcode(self, _: FrameType, event: str, __: Any) -> Any:
        if event == "opcode":
            self._now["bytecodes"] += 1
        return self._on_opcode

    def _on_profile(self, _: FrameType, event: str, __: Any) -> None:
        if event == "c_call":
            self._now["c_calls"] += 1


def counted() -> Kinds:
    """The counts of this tree under this Python."""
    counter = Counter()
    _count_engine(counter)
    _count_intake(counter)
    return counter.means()


def _count_engine(counter: Counter) -> None:
    engine = Engine(0, policy_file.load_policy())
    for number, (kind, record) in enumerate(made(MIX, START_MS)):
        if number < WARM_UP:
            engine.apply((record,))
            continue
        incidents = len(engine.state.incidents)
        with counter.counting() as end:
            engine.apply((record,))
            end(_kind_of(kind, opened=len(engine.state.incidents) > incidents))
        if number % CHECKPOINT == CHECKPOINT - 1:
            engine.checkpoint()


def _kind_of(kind: str, *, opened: bool) -> str:
    if kind == "new":
        return "opening" if opened else "joining"
    return kind


def _count_intake(counter: Counter) -> None:
    policy, intake, values = policy_file.load_policy(), Intake(10**9), RawValues()
    values.begin(START_MS, policy)
    for number, raw in enumerate(workload(MIX, START_MS)):
        if raw.kind == "ended":
            continue
        with counter.counting() as end:
            if values.recognise(raw.value) is not None:
                end("raw value, known")
                continue
            records, _ = intake.records(entries_from(raw.value), START_MS, policy)
            values.remember(raw.value, records[0], 0)
            if number >= WARM_UP:
                end("raw value, new")


def grown(now: Kinds, before: Kinds) -> list[str]:
    """A line for each count that is more than a tenth above the one before, or was not there."""
    lines = []
    for kind, counts in now.items():
        for name, number in counts.items():
            known = before.get(kind, {}).get(name, 0.0)
            if number > known * GROWTH:
                lines.append(f"{kind}: {number:g} {name}, were {known:g}, may be a tenth more")
    return lines


def report(now: Kinds, before: Kinds) -> Iterator[str]:
    """The table: each kind's counts, and those of before behind them."""
    for kind, counts in now.items():
        known: Mapping[str, float] = before.get(kind, {})
        cells = [f"{name} {number:g} ({known.get(name, 0):g})" for name, number in counts.items()]
        yield f"{kind:18} {', '.join(sorted(cells))}"


def main() -> int:
    """Count, compare, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="these are the counts from now on")
    arguments = parser.parse_args()
    times = figures(made(TIMED, START_MS))
    limit = times.pop("orjson.loads")
    ratios = {kind: round(time_us / limit, 1) for kind, time_us in times.items()}
    if not platform.python_version().startswith(f"{PYTHON}."):
        print(f"skipped: bytecodes are those of Python {PYTHON}, this is {sys.version.split()[0]}")
        print(json.dumps({"counts": None, "times_of_orjson_loads": ratios}))
        return 0
    before = json.loads(FILE.read_text()) if FILE.exists() else {}
    now = counted()
    print("\n".join(report(now, before)))
    if arguments.write:
        FILE.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
        before = now
    lines = grown(now, before)
    print("".join(f"grown: {line}\n" for line in lines), end="", file=sys.stderr)
    if lines:
        print(f"meant? `python {sys.argv[0]} --write`, and why in the commit", file=sys.stderr)
    print(json.dumps({"counts": now, "times_of_orjson_loads": ratios}))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
