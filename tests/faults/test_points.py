"""Workers that are killed at the points where it matters (`tests.faults.worker`)."""

from pathlib import Path

from deploy.kafka.broker import Broker
from tests.faults.processes import Supervised
from tests.faults.service import Service, serving
from tests.faults.table import Row
from tests.faults.worker import COUNTS, COUNTS_ELSE, POINTS, REBALANCING

SHORT = (
    "effects-half-sent",
    "effects-sent",
    "checkpoint-uncommitted",
    "checkpoint-written",
    "loaded",
    "settled",
)


def test_kill_9_at_named_points(
    broker: Broker, folder: Path, told: Row, seed: int, *, short: bool
) -> None:
    """A worker dies in the middle of each step that makes something durable, of recovery and of a rebalance."""
    with serving(f"kafka://{broker.bootstrap}", folder, "points") as service:
        service.bridge().wait_ready()
        worker = service.worker("w1", instance="w1")
        other = service.worker("w2")  # it leaves at once when it ends, and so makes partitions move
        worker.wait_ready()
        other.wait_ready()
        other.end()
        service.start_load(seed, 300 if short else 100)
        points = SHORT if short else POINTS
        for point in points:
            for count in COUNTS.get(point, COUNTS_ELSE)[1 if short else 0 : 2 if short else 3]:
                _die(service, worker, other, point, count)
        proof = service.finish()
    deaths = worker.deaths.count(-9)

    assert deaths == len(points) * (1 if short else len(COUNTS_ELSE))
    told.fill(f"kill -9 by itself at the nth pass of: {', '.join(points)}", deaths, proof)


def _die(service: Service, worker: Supervised, other: Supervised, point: str, count: int) -> None:
    """Start the worker anew, armed; wait until it has died and another life of it has gone on."""
    worker.end()
    runs, plain = len(worker.runs), worker.arguments
    worker.arguments = ["-m", "tests.faults.worker", "--die-at", f"{point}:{count}"]
    worker.start()
    worker.wait_runs(runs + 1)
    worker.arguments = plain
    if point in REBALANCING:
        worker.wait_ready(runs + 1)
        other.start()
    while point.startswith("raw") and not worker.has_died(runs + 1):
        service.send_raw(100, count)
    worker.wait_death(runs + 1)
    worker.wait_ready(runs + 2)
    service.wait_load(100)
    if point in REBALANCING:
        other.wait_ready()
        other.end()
