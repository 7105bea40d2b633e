"""From POST of an alert to acceptance by each of five receivers, one of which never answers.

    python bench/delivery.py [--rate 100] [--seconds 20]

It starts `tocsin up` on an embedded journal of its own. Each alert is a P0 of a component of its own, so
it opens an incident, and the shipped policy tells five contacts. Each contact has a receiver of its own
on 127.0.0.1. The pager's receiver is the one that hangs. Latency is by the clock of this process.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from aiohttp import web

ROOT = Path(__file__).parents[1]
CONTACTS = (
    ("pager", "ops-primary"),
    ("email", ""),
    ("chat", "#ops"),
    ("chat", "#incidents"),
    ("chat", "#critical-alerts"),
)
HANGS = 0
NAME = re.compile(rb"Down(\d+)x")
WAIT_SECONDS = 60


class Receivers:
    """Five receivers on one port. `taken` has for each alert and receiver when it was taken first."""

    def __init__(self) -> None:
        self.taken: dict[tuple[int, int], float] = {}
        self.hanging = 0

    async def take(self, request: web.Request) -> web.Response:
        """Take a message, or never answer."""
        receiver = int(request.match_info["receiver"])
        body = await request.read()
        if receiver == HANGS:
            self.hanging += 1
            await asyncio.sleep(3600)
        found = NAME.search(body)
        if found is not None:
            self.taken.setdefault((int(found[1]), receiver), time.monotonic())
        return web.json_response({})


def receivers_file(folder: Path, port: int) -> Path:
    """A receivers file with a webhook for each contact."""
    receivers = {
        f"hook{n}": {"webhook": {"url": f"http://127.0.0.1:{port}/{n}", "format": "alertmanager"}}
        for n in range(len(CONTACTS))
    }
    contacts = [
        {"channel": channel, "through": [f"hook{n}"]} | ({"address": address} if address else {})
        for n, (channel, address) in enumerate(CONTACTS)
    ]
    document = {
        "version": 1,
        "receivers": receivers,
        "contacts": contacts,
        "allow_private_addresses": ["127.0.0.0/8"],
    }
    file = folder / "receivers.yaml"
    file.write_text(json.dumps(document))
    return file


async def post_all(url: str, rate: int, seconds: int) -> dict[int, float]:
    """Post alerts at the rate; when each was posted."""
    posted: dict[int, float] = {}
    tasks = []
    async with aiohttp.ClientSession() as session:

        async def post(number: int) -> None:
            labels = {"alertname": f"Down{number}x", "component": f"c{number}", "severity": "P0"}
            posted[number] = time.monotonic()
            async with session.post(f"{url}/api/v2/alerts", json=[{"labels": labels}]) as answer:
                assert answer.status == 200, await answer.text()

        start = time.monotonic()
        for number in range(rate * seconds):
            await asyncio.sleep(max(start + number / rate - time.monotonic(), 0))
            tasks.append(asyncio.create_task(post(number)))
        await asyncio.gather(*tasks)
    return posted


def show(posted: dict[int, float], receivers: Receivers) -> None:
    """Print p50 and p99 for each healthy receiver."""
    for receiver, (channel, address) in enumerate(CONTACTS):
        if receiver == HANGS:
            print(f"{channel} {address}: hangs ({receivers.hanging} requests without an answer)")
            continue
        times = sorted(
            at - posted[number] for (number, one), at in receivers.taken.items() if one == receiver
        )
        if not times:
            print(f"{channel} {address}: nothing was taken")
            continue
        p50, p99 = (1000 * times[int(len(times) * share)] for share in (0.5, 0.99))
        taken = f"{len(times)} of {len(posted)} taken"
        print(f"{channel} {address}: {taken}, p50 {p50:.0f} ms, p99 {p99:.0f} ms")


async def run(rate: int, seconds: int) -> None:
    """Start everything, post, wait, and print."""
    receivers = Receivers()
    application = web.Application()
    application.router.add_post("/{receiver}", receivers.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with tempfile.TemporaryDirectory() as name:
        file = receivers_file(Path(name), runner.addresses[0][1])
        environment = os.environ | {
            "TOCSIN_BROKER": f"embedded:{name}/journal",
            "TOCSIN_RECEIVERS": str(file),
            "TOCSIN_PORT": "0",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", "up"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            cwd=ROOT,
        )
        assert process.stdout is not None
        url = json.loads(await process.stdout.readline())["url"]
        posted = await post_all(url, rate, seconds)
        healthy = len(CONTACTS) - 1
        until = time.monotonic() + WAIT_SECONDS
        while len(receivers.taken) < healthy * len(posted) and time.monotonic() < until:
            await asyncio.sleep(0.1)
        show(posted, receivers)
        process.send_signal(signal.SIGTERM)
        await process.wait()
    await runner.cleanup()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=20)
    arguments = parser.parse_args()
    asyncio.run(run(arguments.rate, arguments.seconds))


if __name__ == "__main__":
    main()
