"""What an alert costs at the border, in processor time, beside what it costs a real Alertmanager in the same run.

Sends the same bodies over the same number of connections to `tocsin up` (bridge and worker, on an
embedded journal) and to `prometheus-alertmanager`, in turn, and reads from the system what each
process has used. Prometheus sends up to 64 alerts at once, so that is the row that counts. Prints a
row for each size of body, and one JSON object last.
"""

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from app.clock import system_ms
from app.demo.storm import storm_steps
from deploy.kafka.secured import free_ports
from models.text.instant import format_instant

CONNECTIONS = 8
ENDS = "moving end"  # each request says an end of its own, four minutes ahead, as Prometheus does
AHEAD_MS = 240_000
TICKS = os.sysconf("SC_CLK_TCK")
ALERTMANAGER = "route: {receiver: nobody, group_by: [component]}\nreceivers: [{name: nobody}]\n"


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--alerts", type=int, default=100_000, help="for each size of body and server"
    )
    parser.add_argument(
        "--live", type=int, default=5_000, help="different alerts; all others repeat them"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 10, 64, 500])
    arguments = parser.parse_args()
    alerts = list(kinds(arguments.live))
    rows = []
    for size in arguments.sizes:
        number = min(arguments.alerts, 20_000 * size)
        bodies = [
            json.dumps(alerts[start : start + size]).encode()
            for start in range(0, len(alerts), size)
        ]
        found = {
            name: cost(started, bodies, number // size, size) for name, started in SERVERS.items()
        }
        ratio = round(found["alertmanager"]["cpu_us"] / found["tocsin"]["cpu_us"], 2)
        rows.append({"alerts_in_a_body": size, **found, "ratio": ratio})
        print(f"{size:>4} alerts in a body: {found}, Alertmanager / Tocsin {ratio}", flush=True)
    print(json.dumps(rows))
    return 0


def kinds(number: int) -> Iterator[dict[str, object]]:
    """Different alerts as Prometheus sends them, of some 590 bytes; ENDS stands for their end."""
    for count, alert in enumerate(
        islice((one for _, step in storm_steps(number, 7) for one in step), number)
    ):
        labels = alert["labels"] | {
            "instance": f"10.0.{count // 250}.{count % 250}:9100",
            "component": f"c{count % 200}",
        }
        annotations = alert.get("annotations", {}) | {
            "description": "what the detector says about it " * 6
        }
        starts = "2026-11-01T00:00:00.000Z"
        yield {
            "labels": labels,
            "annotations": annotations,
            "startsAt": starts,
            "endsAt": ENDS,
            "generatorURL": "http://p/graph",
        }


@contextmanager
def tocsin() -> Iterator[tuple[int, int]]:
    """A `tocsin up`: its process and port."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "TOCSIN_BROKER": f"embedded:{folder}/journal",
            "TOCSIN_PORT": "0",
            "TOCSIN_SENDER_ALERTS": "0",
            "TOCSIN_SENDER_REQUESTS": "0",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "up"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            cwd=Path(__file__).parent.parent,
        )
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        yield process.pid, int(url.rsplit(":", 1)[1])
        process.terminate()
        process.wait()


@contextmanager
def alertmanager() -> Iterator[tuple[int, int]]:
    """A real Alertmanager: its process and port."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "alertmanager.yml"
        config.write_text(ALERTMANAGER)
        (port,) = free_ports(1)
        process = subprocess.Popen(
            [
                "prometheus-alertmanager",
                f"--config.file={config}",
                f"--storage.path={folder}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait_ready(port)
        yield process.pid, port
        process.terminate()
        process.wait()


SERVERS = {"tocsin": tocsin, "alertmanager": alertmanager}


def _wait_ready(port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1).read()
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit("the Alertmanager did not become ready")


def cost(
    started: Callable[[], AbstractContextManager[tuple[int, int]]],
    bodies: list[bytes],
    requests: int,
    size: int,
) -> dict[str, float]:
    """Microseconds of processor time an alert, and alerts a second, once every alert is known."""
    with started() as (process, port):
        send(port, bodies, len(bodies))
        time.sleep(1)  # what follows from new alerts is not what is measured
        before, began = cpu_seconds(process), time.monotonic()
        send(port, bodies, requests)
        seconds = time.monotonic() - began
        time.sleep(0.5)
        used = cpu_seconds(process) - before
    alerts = requests * size
    return {"cpu_us": round(used / alerts * 1e6, 2), "per_second": round(alerts / seconds)}


def cpu_seconds(process: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def send(port: int, bodies: list[bytes], requests: int) -> None:
    """Post so many bodies over a few connections that are kept."""
    threads = [
        threading.Thread(target=_post, args=(port, bodies, range(number, requests, CONNECTIONS)))
        for number in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _post(port: int, bodies: list[bytes], numbers: range) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for number in numbers:
        body = bodies[number % len(bodies)].replace(
            ENDS.encode(), format_instant(system_ms() + AHEAD_MS).encode()
        )
        connection.request("POST", "/api/v2/alerts", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200, (answer.status, text[:300])
    connection.close()


if __name__ == "__main__":
    sys.exit(main())
