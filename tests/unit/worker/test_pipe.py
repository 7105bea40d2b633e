"""A partition that is taken away while something is under way leaves nobody waiting."""

import asyncio

from app.settings import Settings
from app.worker.worker import PartitionPipe, Worker
from models.topics import Topics
from tests.support.driven_loop import run_driven
from tests.support.fake_log import FakeLog
from tests.support.shipped_policy import shipped


def test_settling_ends_with_the_partition() -> None:
    """SIGTERM settles while a rebalance takes the partitions away.

    The one must not wait for what the other has stopped.
    """

    async def scenario() -> None:
        log = FakeLog()
        pipe = PartitionPipe(Worker(Settings(partitions=1), shipped(), log, Topics()), 0, 1)
        await pipe.start()
        log.called.clear()
        log.open.clear()
        settling = asyncio.create_task(pipe.settle())
        await log.called.wait()
        pipe.stop()
        await settling

    run_driven(scenario())


def test_what_is_stopped_cannot_be_settled() -> None:
    """Nothing is written for a partition that was taken away, and nobody waits for it."""

    async def scenario() -> int:
        log = FakeLog()
        pipe = PartitionPipe(Worker(Settings(partitions=1), shipped(), log, Topics()), 0, 1)
        await pipe.start()
        number = len(log.batches)
        pipe.stop()
        await pipe.settle()
        return len(log.batches) - number

    assert run_driven(scenario()) == 0
