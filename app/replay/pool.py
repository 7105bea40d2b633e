"""Replaying several partitions, one after the other, or in several processes.

Each is the work of one `ReplayJob`.
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
from app.replay.messages import ReceivedMessages
from app.replay.output import encode_line
from app.replay.verification import VerificationResult, Verifier
from app.settings import Settings
from models.effect import Effect

POLL_SECONDS = 0.2  # between two looks at how far other processes are

Live = Callable[
    [int, Sequence[Effect]], Awaitable[None]
]  # is handed a partition's effects as they come


@dataclass(frozen=True, slots=True)
class ReplayJob:
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
class JobResult:
    """What came of a job.

    `records` counts those of the range, `applied` also those before it that led to its state.
    """

    partition: int
    records: int = 0
    applied: int = 0
    poisons: int = 0
    policy: str = ""
    effects: dict[str, int] = field(default_factory=dict)  # by stream
    checked: VerificationResult | None = None
    messages: ReceivedMessages | None = None


async def replay_job(
    source: Source,
    job: ReplayJob,
    advance: Callable[[int], None],
    pace: Pace | None = None,
    live: Live | None = None,
) -> JobResult:
    """Do a job: read, apply, write, compare."""
    done = JobResult(job.partition)
    feeding = Feeding(source, job.partition, job.start)
    verifier = (
        Verifier(source, job.partition, job.first, job.end, job.applied) if job.verify else None
    )
    messages = ReceivedMessages(job.partition, source.config.partitions)
    if verifier is not None:
        await verifier.start()
    file = job.part.open("wb") if job.part is not None else None
    try:
        async for records, effects in feeding.run(job.end, job.batch, pace):
            done.applied += len(records)
            wanted = (
                effects if records[0].offset >= job.first else _effects_from(effects, job.first)
            )
            if verifier is not None:
                verifier.take(wanted)
                messages.take(wanted)
                messages.note(records)
            if wanted:
                await _hand_out(job, done, wanted, file, live)
            advance(len(records))
    finally:
        if file is not None:
            file.close()
    done.records, done.poisons = job.end - job.first, feeding.poisons
    done.policy = feeding.engine.policy.fingerprint
    if verifier is not None:
        done.checked, done.messages = verifier.finish(), messages
    return done


def _effects_from(effects: Sequence[Effect], first: int) -> Sequence[Effect]:
    """The effects of the range, without those of what only led to its state."""
    return [effect for effect in effects if effect.position.offset >= first]


async def _hand_out(
    job: ReplayJob,
    done: JobResult,
    effects: Sequence[Effect],
    file: IO[bytes] | None,
    live: Live | None,
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
    jobs: Sequence[ReplayJob],
    advance: Callable[[int], None],
    pace: Pace | None,
    live: Live | None,
) -> list[JobResult]:
    """Do all jobs in this process: one after the other, or side by side where they keep a pace."""
    spare_the_collector()
    if pace is not None:
        return list(
            await asyncio.gather(*(replay_job(source, job, advance, pace, live) for job in jobs))
        )
    return [await replay_job(source, job, advance, None, live) for job in jobs]


def work_together(
    jobs: Sequence[ReplayJob], workers: int, advance: Callable[[int], None]
) -> list[JobResult]:
    """Do the jobs in so many processes; what came of them, in the jobs' order."""
    context = multiprocessing.get_context("spawn")
    progress = context.Queue()
    # The longest first, so that no process has a long one left at the end.
    order = sorted(jobs, key=lambda job: job.start.offset - job.end)
    with ProcessPoolExecutor(workers, context, _begin_worker, (progress,)) as pool:
        waiting: dict[Future[JobResult], int] = {
            pool.submit(_run_job, job): job.partition for job in order
        }
        left = set(waiting)
        try:
            while left:
                finished, left = wait(left, POLL_SECONDS, FIRST_COMPLETED)
                for future in finished:
                    future.result()
                _drain_progress(progress, advance)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    results = {partition: item.result() for item, partition in waiting.items()}
    return [results[job.partition] for job in jobs]


def _drain_progress(progress: Any, advance: Callable[[int], None]) -> None:
    while True:
        try:
            advance(progress.get_nowait())
        except queue.Empty:
            return


_progress: Any = None  # of a process of the pool: the queue on which it says how far it is


def _begin_worker(progress: Any) -> None:
    global _progress  # noqa: PLW0603  a pool's process has no other place
    _progress = progress
    spare_the_collector()


def _run_job(job: ReplayJob) -> JobResult:
    async def run() -> JobResult:
        async with open_source(job.journal, job.config) as source:
            return await replay_job(source, job, _progress.put)

    return asyncio.run(run())
