"""Tocsin on the raw topic beside a Kafka Streams job that does much of the same, in one run.

Both read the same records from one Kafka (`make kafka`), and so does the limit: fetching and
parsing, and nothing else. The job (bench/streams_job/Correlator.java) drops repeats, groups by
component, writes snapshots, timeline and notifications, and counts urgent alerts in a window; it has
no policy, timers, expiry, silences, dependencies or nearness. Prints a line for each round, and one
JSON object last. It fails when the job counts other alerts, incidents or escalations than it should.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

from app.clock import system_ms
from app.factory import make_log
from app.settings import Settings, from_environment
from app.transport.log import TopicSpec
from bench import raw
from bench.broker_settings import broker_settings
from bench.worker import PARTITIONS
from bench.workload import Mix, Raw, workload
from deploy.kafka.broker import ROOT
from models.topics import Topics

HERE = Path(__file__).parent / "streams_job"
TOOLS = ROOT / ".tools" / "streams"
GUARANTEES = ("at_least_once", "exactly_once_v2")
OUTPUTS = ("incidents", "timeline", "notifications", "escalations")
URGENT, COUNT = ("critical", "high"), 3  # as in the job


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if (given := broker_settings()) is None:
        return 1
    build_job()
    mix = Mix(arguments.alerts)
    rounds = [
        measure(
            replace(
                from_environment(given),
                prefix=f"streams-{os.getpid()}-{number}",
                partitions=PARTITIONS,
            ),
            mix,
        )
        for number in range(arguments.rounds)
    ]
    print(json.dumps({name: round(median(row[name] for row in rounds), 2) for name in rounds[0]}))
    return 0


def build_job() -> None:
    """Fetch the job's libraries from Maven Central, once, and compile it."""
    libs, classes = TOOLS / "libs", TOOLS / "classes"
    complete = TOOLS / ".complete"
    if not complete.exists():
        copy = ["dependency:copy-dependencies", f"-DoutputDirectory={libs}"]
        subprocess.run(["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), *copy], check=True)
        complete.touch()
    compile_job = ["javac", "-cp", f"{libs}/*", "-d", str(classes), str(HERE / "Correlator.java")]
    subprocess.run(compile_job, check=True)


def measure(config: Settings, mix: Mix) -> dict[str, float]:
    """One round: microseconds of processor time an alert, of the limit, of Tocsin, of the job."""
    raws = list(workload(mix, system_ms()))
    expected = counts_of(raws)
    asyncio.run(raw.fill(config, raws, mix.alerts))
    figures = {
        "limit": raw.role("limit", config)["cpu_us"],
        "tocsin": raw.role("worker", config)["cpu_us"],
    }
    for guarantee in GUARANTEES:
        outcome = asyncio.run(run_job(config, mix, guarantee))
        counted = {name: outcome[name] for name in expected}
        assert counted == expected, f"the job counted {counted}, must be {expected}"
        figures[guarantee] = outcome["cpu_us"]
        figures[f"{guarantee}_warm"] = outcome["warm_cpu_us"]
    print(json.dumps(figures), file=sys.stderr, flush=True)
    return figures


def counts_of(raws: Iterable[Raw]) -> dict[str, int]:
    """What the job has to count. All records lie within one window."""
    kinds: Counter[str] = Counter()
    urgent: Counter[bytes] = Counter()
    for record in raws:
        kinds[record.kind] += 1
        if record.kind == "new":
            severity = json.loads(record.value)["labels"]["severity"]
            urgent[record.component] += severity in URGENT
    return {
        "new": kinds["new"],
        "repeats": kinds["repeat"],
        "ended": kinds["ended"],
        "opened": len(urgent),
        "escalated": sum(number // COUNT for number in urgent.values()),
    }


async def run_job(config: Settings, mix: Mix, guarantee: str) -> dict[str, float]:
    """The job over the raw topic, in a process and topics of its own."""
    prefix = f"{config.prefix}-{guarantee}"
    log = make_log(config)
    await log.start()
    await log.ensure_topics([TopicSpec(f"{prefix}.{name}", PARTITIONS, {}) for name in OUTPUTS])
    await log.stop()
    with tempfile.TemporaryDirectory() as folder:
        arguments = [Topics(config.prefix).raw, prefix, str(mix.alerts), guarantee, folder]
        servers = ",".join(config.bootstrap)
        classpath = f"{TOOLS}/classes:{TOOLS}/libs/*"
        command = ["java", "-Xmx1g", "-cp", classpath, "Correlator", servers, *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: ASYNC221  nothing else runs
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    sys.exit(main())
