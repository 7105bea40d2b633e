"""Replaying several partitions, one after the other, or in several processes.

Each is the work of one `Job`.
"""

import asyncio
import multiprocessing
import queue
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from app.history.feeder import Feeding, Pace
from app.history.source import Source, open_source
from app.history.state_at import Start
from app.memory import spare_the_collector
from app.replay.messages import Messages
from app.replay.output import encode_line
from app.replay.verification import Checked, Verifier
from app.settings import Settings
from models.effect import Effect

POLL_SECONDS = 0.2  # between two looks at how far other processes are

Live = Callable[
    [int, Sequence[Effect]], Awaitable[None]
]  # is handed a partition's effects as they come


@dataclass(frozen=True, slots=True)
class Job:
    """What to replay of a partition, and how; it can be handed to another process.

    `part` is the file into which the effects are written, those that name `about` if it is an
    incident's id.
    """

    journal: str  # as `open_source` takes it
    config: Settings
    partition: int
    first: int
    end: int
    start: Start
    batch: int
    verify: bool
    applied: int
    part: Path | None
    about: str


@dataclass(slots=True)
class Done:
    """What came of a job.

    `records` counts those of the range, `applied` also those before it that led to its state.
    """

    partition: int
    records: int = 0
    applied: int = 0
    poisons: int = 0
    policy: str = ""
    effects: dict[str, int] = field(default_factory=dict)  # by stream
    checked: Checked | None = None
    messages: Messages | None = None


async def work(
    source: Source,
    job: Job,
    advance: Callable[[int], None],
    pace: Pace | None = None,
    live: Live | None = None,
) -> Done:
    """Do a job: read, apply, write, compare."""
    done = Done(job.partition)
    feeding = Feeding(source, job.partition, job.start)
    verifier = (
        Verifier(source, job.partition, job.first, job.end, job.applied) if job.verify else None
    )
    messages = Messages(job.partition, source.config.partitions)
    if verifier is not None:
        await verifier.start()
    file = job.part.open("wb") if job.part is not None else None
    try:
        async for records, effects in feeding.run(job.end, job.batch, pace):
            done.applied += len(records)
            found = effects if records[0].offset >= job.first else _from(effects, job.first)
            if verifier is not None:
                verifier.take(found)
                messages.take(found)
                messages.note(records)
            if found:
                await _give(job, done, found, file, live)
            advance(len(records))
    finally:
        if file is not None:
            file.close()
    done.records, done.poisons = job.end - job.first, feeding.poisons
    done.policy = feeding.engine.policy.fingerprint
    if verifier is not None:
        done.checked, done.messages = verifier.finish(), messages
    return done


def _from(effects: Sequence[Effect], first: int) -> Sequence[Effect]:
    """The effects of the range, without those of what only led to its state."""
    return [effect for effect in effects if effect.position.offset >= first]


async def _give(
    job: Job, done: Done, effects: Sequence[Effect], file: IO[bytes] | None, live: Live | None
) -> None:
    for effect in effects:
        done.effects[effect.stream] = done.effects.get(effect.stream, 0) + 1
    if job.about and (file is not None or live is not None):
        effects = [effect for effect in effects if job.about.encode() in effect.value]
    if file is not None:
        file.writelines(encode_line(job.partition, effect) for effect in effects)
    if live is not None:
        await live(job.partition, effects)


async def work_alone(
    source: Source,
    jobs: Sequence[Job],
    advance: Callable[[int], None],
    pace: Pace | None,
    live: Live | None,
) -> list[Done]:
    """Do all jobs in this process: one after the other, or side by side where they keep a pace."""
    spare_the_collector()
    if pace is not None:
        return list(await asyncio.gather(*(work(source, job, advance, pace, live) for job in jobs)))
    return [await work(source, job, advance, None, live) for job in jobs]


def work_together(jobs: Sequence[Job], workers: int, advance: Callable[[int], None]) -> list[Done]:
    """Do the jobs in so many processes; what came of them, in the jobs' order."""
    context = multiprocessing.get_context("spawn")
    progress = context.Queue()
    # The longest first, so that no process has a long one left at the end.
    order = sorted(jobs, key=lambda job: job.start.offset - job.end)
    with ProcessPoolExecutor(workers, context, _begin, (progress,)) as pool:
        waiting: dict[Future[Done], int] = {pool.submit(_work, job): job.partition for job in order}
        left = set(waiting)
        try:
            while left:
                finished, left = wait(left, POLL_SECONDS, FIRST_COMPLETED)
                for one in finished:
                    one.result()
                _drain(progress, advance)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    found = {partition: one.result() for one, partition in waiting.items()}
    return [found[job.partition] for job in jobs]


def _drain(progress: Any, advance: Callable[[int], None]) -> None:
    while True:
        try:
            advance(progress.get_nowait())
        except queue.Empty:
            return


_progress: Any = None  # of a process of the pool: the queue on which it says how far it is


def _begin(progress: Any) -> None:
    global _progress  # noqa: PLW0603  a pool's process has no other place
    _progress = progress
    spare_the_collector()


def _work(job: Job) -> Done:
    async def run() -> Done:
        async with open_source(job.journal, job.config) as source:
            return await work(source, job, _progress.put)

    return asyncio.run(run())
