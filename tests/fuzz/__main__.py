"""`python -m tests.fuzz`: each parser's property under atheris, for its share of the time; what it finds is kept.

    make fuzz SECONDS=60                               # all parsers
    make fuzz SECONDS=600 ARGS="policy journal"        # some
    python -m tests.fuzz --replay policy FILE          # an input that was found, without atheris

What was worth trying stays in .fuzz/corpus, and the next run goes on from there. The last line
counts the parsers in which nothing was found (passed), and the others (failed).
"""

import argparse
import contextlib
import hashlib
import os
import random
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from tests.fuzz.changes import FIRST, JSON, TOKENS, change, splice

FOLDER = Path(".fuzz")
INPUT_SECONDS = 25  # for one input; one that takes longer is a finding
MEMORY_MB = 3072
BYTES_MAX = 65_536  # of an input
LEAVE_SECONDS = 60.0  # for a run to end when its time is over

_TRIED = re.compile(r"stat::number_of_executed_units:\s+(\d+)")


@dataclass(frozen=True, slots=True)
class Result:
    """What a run tried and found."""

    name: str
    tried: int
    seconds: float
    status: int
    found: tuple[Path, ...]

    @property
    def good(self) -> bool:
        """Whether it came to its end and found nothing."""
        return self.status == 0 and not self.found and self.tried > 0


def main() -> int:
    """Read the arguments and run."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=style
    )
    parser.add_argument("names", nargs="*", help="only these parsers")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all of them together (60)")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the dice; 0 throws others each time (0)"
    )
    parser.add_argument(
        "--replay", nargs=2, metavar=("NAME", "FILE"), help="try one input, and show its error"
    )
    asked = parser.parse_args()
    if asked.replay:
        name, file = asked.replay
        _properties()[name](Path(file).read_bytes())
        print("1 passed, 0 failed")
        return 0
    try:
        import atheris  # noqa: PLC0415  not everybody has it
    except ImportError:
        print(
            "there is no atheris here: pip install '.[fuzz]' (wheels for Linux on x86-64)",
            file=sys.stderr,
        )
        return 2
    (FOLDER / "found").mkdir(parents=True, exist_ok=True)
    with (
        _output_to(FOLDER / "prepared.log"),
        atheris.instrument_imports(include=["app", "models", "agents"]),
    ):
        known = _properties()
    unknown = [name for name in asked.names if name not in known]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    names = asked.names or list(known)
    return _show([_run(atheris, name, asked.seconds / len(names), asked.seed) for name in names])


def _properties() -> dict[str, Any]:
    from tests.fuzz.properties import PROPERTIES  # noqa: PLC0415  when atheris has prepared what it imports

    return dict(PROPERTIES)


def _run(atheris: Any, name: str, seconds: float, seed: int) -> Result:
    """Try a parser in a process of its own."""
    from tests.fuzz.seeds import SEEDS  # noqa: PLC0415  as the properties

    corpus, seeds, log = (FOLDER / kind / name for kind in ("corpus", "seeds", "log"))
    for folder in (corpus, seeds, log.parent):
        folder.mkdir(parents=True, exist_ok=True)
    for data in SEEDS[name]():
        (seeds / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    dictionary = FOLDER / "tokens"
    dictionary.write_text("".join(f'"{_escaped(token)}"\n' for token in TOKENS if token))
    before, began = set(_findings(name)), time.monotonic()
    child = os.fork()
    if child == 0:
        _speak_to(log)
        limits = (f"-max_total_time={max(round(seconds), 1)}", f"-seed={seed}")
        _fuzz(atheris, name, limits, dictionary, (corpus, seeds))
    status = _wait(child, seconds + LEAVE_SECONDS)
    counted = _TRIED.findall(log.read_text(errors="replace"))
    found = tuple(path for path in _findings(name) if path not in before)
    return Result(name, int(counted[-1]) if counted else 0, time.monotonic() - began, status, found)


def _fuzz(
    atheris: Any, name: str, limits: tuple[str, ...], dictionary: Path, folders: tuple[Path, Path]
) -> None:
    """Hand the process over to atheris, which ends it."""
    arguments = [
        *limits,
        f"-timeout={INPUT_SECONDS}",
        f"-report_slow_units={INPUT_SECONDS}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={BYTES_MAX}",
        f"-dict={dictionary}",
        f"-artifact_prefix={FOLDER / 'found' / name}-",
        "-print_final_stats=1",
    ]

    def changed(data: bytes, size_max: int, seed: int) -> bytes:
        """JSON is changed as JSON, and everything as bytes too."""
        pick = random.Random(seed).choice
        way = pick(range(3))
        if way == 0 and name in JSON and data[:1] in FIRST:
            with contextlib.suppress(orjson.JSONDecodeError):
                return orjson.dumps(change(pick, orjson.loads(data)))[:size_max]
        if way == 1:
            return splice(pick, data)[:size_max]
        return bytes(atheris.Mutate(data, size_max))

    atheris.Setup(
        ["fuzz", *arguments, *map(str, folders)], _properties()[name], custom_mutator=changed
    )
    atheris.Fuzz()


def _wait(child: int, seconds: float) -> int:
    """The exit status of a process, which is ended when it does not end by itself."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    os.kill(child, 9)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _findings(name: str) -> list[Path]:
    return [
        path
        for kind in ("crash", "timeout", "oom")
        for path in sorted(FOLDER.glob(f"found/{name}-{kind}-*"))
    ]


@contextlib.contextmanager
def _output_to(file: Path) -> Iterator[None]:
    """What this process says, and what libraries in it say, goes to a file."""
    sys.stdout.flush()
    kept = os.dup(1), os.dup(2)
    _speak_to(file)
    try:
        yield
    finally:
        for number, one in enumerate(kept, start=1):
            os.dup2(one, number)
            os.close(one)


def _speak_to(file: Path) -> None:
    with file.open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


def _escaped(token: bytes) -> str:
    return "".join(
        chr(one) if 32 < one < 127 and one not in b'"\\' else f"\\x{one:02x}" for one in token
    )


def _show(results: list[Result]) -> int:
    table = Table("parser", "inputs", "seconds", "found", box=None, pad_edge=False)
    for one in results:
        said = (
            "nothing"
            if one.good
            else f"{len(one.found)}"
            if one.found
            else f"it ended with status {one.status}"
        )
        table.add_row(one.name, f"{one.tried:,}", f"{one.seconds:.0f}", said)
    Console(width=None if sys.stdout.isatty() else 120, markup=False).print(table)
    for one in results:
        for path in one.found:
            print(f"see what it is: python -m tests.fuzz --replay {one.name} {path}")
        if not one.good and not one.found:
            print(f"see what it said: {FOLDER / 'log' / one.name}")
    failed = sum(not one.good for one in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
