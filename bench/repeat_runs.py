"""How many repeats in a row a journal record could stand for, on the workload of the raw topic.

Needs no broker. A record of repeats would end where news comes in between, with each batch of raw
records, and at 200 repeats (docs/decisions/0011-records-of-repeats.md). An alert's first two
sendings are whole. Prints one JSON object: whole and references (shares of the alerts), run (the
mean of the repeats in a record), records (journal records an alert; 1 today).
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.worker import PARTITIONS
from bench.workload import Mix, Raw, workload
from models.topics import partition_of

START_MS = 1_780_000_000_000
RUN_MAX = 200
WHOLE_SENDINGS = 2
URGENT = ("critical", "high")


class Runs:
    """The runs of repeats that each partition of the journal would have."""

    def __init__(self, batch: int, *, urgent_whole: bool) -> None:
        self._batch, self._urgent_whole = batch, urgent_whole
        self._sendings, self._records = Counter[bytes](), Counter[int]()
        self._run = Counter[int]()
        self.references = self.whole = self.runs = 0

    def add(self, raw: Raw, *, counts: bool) -> None:
        """Take the next raw record; `counts` is False for those before what is measured."""
        labels = orjson.loads(raw.value)["labels"]
        alert, partition = orjson.dumps(labels), partition_of(raw.component, PARTITIONS)
        is_reference = (
            raw.kind == "repeat"
            and self._sendings[alert] >= WHOLE_SENDINGS
            and not (self._urgent_whole and labels["severity"] in URGENT)
        )
        self._sendings[alert] += 1
        self._records[partition] += 1
        if not counts:
            return
        if not is_reference:
            self.whole += 1
            self._run[partition] = 0
            return
        self.references += 1
        self.runs += self._run[partition] == 0
        self._run[partition] += 1
        if self._records[partition] % self._batch == 0 or self._run[partition] == RUN_MAX:
            self._run[partition] = 0


def main() -> int:
    """Count the runs and print what they come to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=100_000)
    parser.add_argument("--new", type=float, default=0.05, help="share of new alerts (0.05)")
    parser.add_argument("--ended", type=float, default=0.01, help="share of ends (0.01)")
    parser.add_argument("--live", type=int, default=0, help="alerts that fire before (0)")
    parser.add_argument("--batch", type=int, default=1000, help="raw records in a batch (1000)")
    parser.add_argument("--urgent-whole", action="store_true", help="P0 and P1 stay whole")
    arguments = parser.parse_args()
    mix = Mix(arguments.alerts, arguments.new, arguments.ended, live=arguments.live)
    runs = Runs(arguments.batch, urgent_whole=arguments.urgent_whole)
    for number, raw in enumerate(workload(mix, START_MS)):
        runs.add(raw, counts=number >= mix.live)
    figures = {
        "whole": runs.whole / mix.alerts,
        "references": runs.references / mix.alerts,
        "run": runs.references / max(runs.runs, 1),
        "records": (runs.whole + runs.runs) / mix.alerts,
    }
    print(json.dumps({name: round(figure, 3) for name, figure in figures.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
