"""A replay from its options to its outcome."""

import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.history.feeder import Pace
from app.history.not_retained import NotRetained
from app.history.source import Source
from app.history.spans import Bound, OffsetSpan, choose_spans
from app.history.state_at import start_of
from app.replay.difference import describe_difference
from app.replay.incidents import spans_of
from app.replay.messages import ReplayedPartition, compare_messages
from app.replay.output import ScratchTopics, by_time, write_file
from app.replay.pool import JobResult, Live, ReplayJob, work_alone, work_together
from app.replay.verification import VerificationResult
from app.settings import Settings
from app.transport.kafka import KafkaLog
from app.transport.log import Log
from app.transport.security import client_settings
from app.transport.sqlite import SqliteLog
from models.effect import Effect, Stream

Show = Callable[[int, Effect], None]  # is shown the effects of a partition, by time
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which records: of some partitions, from one bound up to another, or of an incident."""

    partition: Sequence[int] | None = None
    first: Bound | None = None
    end: Bound | None = None
    incident: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """How a replay is made, and where its effects go.

    `journal` is the source as `open_source` takes it; `speed` 0 is as fast as it goes.
    """

    journal: str
    choice: Choice
    batch: int
    workers: int = 1
    speed: float = 0.0
    verify: bool = False
    output: str = ""
    to_prefix: str = ""
    to_journal: str = ""


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What a replay came to.

    `difference` is the first one in words, "" when all is identical or nothing was compared.
    """

    jobs: list[ReplayJob]
    done: list[JobResult]
    seconds: float
    checked: VerificationResult | None
    difference: str


async def run_replay(
    source: Source, config: Settings, options: Options, progress: Progress, show: Show | None
) -> ReplayOutcome:
    """Replay what the options choose; `show` is handed the effects, if it is given.

    Raises NotRetained and LogUnavailable; nothing was written then.
    """
    applied, spans = await choose_replay(source, options.choice)
    with tempfile.TemporaryDirectory(prefix="tocsin-replay-") as folder:
        jobs = [
            await _make_job(
                source,
                config,
                options,
                span,
                applied[span.partition],
                Path(folder),
                shown=show is not None,
            )
            for span in spans
        ]
        async with _scratch_topics(source, config, options) as scratch:
            began = time.monotonic()
            done = await _run_jobs(source, jobs, options, scratch, progress, show)
            checked = await _compare_partitions(source, jobs, done) if options.verify else None
            seconds = time.monotonic() - began
            await _write_effects(jobs, options, scratch, show)
    first = checked.first if checked is not None else None
    difference = ""
    if first is not None and checked is not None:
        policies = {result.partition: result.policy for result in done}
        difference = await describe_difference(
            source, first, checked.differences - 1, policies.get(first.partition, "")
        )
    return ReplayOutcome(jobs, done, seconds, checked, difference)


async def choose_replay(source: Source, choice: Choice) -> tuple[dict[int, int], list[OffsetSpan]]:
    """How far each partition's worker has come, and the spans that the options choose.

    Raises NotRetained.
    """
    if source.topics.journal not in await source.log.list_topics():
        raise NotRetained(
            f"{source.description} has no topic {source.topics.journal}: a replay writes effects only"
        )
    # Asked first: what a worker had worked up by then stands in the topics, and what it sent in the
    # journals.
    applied = {partition: await source.applied(partition) for partition in source.partitions}
    if choice.incident is None:
        return applied, await choose_spans(source, choice.partition, choice.first, choice.end)
    if choice.partition or choice.first or choice.end:
        raise NotRetained(
            "--incident says itself which partitions and offsets: leave out --partition, --from and --to"
        )
    return applied, await spans_of(source, choice.incident)


async def _make_job(
    source: Source,
    config: Settings,
    options: Options,
    span: OffsetSpan,
    applied: int,
    folder: Path,
    *,
    shown: bool,
) -> ReplayJob:
    start = await start_of(source, span)
    later = (_sends_effects(options) or shown) and not options.speed
    return ReplayJob(
        options.journal,
        config,
        span.partition,
        start.offset + 1 if span.first is None else span.first,
        span.end,
        start,
        options.batch,
        options.verify,
        applied,
        folder / f"{span.partition}.jsonl" if options.output or later else None,
        options.choice.incident or "",
    )


async def _run_jobs(
    source: Source,
    jobs: Sequence[ReplayJob],
    options: Options,
    scratch: ScratchTopics | None,
    progress: Progress,
    show: Show | None,
) -> list[JobResult]:
    with progress("replaying", sum(job.end - job.start.offset - 1 for job in jobs)) as advance:
        if options.workers > 1 and len(jobs) > 1:
            return work_together(jobs, min(options.workers, len(jobs)), advance)
        if not options.speed:
            return await work_alone(source, jobs, advance, None, None)
        first_ms = [
            (await source.log.read(source.topics.journal, job.partition, job.first, 1))[0].timestamp
            for job in jobs
        ]
        pace, live = Pace(options.speed, min(first_ms)), _live_output(scratch, show)
        return await work_alone(source, jobs, advance, pace, live)


def _live_output(scratch: ScratchTopics | None, show: Show | None) -> Live:
    async def take(partition: int, effects: Sequence[Effect]) -> None:
        if show is not None:
            for effect in effects:
                if effect.stream is not Stream.JOURNAL:
                    show(partition, effect)
        if scratch is not None:
            await scratch.send(partition, effects)

    return take


async def _compare_partitions(
    source: Source, jobs: Sequence[ReplayJob], done: Sequence[JobResult]
) -> VerificationResult:
    """What came of comparing all partitions' effects, and the messages between them."""
    total = VerificationResult()
    for result in done:
        if result.checked is not None:
            total.add(result.checked)
    replayed = {
        job.partition: ReplayedPartition(job.first, job.end, job.start.offset + 1, job.applied)
        for job in jobs
    }
    total.add(
        await compare_messages(
            source, [item.messages for item in done if item.messages is not None], replayed
        )
    )
    return total


async def _write_effects(
    jobs: Sequence[ReplayJob], options: Options, scratch: ScratchTopics | None, show: Show | None
) -> None:
    parts = [job.part for job in jobs if job.part is not None]
    if options.output:
        write_file(parts, Path(options.output))
    if options.speed:
        return  # the rest was written as it came
    if scratch is not None:
        for part in parts:
            await scratch.send_file(part)
    if show is not None:
        for partition, effect in by_time(parts):
            show(partition, effect)


def _sends_effects(options: Options) -> bool:
    return bool(options.to_prefix or options.to_journal)


@asynccontextmanager
async def _scratch_topics(
    source: Source, config: Settings, options: Options
) -> AsyncIterator[ScratchTopics | None]:
    """The topics that the effects are written to, made and found empty.

    Raises NotRetained when they are not.
    """
    if not _sends_effects(options):
        yield None
        return
    prefix = options.to_prefix or source.config.prefix
    log = _target_log(config, options, prefix)
    await log.start()
    try:
        scratch = ScratchTopics(log, prefix, source.config.partitions)
        await scratch.start()
        yield scratch
    finally:
        await log.stop()


def _target_log(config: Settings, options: Options, prefix: str) -> Log:
    if options.to_journal:
        folder = Path(options.to_journal)
        if folder.exists() and any(folder.iterdir()):
            raise NotRetained(
                f"{folder} is not empty: a replay writes to a journal of its own; name a new folder"
            )
        return SqliteLog(folder)
    if config.embedded:
        raise NotRetained(
            f"--to-prefix needs a broker, and TOCSIN_BROKER is {config.broker!r}: add --to-journal FOLDER, or set "
            "TOCSIN_BROKER to kafka://..."
        )
    if prefix == config.prefix:
        raise NotRetained(
            f"--to-prefix is {prefix!r}, the prefix of the live topics: name another one"
        )
    return KafkaLog(config.bootstrap, config.replication, client_settings(config.kafka))
