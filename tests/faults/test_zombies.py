"""Workers that are paused for so long that others have taken over, and then go on."""

from pathlib import Path

from deploy.kafka.broker import Broker
from tests.faults.service import PARTITIONS, serving
from tests.faults.table import Row, spread


def test_pause_past_the_session(
    broker: Broker, folder: Path, told: Row, seed: int, *, short: bool
) -> None:
    """SIGSTOP until another worker has all partitions and works, then SIGCONT.

    The zombie does no harm, and rejoins.
    """
    times = 1 if short else 5
    seconds, ends = [], []
    with serving(f"kafka://{broker.bootstrap}", folder, "zombies") as service:
        service.bridge().wait_ready()
        workers = [service.worker("w1"), service.worker("w2")]
        for worker in workers:
            worker.wait_ready()
        service.start_load(seed, 300)
        for number in range(times):
            zombie, other = workers[number % 2], workers[1 - number % 2]
            service.wait_load(500)
            known = len(other.taken_over())
            zombie.pause()
            service.wait_takeovers(other, known + PARTITIONS)
            service.wait_load(500)
            known, deaths = len(zombie.taken_over()), len(zombie.deaths)
            resumed = zombie.resume()
            service.wait_takeovers(zombie, known + 1)
            zombie.wait_ready()
            ends += zombie.deaths[deaths:] or [0]
            seconds.append(max(zombie.runs[-1].ready - resumed, 0.0))
        proof = service.finish()

    assert set(ends) <= {0, 70}, ends
    stopped = ends.count(70)
    told.fill(
        "SIGSTOP of one of two workers until the other has all partitions and works on, then SIGCONT",
        times,
        proof,
        f"{stopped} zombies stopped with status 70 and were started again ({spread(seconds)}), "
        f"{times - stopped} rejoined by themselves",
    )
