"""How fast a journal is replayed, beside the engine alone and a live worker on the same records in the same run.

Fills an embedded journal with the load of bench/worker.py, lets a worker work it up, and then
replays it: `tocsin replay`, with and without `--verify`, from the journal and from a recording.
Prints one JSON object last: microseconds of processor time for a record, and records per second
where the clock on the wall counts (a live worker, which has threads; two processes). `share` is the
engine's time alone, of what `tocsin replay` takes of the journal. Processor time, because a machine
has other work.
"""

import argparse
import asyncio
import io
import json
import sys
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from app.cli.main import main as command_line
from app.core.engine import Engine
from app.factory import build, connect, make_log, start, stop
from app.files import policy_file
from app.memory import spare_the_collector
from app.settings import Settings, from_environment
from app.transport.log import StoredRecord
from bench.worker import LIVE, PARTITIONS, fill
from models.topics import Topics

CHUNK = 1000  # records that the engine is given at once, as in a worker
ROUNDS = 3  # of each; the best counts


def main() -> int:
    """Fill, work, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--live", type=int, default=LIVE)
    parser.add_argument("--folder", help="keep the journal here, and use what is there already")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as temporary:
        folder = Path(arguments.folder or temporary)
        config = replace(from_environment({}), broker=f"embedded:{folder}", partitions=PARTITIONS)
        found = {} if (folder / "journal.db").exists() else asyncio.run(_live(config, arguments))
        recording = Path(temporary) / "bench.tocsin"
        _tocsin("record", str(recording), "--journal", str(folder))
        found["recording_bytes"] = recording.stat().st_size
        rounds = [_round(config, folder, recording) for _ in range(ROUNDS)]
        found |= {name: min(one[name] for one in rounds) for name in rounds[0]}
        found["two_processes_per_second"] = max(
            _tocsin("replay", "--journal", str(folder), "--workers", "2")["records_per_second"]
            for _ in range(ROUNDS)
        )
    found["share"] = found["engine_us"] / found["replay_us"]
    print(json.dumps({name: round(number, 2) for name, number in found.items()}))
    return 0


def _round(config: Settings, folder: Path, recording: Path) -> dict[str, float]:
    """Microseconds for a record of each."""
    return {
        "engine_us": asyncio.run(_engine_alone(config)),
        "replay_us": _replay(folder),
        "verify_us": _replay(folder, "--verify"),
        "replay_recording_us": _replay(recording),
        "verify_recording_us": _replay(recording, "--verify"),
    }


async def _live(config: Settings, arguments: argparse.Namespace) -> dict[str, float]:
    """Fill the journal, and let a worker work it up."""
    await fill(config, arguments.records, arguments.live)
    log = make_log(config)
    await connect(config, log, worker=True)
    app = build(config, policy_file.load_policy(), log)
    ends = [await log.end_offset(Topics(config.prefix).journal, one) for one in range(PARTITIONS)]
    await start(app)
    began, pipes = time.monotonic(), app.owner.pipes
    before = sum(pipe.settled_offset + 1 for pipe in pipes.values())
    while len(pipes) < PARTITIONS or any(
        pipes[one].settled_offset + 1 < ends[one] for one in range(PARTITIONS)
    ):
        await asyncio.sleep(0.005)
    seconds = time.monotonic() - began
    await stop(app)
    await log.stop()
    return {"live_worker_per_second": (sum(ends) - before) / seconds}


async def _engine_alone(config: Settings) -> float:
    """When the records are in memory already, and nobody looks at what comes of them."""
    log, seconds, count = make_log(config), 0.0, 0
    await log.start()
    for partition in range(PARTITIONS):
        records: list[StoredRecord] = []
        while more := await log.read(Topics(config.prefix).journal, partition, len(records)):
            records += more
        engine = Engine(partition, policy_file.load_policy())
        spare_the_collector()
        began = time.process_time()
        for place in range(0, len(records), CHUNK):
            engine.apply(records[place : place + CHUNK])
        seconds += time.process_time() - began
        count += len(records)
    await log.stop()
    return seconds / count * 1e6


def _replay(journal: Path, *options: str) -> float:
    began = time.process_time()
    found = _tocsin("replay", "--journal", str(journal), *options)
    assert found.get("identical", True), found["first_difference"]
    return (time.process_time() - began) / int(found["records"]) * 1e6


def _tocsin(*words: str) -> dict[str, Any]:
    """The JSON that a command prints last."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(io.StringIO()):
        assert command_line([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
