"""Whether Tocsin's memory is flat: a process of it under a steady load whose alerts and components come and go.

Two ways. In real time (`--minutes 20`), alerts are posted at their rate. With `--driven`, the
embedded journal's clock is moved one second for each second's alerts, as fast as they are applied,
so that hours of forgetting take minutes.

Samples go to a CSV file; the verdict compares, after the warm-up, how fast the process' own memory
(`RssAnon`; pages of the journal's file that the kernel has mapped are not the process') would grow
in an hour with what it is. Prints one JSON object last; the exit status is 1 when it is not flat.
"""

import argparse
import csv
import http.client
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import orjson
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

sys.path.insert(0, str(Path(__file__).parent.parent))

from app.files.policy_file import default_path
from bench.churn import Churn
from tests.support.scenario import START_MS

ROOT = Path(__file__).parent.parent
FLAT = 0.03  # of the memory in an hour: more is a leak
AT_ONCE = 500  # alerts in a request
BEHIND_MAX = 20_000  # journal records that a driven run lets wait
_GAUGE = re.compile(r'^tocsin_state\{kind="(\w+)",partition="\d+"\} (\S+)$', re.MULTILINE)
_SIZES = ("VmRSS", "RssAnon", "VmHWM")


class Service:
    """A `tocsin up` of our own, on an embedded journal."""

    def __init__(self, folder: Path, arguments: argparse.Namespace, errors: IO[str]) -> None:
        self.journal = folder / "journal.db"
        policy = folder.parent / "policy.yaml"
        policy.write_text(
            forgetting(arguments.forget) if arguments.forget else default_path().read_text()
        )
        environment = os.environ | {
            "TOCSIN_BROKER": f"embedded:{folder}",
            "TOCSIN_PARTITIONS": str(arguments.partitions),
            "TOCSIN_PORT": "0",
            "TOCSIN_SENDER_ALERTS": "0",  # on a driven clock hours pass in minutes
            "TOCSIN_SENDER_REQUESTS": "0",
            "TOCSIN_POLICY": str(policy),
            "TOCSIN_CLOCK": "driven" if arguments.driven else "system",
        }
        command = [sys.executable, "-m", "app", "up"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, cwd=ROOT
        )
        assert self.process.stdout is not None
        url = urlsplit(json.loads(self.process.stdout.readline())["url"])
        self._connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=120)

    def call(self, method: str, path: str, body: Any = None) -> bytes:
        """The body of a good answer."""
        data = None if body is None else orjson.dumps(body)
        self._connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:500]!r}")
        return text

    def behind(self) -> int:
        """Journal records that are not yet applied."""
        progress = orjson.loads(self.call("GET", "/progress"))
        return int(sum(progress["journal_end"]) - sum(progress["applied"]))

    def sample(self) -> dict[str, int]:
        """What it holds, in bytes and by kind."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        memory = {
            name: int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) * 1024 for name in _SIZES
        }
        state: dict[str, int] = {}
        for kind, number in _GAUGE.findall(self.call("GET", "/metrics").decode()):
            state[kind] = state.get(kind, 0) + int(float(number))
        with sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True) as journal:
            rows = "SELECT sum(length(records)) FROM batches WHERE topic = 'tocsin.state'"
            changelog = journal.execute(rows).fetchone()[0] or 0
        return (
            memory
            | state
            | {"changelog": changelog, "file": self.journal.stat().st_size, "behind": self.behind()}
        )

    def stop(self) -> None:
        """End it as an operator would."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def main() -> int:
    """Load, sample, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20, help="of load, in the journal's time")
    parser.add_argument("--warm-up", type=float, help="minutes that are not judged (half)")
    parser.add_argument("--rate", type=int, default=2000, help="alerts a second")
    parser.add_argument("--new", type=int, default=20, help="of which are new")
    parser.add_argument(
        "--lives", type=int, default=300, help="seconds for which an alert is repeated"
    )
    parser.add_argument(
        "--forget",
        help="instead of the policy's incidents.forget, such as 2m, so that it happens often",
    )
    parser.add_argument(
        "--driven",
        action="store_true",
        help="move the journal's clock as fast as alerts are applied",
    )
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--csv", type=Path, default=Path("soak.csv"))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        with (folder / "errors").open("w+") as errors:
            try:
                samples = soak(folder / "journal", arguments, errors)
            except OSError:  # it has gone away; what it said last tells why
                errors.seek(0)
                print("".join(errors.readlines()[-40:]), file=sys.stderr)
                raise
            errors.seek(0)
            problems = [line for line in errors if not re.search(r" INFO tocsin", line)]
    finally:
        shutil.rmtree(folder)
    warm_up_s = 60 * (arguments.minutes / 2 if arguments.warm_up is None else arguments.warm_up)
    found = verdict([one for one in samples if one["seconds"] >= warm_up_s])
    print(
        json.dumps(
            found
            | {
                "alerts": samples[-1]["alerts_sent"],
                "csv": str(arguments.csv),
                "problems": problems[:5],
            }
        )
    )
    return 0 if found["verdict"] == "flat" else 1


def soak(folder: Path, arguments: argparse.Namespace, errors: IO[str]) -> list[dict[str, int]]:
    """Run the load and return the samples, which are in the CSV file too."""
    service = Service(folder, arguments, errors)
    seconds = round(arguments.minutes * 60)
    every, samples = max(seconds // 240, 1), list[dict[str, int]]()
    bar = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    try:
        with (
            arguments.csv.open("w") as file,
            Progress(*bar, console=Console(stderr=True)) as progress,
        ):
            task = progress.add_task("seconds of load", total=seconds)
            for second, sent in load(service, arguments, seconds):
                progress.advance(task)
                if second % every == 0:
                    samples.append({"seconds": second, "alerts_sent": sent} | service.sample())
                    keep(file, samples[-1], header=len(samples) == 1)
    finally:
        service.stop()
    return samples


def load(
    service: Service, arguments: argparse.Namespace, seconds: int
) -> Iterator[tuple[int, int]]:
    """Send each second's alerts; yields the second, and how many alerts were sent so far."""
    churn, began, sent = Churn(arguments.rate, arguments.new, arguments.lives), time.monotonic(), 0
    if arguments.driven:
        service.call("PUT", "/clock", {"now_ms": START_MS})
    for second in range(1, seconds + 1):
        alerts = churn.next()
        for start in range(0, len(alerts), AT_ONCE):
            service.call("POST", "/api/v2/alerts", alerts[start : start + AT_ONCE])
        sent += len(alerts)
        operate(service, second)
        if arguments.driven:
            service.call("PUT", "/clock", {"now_ms": START_MS + second * 1000})
            while second % 5 == 0 and service.behind() > BEHIND_MAX:
                time.sleep(0.05)
        else:
            time.sleep(max(began + second - time.monotonic(), 0))
        yield second, sent


def operate(service: Service, second: int) -> None:
    """What people and boards do meanwhile.

    Somebody takes an incident, silences something, looks at all of it.
    """
    if second % 30 == 0:
        silence = {
            "matchers": [{"name": "job", "value": f"job-{second % 40}"}],
            "endsAt": "2m",
            "comment": "soak",
        }
        service.call("POST", "/api/v1/silences", silence | {"createdBy": "soak"})
    if second % 20 == 0:
        incidents = orjson.loads(service.call("GET", "/api/v1/incidents?state=open"))
        for one in incidents["items"][-3:]:
            service.call("POST", f"/api/v1/incidents/{one['incident']}/acknowledge", {"by": "soak"})
            service.call("GET", f"/api/v1/incidents/{one['incident']}")


def forgetting(forget: str) -> str:
    """The shipped policy, but for what is forgotten when."""
    policy = yaml.safe_load(default_path().read_text())
    policy["incidents"] |= {"close_after": "30s", "retain_resolved": forget}
    policy["flapping"] |= {"within": forget, "stable_after": "30s"}
    return yaml.safe_dump(policy)


def keep(file: IO[str], sample: dict[str, int], *, header: bool) -> None:
    """Add a line to the CSV file."""
    writer = csv.DictWriter(file, list(sample))
    if header:
        writer.writeheader()
    writer.writerow(sample)
    file.flush()


def verdict(samples: Sequence[dict[str, int]]) -> dict[str, Any]:
    """The line through the memory of these samples.

    What it is in the middle, and by what share of that it grows in an hour.
    """
    times, memory = [one["seconds"] / 3600 for one in samples], [one["RssAnon"] for one in samples]
    slope, mean = slope_of(times, memory), sum(memory) / len(memory)
    kinds = [name for name in samples[-1] if name not in ("seconds", "alerts_sent", "behind")]
    return {
        "verdict": "flat" if slope / mean <= FLAT else "grows",
        "share_per_hour": round(slope / mean, 4),
        "rss_mb": round(mean / 1e6, 1),
        "judged_seconds": samples[-1]["seconds"] - samples[0]["seconds"],
        "behind_max": max(one["behind"] for one in samples),
        "first": {name: samples[0].get(name) for name in kinds},
        "last": {name: samples[-1][name] for name in kinds},
    }


def slope_of(xs: Sequence[float], ys: Sequence[float]) -> float:
    """The slope of the line that fits best (least squares)."""
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    square = sum((one - x) ** 2 for one in xs)
    return (
        sum((one - x) * (other - y) for one, other in zip(xs, ys, strict=True)) / square
        if square
        else 0.0
    )


if __name__ == "__main__":
    sys.exit(main())
