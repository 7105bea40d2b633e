"""The table of docs/RELIABILITY.md.

A row for each fault, written by the run that made its figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.proof import Proof
from tests.support.engines import ROOT

PAGE = ROOT / "docs" / "RELIABILITY.md"
BEGIN, END = "<!-- made by make faults ARGS=--record -->", "<!-- end -->"
HEAD = ("fault", "done", "times", "alerts, commands", "found", "`make faults ARGS=...`")


@dataclass(slots=True)
class Row:
    """What a fault did. A row that is not filled in belongs to a test that failed."""

    fault: str
    test: str
    done: str = ""
    times: int = 0
    load: str = ""
    found: list[str] = field(default_factory=list)

    def fill(self, done: str, times: int, proof: Proof | None, *found: str) -> None:
        """Say what was done, how often, and what came of it."""
        self.done, self.times = done, times
        if proof is not None:
            self.load = f"{proof.alerts:,}, {proof.commands:,}"
            seen = f"nothing lost; {proof.effects:,} effects, each once"
            self.found = [
                f"{seen}; {proof.repeats} repeats that the rule drops, {proof.resent} that the journal drops"
            ]
        self.found += found

    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        found = "; ".join(self.found) if self.done else "FAILED"
        return (self.fault, self.done, str(self.times), self.load, found, f'`"-k {self.test}"`')


class Table:
    """All rows of a run."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def text(self) -> str:
        """In Markdown."""
        return _markdown([row.cells() for row in self.rows])

    def record(self) -> None:
        """Put the rows that were filled in onto the page, in the place of what it said of these faults."""
        before, rest = PAGE.read_text().split(BEGIN)
        old, after = rest.split(END)
        rows = {
            cells[0]: cells for cells in map(_cells, old.splitlines()) if len(cells) == len(HEAD)
        }
        for row in self.rows:
            if row.done:
                rows[row.fault] = row.cells()
        kept = [
            cells for name, cells in rows.items() if name != HEAD[0] and not name.startswith("---")
        ]
        PAGE.write_text(f"{before}{BEGIN}\n{_markdown(kept)}\n{END}{after}")


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (HEAD, ["---"] * len(HEAD), *rows))


def counted(answers: Mapping[str, int]) -> str:
    """How often the bridge answered what, beside what it acknowledged."""
    return (
        ", ".join(f"{number} times {answer}" for answer, number in sorted(answers.items()))
        or "nothing but 200"
    )


def spread(seconds: Sequence[float]) -> str:
    """The median and the worst of some durations."""
    ordered = sorted(seconds)
    return f"p50 {ordered[len(ordered) // 2]:.1f} s, max {ordered[-1]:.1f} s"
