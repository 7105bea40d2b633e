"""What workers left on a Kafka, awaited and proven."""

import orjson

from app.core.state.changelog import META
from app.history.checkpoints import load_state
from app.settings import Settings
from app.transport.log import Log
from models.topics import Topics
from tests.integration.servers import with_log
from tests.support.engines import assert_exactly_once, wait_until

PARTITIONS = 4


def settings_on(broker: str, prefix: str) -> dict[str, str]:
    """TOCSIN_* of a Tocsin of its own on the broker."""
    return {"TOCSIN_BROKER": broker, "TOCSIN_PREFIX": prefix, "TOCSIN_PARTITIONS": str(PARTITIONS)}


async def _ends(log: Log, prefix: str) -> list[int]:
    return [
        await log.end_offset(Topics(prefix).journal, partition) for partition in range(PARTITIONS)
    ]


async def _checkpointed(log: Log, prefix: str) -> list[int]:
    states = [
        await load_state(log, Topics(prefix).state, partition) for partition in range(PARTITIONS)
    ]
    return [orjson.loads(state[META])["offset"] + 1 if META in state else 0 for state in states]


def wait_for_checkpoint(broker: str, prefix: str) -> None:
    """Return when checkpoints have reached what is in the journal now."""
    ends = with_log(broker, lambda log: _ends(log, prefix))

    def reached() -> bool:
        done = with_log(broker, lambda log: _checkpointed(log, prefix))
        return all(one >= end for one, end in zip(done, ends, strict=True))

    wait_until(reached, f"checkpoints up to {ends}")


def proven(broker: str, prefix: str) -> dict[str, int]:
    """The counts, once it is shown that topics and state hold what an undisturbed engine says."""
    config = Settings(broker=broker, prefix=prefix, partitions=PARTITIONS)
    return with_log(broker, lambda log: assert_exactly_once(log, config))
