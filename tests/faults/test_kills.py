"""Workers and bridges that are killed."""

import random
from pathlib import Path

from deploy.kafka.broker import Broker
from tests.faults.service import serving, takeovers
from tests.faults.table import Row, spread

TAKEOVER_SECONDS_MAX = 60  # far above what it takes: no test may fail because the machine is busy


def test_kill_9_at_random(
    broker: Broker, folder: Path, told: Row, seed: int, *, short: bool
) -> None:
    """Workers, and now and then the bridge, are killed under load; each is started again."""
    times = 2 if short else 20
    dice = random.Random(seed)
    kills: list[float] = []
    with serving(f"kafka://{broker.bootstrap}", folder, "kills") as service:
        bridge = service.bridge()
        bridge.wait_ready()
        workers = [service.worker("w1"), service.worker("w2")]
        for worker in workers:
            worker.wait_ready()
        service.start_load(seed, 300)
        for number in range(times):
            service.wait_load(dice.randrange(200, 1500))
            if number % 5 == 4:
                bridge.kill()
                bridge.wait_ready()
            victim = dice.choice(workers)
            known = [len(worker.taken_over()) for worker in workers]
            kills.append(victim.kill())
            for worker, takeovers_known in zip(workers, known, strict=True):
                service.wait_takeovers(worker, takeovers_known + 1)
                worker.wait_ready()
        service.wait_load(500)
        proof = service.finish()
    seconds = takeovers(kills, proof.moments)

    assert max(seconds) < TAKEOVER_SECONDS_MAX, seconds
    assert [worker.deaths.count(-9) for worker in workers] != [0, 0]
    assert sum(worker.deaths.count(-9) for worker in workers) == times
    told.fill(
        f"kill -9 of one of two workers at a random moment (seed {seed}), and of the bridge at every fifth; both started again",
        times,
        proof,
        f"takeover, from the kill until every partition's effects go on: {spread(seconds)}",
    )
