"""A worker that kills itself at a named point: `python -m tests.faults.worker --die-at POINT:COUNT`.

The product knows nothing of it: its methods are wrapped from outside, and the COUNTth pass through
the point ends the process with SIGKILL, so that nothing is flushed, closed or said.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from faust.transport.drivers import aiokafka as driver

import app.transport.kafka
import app.worker.worker
from agents import ingest
from app.cli.main import main as run_tocsin
from app.transport.batches import BatchMixin
from app.transport.kafka import KafkaLog
from app.worker.worker import PartitionPipe, Worker


def die() -> NoReturn:
    """End as kill -9 would."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError  # not reached


class Point:
    """A place in the program; the `count`th pass dies."""

    def __init__(self, count: int) -> None:
        self.left = count

    def passed(self) -> bool:
        """Count a pass; whether it is the one."""
        self.left -= 1
        return self.left == 0

    def before(self, owner: Any, name: str, when: Callable[..., bool] = lambda *_: True) -> None:
        """Die before a method begins."""
        self._wrap(owner, name, when, after=False)

    def after(self, owner: Any, name: str, when: Callable[..., bool] = lambda *_: True) -> None:
        """Die when a method is done, and nobody has heard of it yet."""
        self._wrap(owner, name, when, after=True)

    def _wrap(self, owner: Any, name: str, when: Callable[..., bool], *, after: bool) -> None:
        method: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def wrapped(*arguments: Any, **named: Any) -> Any:
            if not after and when(*arguments) and self.passed():
                die()
            result = await method(*arguments, **named)
            if after and when(*arguments) and self.passed():
                die()
            return result

        setattr(owner, name, wrapped)

    def half_of(self, owner: Any, name: str) -> None:
        """Die when every other one of the appends that a method makes at once is done.

        The others are never begun.
        """
        method: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def wrapped(pipe: Any, effects: Any) -> None:
            if len({effect.stream for effect in effects}) > 1 and self.passed():
                pipe._log = _Half(pipe._log)
            await method(pipe, effects)

        setattr(owner, name, wrapped)


class _Half:
    """A log that makes every other append, and dies when those that were asked for at once are done."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._asked = self._under_way = 0

    async def append(self, *arguments: Any) -> int:
        self._asked += 1
        if self._asked % 2 == 0:
            await asyncio.Event().wait()
        self._under_way += 1
        offset = await self._log.append(*arguments)
        self._under_way -= 1
        if self._under_way == 0:
            die()
        return int(offset)


def _of_state(_: Any, __: Any, topic: str, *___: Any) -> bool:
    return topic.endswith(".state")


def _some(_: Any, things: Any, *__: Any) -> bool:
    return bool(things)


POINTS: dict[str, Callable[[Point], None]] = {
    "effects-half-sent": lambda point: point.half_of(PartitionPipe, "_send"),
    "effects-sent": lambda point: point.before(PartitionPipe, "_write"),
    "checkpoint-uncommitted": lambda point: point.after(app.transport.kafka, "_send", _of_state),
    "checkpoint-written": lambda point: point.after(PartitionPipe, "_write"),
    "committing": lambda point: point.before(driver.AIOKafkaConsumerThread, "commit", _some),
    "committed": lambda point: point.after(driver.AIOKafkaConsumerThread, "commit", _some),
    "raw-half-copied": lambda point: point.after(KafkaLog, "append", _copying),
    "raw-copied": lambda point: point.after(ingest, "copy"),
    "claimed": lambda point: point.after(KafkaLog, "claim"),
    "loaded": lambda point: point.after(app.worker.worker, "load_state"),
    "half-taken-over": lambda point: point.after(Worker, "take_over"),
    "revoking": lambda point: point.before(BatchMixin, "on_partitions_revoked", _some),
    "settled": lambda point: point.after(Worker, "close_after"),
}
COUNTS = {  # where the passes are numbered: a start takes four partitions over, and settles none
    "claimed": (1, 2, 4),
    "loaded": (1, 2, 4),
    "half-taken-over": (1, 2, 3),
    "revoking": (1, 1, 1),
    "settled": (2, 2, 2),
}
COUNTS_ELSE = (1, 3, 7)
REBALANCING = ("revoking", "settled")  # only passed when another worker comes


def _copying(_: Any, topic: str, __: int, records: Any) -> bool:
    """Whether an append is one of the agent that copies raw alerts."""
    return topic.endswith(".journal") and any(
        name == "source" and value[:4] == b"raw:" for name, value in _first(records)
    )


def _first(records: Any) -> Any:
    return records[0].headers if records else ()


def main() -> int:
    """Run a worker that dies at a point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--die-at", required=True, metavar="POINT:COUNT", help=", ".join(POINTS))
    name, count = parser.parse_args().die_at.split(":")
    POINTS[name](Point(int(count)))
    return run_tocsin(["worker"])


if __name__ == "__main__":
    sys.exit(main())
