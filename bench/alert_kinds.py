"""What each kind of alert costs the engine alone: no Kafka, no event loop, one partition.

Applies the records of `bench/workload.py` as ingest would write them, and measures each by processor
time: a repeat, one that is a copy of a raw record, an alert that joins an incident, one that opens
one, an end; and the checkpoint that follows each 1,000 records. Beside it, in the same run,
`orjson.loads` of the same records. Prints one JSON object last; microseconds, medians of slices.
`--digest` prints a digest of all effects and of the state instead, to compare two trees by.
"""

import argparse
import hashlib
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

import orjson

from app.core.engine import Engine
from app.files import policy_file
from app.intake.normalise import entries_from
from app.intake.records import Intake
from app.transport.log import Headers, StoredRecord
from bench.workload import Mix, workload
from models.journal import Source

START_MS = 1_780_311_600_000  # 2026-06-01T11:00:00Z, a Monday morning
STEP_US = 200  # of engine time between two records: 5,000 alerts a second
CHECKPOINT = 1_000
SLICES = 9


def main() -> int:
    """Make the records, apply them, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=60_000)
    parser.add_argument("--new", type=float, default=0.1)
    parser.add_argument("--hour", type=int, default=11, help="of the day, in UTC (11)")
    parser.add_argument("--digest", action="store_true")
    arguments = parser.parse_args()
    mix = Mix(arguments.alerts, arguments.new, arguments.new / 5)
    start_ms = START_MS + (arguments.hour - 11) * 3_600_000
    records = made(mix, start_ms)
    if arguments.digest:
        print(digest(records))
    else:
        print(json.dumps(figures(records)))
    return 0


def made(mix: Mix, start_ms: int) -> list[tuple[str, StoredRecord]]:
    """The records of the journal, and of which kind each is. Half of the repeats have a source."""
    policy, intake, records = policy_file.load_policy(), Intake(10**9), []
    for offset, raw in enumerate(workload(mix, start_ms)):
        taken, refused = intake.records(entries_from(raw.value), start_ms, policy)
        assert not refused, refused
        copied = raw.kind == "repeat" and offset % 2 == 0
        headers: Headers = (Source("raw", 0, offset).header(),) if copied else ()
        at_ms = start_ms + offset * STEP_US // 1000
        record = StoredRecord(offset, at_ms, taken[0].key, taken[0].value, headers)
        records.append(("copied repeat" if copied else raw.kind, record))
    return records


def figures(records: list[tuple[str, StoredRecord]]) -> dict[str, float]:
    """Microseconds of each kind: the median over slices of the mean of a slice."""
    engine, clock = Engine(0, policy_file.load_policy()), time.process_time_ns
    spent: dict[str, list[list[int]]] = defaultdict(lambda: [[] for _ in range(SLICES)])
    incidents = 0
    for number, (kind, record) in enumerate(records):
        slice_ = number * SLICES // len(records)
        began = clock()
        engine.apply((record,))
        ended = clock()
        opened = len(engine.state.incidents) > incidents
        incidents = len(engine.state.incidents)
        name = ("opening" if opened else "joining") if kind == "new" else kind
        spent[name][slice_].append(ended - began)
        began = clock()
        orjson.loads(record.value or b"")
        spent["orjson.loads"][slice_].append(clock() - began)
        if number % CHECKPOINT == CHECKPOINT - 1:
            began = clock()
            engine.checkpoint()
            spent[f"checkpoint of {CHECKPOINT}"][slice_].append(clock() - began)
    return {
        kind: round(median(sum(times) / len(times) for times in slices if times) / 1000, 2)
        for kind, slices in sorted(spent.items())
    }


def digest(records: list[tuple[str, StoredRecord]]) -> str:
    """A digest of everything that the engine leaves."""
    engine, sum_ = Engine(0, policy_file.load_policy()), hashlib.sha256()
    for start in range(0, len(records), CHECKPOINT):
        for effect in engine.apply([record for _, record in records[start : start + CHECKPOINT]]):
            sum_.update(repr(effect).encode())
        for item in engine.checkpoint():
            sum_.update(repr(item).encode())
    return sum_.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
