"""Workers that come and go as they should.

SIGTERM under load, more and fewer of them, and restarts one after another.
"""

import itertools
from pathlib import Path

import pytest

from deploy.kafka.broker import Broker
from tests.faults.processes import Supervised
from tests.faults.service import PARTITIONS, Service, serving
from tests.faults.table import Row, spread

END_SECONDS_MAX = 10


def test_sigterm_under_load(
    broker: Broker, folder: Path, told: Row, seed: int, *, short: bool
) -> None:
    """A worker that is told to end finishes what it has.

    Nothing is sent twice, not even where the rule would drop it.
    """
    times = 2 if short else 10
    seconds = []
    with serving(f"kafka://{broker.bootstrap}", folder, "sigterm") as service:
        service.bridge().wait_ready()
        worker = service.worker("w1", instance="w1")
        worker.wait_ready()
        service.start_load(seed, 400)
        for _ in range(times):
            service.wait_load(1000)
            runs = len(worker.runs)
            seconds.append(worker.end())
            worker.start()
            worker.wait_ready(runs + 1)
        service.wait_load(500)
        proof = service.finish()

    assert (proof.repeats, proof.resent) == (0, 0)
    assert max(seconds) < END_SECONDS_MAX, seconds
    told.fill(
        "SIGTERM of the worker, and a new start",
        times,
        proof,
        f"it ends with status 0: {spread(seconds)}",
    )


@pytest.mark.long
def test_one_to_three_to_one(broker: Broker, folder: Path, told: Row, seed: int) -> None:
    """Workers join and leave while the others work."""
    times = 3
    with serving(f"kafka://{broker.bootstrap}", folder, "scale") as service:
        service.bridge().wait_ready()
        workers = [service.worker("w1")]
        workers[0].wait_ready()
        service.start_load(seed, 300)
        moved: list[float] = []
        for number in range(times):
            for name in ("w2", "w3"):
                service.wait_load(400)
                workers.append(service.worker(f"{name}-{number}"))
                workers[-1].wait_ready()
                moved.append(workers[-1].runs[0].ready)
            service.wait_load(400)
            while len(workers) > 1:
                leaving = workers.pop(0)
                staying = len(workers[0].taken_over())
                leaving.end()
                moved.append(leaving.runs[-1].ended)
                service.wait_takeovers(workers[0], staying + 1)
                service.wait_load(200)
        proof = service.finish()

    told.fill(
        "two workers join the one, and the two oldest leave",
        4 * times,
        proof,
        f"longest silence of any partition from 10 s before a change to 15 s after: {spread(silences(moved, proof.moments))}",
    )


@pytest.mark.long
def test_rolling_restart(broker: Broker, folder: Path, told: Row, seed: int) -> None:
    """With TOCSIN_INSTANCE a worker that is back within the session costs no rebalance, after SIGTERM and after kill -9."""
    times = 4
    with serving(f"kafka://{broker.bootstrap}", folder, "rolling") as service:
        service.bridge().wait_ready()
        workers = [service.worker("w1", instance="one"), service.worker("w2", instance="two")]
        for worker in workers:
            worker.wait_ready()
        _wait_shared(service, workers)
        service.start_load(seed, 300)
        known = [len(worker.taken_over()) for worker in workers]
        seconds: list[float] = []
        for number in range(times):
            for worker in workers:
                service.wait_load(300)
                runs = len(worker.runs)
                if number % 2 == 0:
                    worker.end()
                    at = worker.runs[-1].ended
                    worker.start()
                else:
                    at = worker.kill()
                worker.wait_ready(runs + 1)
                seconds.append(worker.runs[-1].ready - at)
        service.wait_load(500)
        proof = service.finish()
    taken = [
        len(worker.taken_over()) - before for worker, before in zip(workers, known, strict=True)
    ]

    assert taken == [times * PARTITIONS // 2] * 2, (
        "a restart made the other worker's partitions move"
    )
    told.fill(
        "each of two workers with TOCSIN_INSTANCE is ended or killed, and started again",
        2 * times,
        proof,
        f"no rebalance; from its end until it is ready again: {spread(seconds)}",
    )


def _wait_shared(service: Service, workers: list[Supervised]) -> None:
    """Return when each has its share for good: the last one's coming moves partitions once more."""
    for worker in workers:
        service.wait_takeovers(worker, PARTITIONS // 2)


def silences(moments: list[float], sent: dict[int, list[int]]) -> list[float]:
    """For each moment, the longest time without an effect in any partition around it."""
    found = []
    for moment in moments:
        gaps = []
        for ats in sent.values():
            around = [at / 1000 for at in ats if moment - 10 < at / 1000 < moment + 15]
            gaps += [after - before for before, after in itertools.pairwise(around)]
        found.append(max(gaps))
    return found
