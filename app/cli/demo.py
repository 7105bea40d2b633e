"""`tocsin demo`: a Tocsin of its own on an embedded journal, fed over HTTP, and what came of it."""

import argparse
import asyncio
import heapq
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from app.demo import recorded, scenario
from app.demo.feed import Feeder
from app.demo.scenario import Step, bad_day, operator_words
from app.demo.storm import storm_steps
from app.files.file_access import make_private_folder
from app.history.effects import effects_of, incidents_of
from app.history.source import open_source
from app.render.demo_text import Outcome, show_outcome
from app.settings import Settings
from app.terminal.incidents_table import is_folded
from app.terminal.progress import progress_bar
from app.terminal.style import as_text
from models.text.sanitize import inert_lines

READY_SECONDS = 30


class DemoFailed(Exception):
    """The service did not start or stop as it should; the message says what it said last."""


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=_run_demo)
    parser.add_argument(
        "--input",
        metavar="FILE",
        help="alerts instead of the bad day: JSON lines, a JSON list, or the CSV of AIT-ADS",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    parser.add_argument(
        "--keep", action="store_true", help="leave the service running, and say where"
    )
    parser.add_argument(
        "--journal", metavar="DIR", help="keep the journal in DIR; a temporary folder otherwise"
    )
    parser.add_argument(
        "--storm", type=int, default=60_000, metavar="N", help="alerts in the storm (60000)"
    )
    parser.add_argument("--seed", type=int, default=7, help="of the storm (7)")


def _run_demo(arguments: argparse.Namespace) -> int:
    """Run the demo; the exit status is 1 when it failed."""
    try:
        asyncio.run(_play_demo(arguments))
    except (DemoFailed, recorded.BadRecording, aiohttp.ClientError) as error:
        print(f"tocsin demo: {inert_lines(str(error))}", file=sys.stderr)
        return 1
    return 0


async def _play_demo(arguments: argparse.Namespace) -> None:
    console = Console(stderr=arguments.json)
    keep_folder = bool(arguments.journal) or arguments.keep
    folder = Path(arguments.journal or tempfile.mkdtemp(prefix="tocsin-demo-"))
    problems: list[str] = []
    steps = list(_demo_steps(arguments, problems))
    if (folder / "journal.db").exists():
        raise DemoFailed(f"{folder} has a journal already, must be a new folder")
    began = time.monotonic()
    begins_ms = steps[0][0] - 1 if steps else scenario.START_MS
    service = await asyncio.to_thread(_start_service, folder, begins_ms)
    try:
        feeder, counts = await _feed_steps(
            service.url, steps, begins_ms, is_day=not arguments.input, keep=arguments.keep
        )
        seconds = time.monotonic() - began
        outcome = await _read_outcome(folder, feeder, counts, seconds)
    finally:
        if not arguments.keep or sys.exc_info()[0] is not None:
            await asyncio.to_thread(service.stop)
        if not keep_folder:
            _remove_folder(folder)
    if arguments.input:
        outcome.played = f"The alerts of {inert_lines(arguments.input)}"
    outcome.journal = str(folder) if keep_folder else ""
    show_outcome(outcome, console)
    for problem in problems[:10]:
        console.print(as_text(f"left out: {problem}"))
    if arguments.keep:
        _print_kept_folder(service, folder, console)
    if arguments.json:
        print(json.dumps(outcome.summary))


def _demo_steps(arguments: argparse.Namespace, problems: list[str]) -> Iterator[Step]:
    if arguments.input:
        yield from recorded.read_steps(Path(arguments.input), problems)
        return
    yield from heapq.merge(
        bad_day(), storm_steps(arguments.storm, arguments.seed), key=lambda step: step[0]
    )


async def _feed_steps(
    url: str, steps: list[Step], begins_ms: int, *, is_day: bool, keep: bool
) -> tuple[Feeder, dict[str, Any]]:
    total = sum(len(alerts) for _, alerts in steps)
    async with aiohttp.ClientSession(json_serialize=_dump_json) as session:
        feeder = Feeder(url, session, begins_ms)
        with progress_bar("feeding", total) as advance:
            await feeder.feed(steps, operator_words() if is_day else (), advance)
        for body in scenario.BROKEN_BODIES if is_day else ():
            await feeder.send_broken(body)
        counts = (await feeder.settled())["counts"]
        if keep:
            await feeder.keep_running()
    return feeder, counts


def _dump_json(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))


async def _read_outcome(
    folder: Path, feeder: Feeder, counts: dict[str, Any], seconds: float
) -> Outcome:
    async with open_source(str(folder), Settings()) as source:
        log, config, topics = source.log, source.config, source.topics
        incidents = await incidents_of(log, config)
        escalations = await effects_of(log, topics.escalations, config.partitions)
        notifications = await effects_of(log, topics.notifications, config.partitions)
        deadletters = await effects_of(log, topics.deadletter, config.partitions)
        tasks = {
            task["task"] for task in await effects_of(log, topics.followups, config.partitions)
        }
    escalations.sort(key=lambda item: item["at"])
    rules = [escalation["rule"] for escalation in escalations]
    summary = {
        "alerts": feeder.accepted,
        "repeats": counts.get("repeats", 0),
        "incidents": len(incidents),
        "members": sum(is_folded(incident) for incident in incidents),
        "escalations": len(escalations),
        "notifications": len(notifications),
        "deadletters": len(deadletters),
        "seconds": round(seconds, 2),
        "alerts_per_second": round(feeder.accepted / seconds, 1),
        "refused": feeder.refused,
        "commands": feeder.commands,
        "followups": len(tasks),
        "messages": dict(
            sorted(Counter(notification["kind"] for notification in notifications).items())
        ),
        "triggers": {rule: rules.count(rule) for rule in sorted(set(rules))},
    }
    return Outcome(incidents, escalations, notifications, feeder.per_minute, summary)


class _Service:
    """A `tocsin up` of the demo's own."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self.process = process
        self.url = url

    def stop(self) -> None:
        """End it as an operator would, and see that it ends well."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(READY_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise DemoFailed(f"tocsin up did not stop within {READY_SECONDS} s") from None
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()
        if status != 0:
            raise DemoFailed(
                f"tocsin up ended with status {status}; what it said is in its folder's tocsin.log"
            )


def _start_service(folder: Path, begins_ms: int) -> _Service:
    others = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    policy = os.environ.get(
        "TOCSIN_POLICY", ""
    )  # of the settings of a real service, the one that the demo can show
    environment = (
        others
        | {
            "TOCSIN_BROKER": f"embedded:{folder.resolve()}",  # the service has a working folder of its own
            "TOCSIN_CLOCK": f"driven:{begins_ms}",
            "TOCSIN_POLICY": str(Path(policy).resolve()) if policy else "",
            "TOCSIN_PORT": "0",
            "TOCSIN_SENDER_ALERTS": "0",  # a day in seconds is more than anybody may send
            "TOCSIN_SENDER_REQUESTS": "0",
        }
    )
    command = [sys.executable, "-m", "app", "up"]
    root = Path(__file__).parents[2]
    make_private_folder(folder)
    told = folder / "tocsin.log"
    with told.open("w") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment, cwd=root
        )
    assert process.stdout is not None
    line = process.stdout.readline()  # the process prints one line when it is ready, or ends
    if not line:
        raise DemoFailed(
            f"tocsin up ended with status {process.wait()} before it was ready:\n{told.read_text()}"
        )
    return _Service(process, json.loads(line)["url"])


def _remove_folder(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def _print_kept_folder(service: _Service, folder: Path, console: Console) -> None:
    lines = (
        f"\nTocsin is still running at {service.url} (process {service.process.pid}), its journal in {folder}.",
        f"  look:  TOCSIN_URL={service.url} tocsin incidents list --all",
        f"  stop:  kill {service.process.pid}",
    )
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
