"""The journal: whether it can be reached and read, its topics, its clock, its workers, its disk. Nothing is written."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from app.clock import system_ms
from app.doctor.finding import Finding, Level
from app.history.checkpoints import newest_meta
from app.settings import Settings
from app.transport.kafka import AccessForbidden, KafkaLog
from app.transport.log import LogAway, LogUnavailable, Readable
from app.transport.security import client_settings
from app.transport.sqlite import SqliteLog
from models.text.duration import format_ms
from models.text.plural import plural
from models.topics import Topics

CLOCK_MS = 10_000  # more is told
LOW_BYTES = 1024**3  # below this a disk may be full within hours
NONE_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Disk:
    """How much of a disk is free, in bytes."""

    free: int
    total: int


def disk_of(path: Path) -> Disk:
    """The disk that a path is on."""
    usage = shutil.disk_usage(path)
    return Disk(usage.free, usage.total)


async def check_journal(
    config: Settings, disk_at: Callable[[Path], Disk] = disk_of
) -> list[Finding]:
    """Everything about the journal that the settings name."""
    if config.embedded:
        return await _check_embedded(config, disk_at)
    return await _check_kafka(config)


async def _check_embedded(config: Settings, disk_at: Callable[[Path], Disk]) -> list[Finding]:
    folder = config.journal_dir
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    findings = [_space(there, disk_at(there))]
    if not os.access(there, os.W_OK):
        text = f"{there} cannot be written"
        remedy = "let the user of Tocsin write there; TOCSIN_BROKER names the folder"
        return [*findings, Finding("journal", Level.WRONG, text, remedy)]
    if not (folder / "journal.db").exists():
        text = f"{folder} has no journal yet: the first start makes it"
        return [*findings, Finding("journal", Level.GOOD, text)]
    log = SqliteLog(folder, read_only=True)
    try:
        await log.start()
        return [*findings, *await _check_log(config, log, f"the journal in {folder}")]
    except LogUnavailable as error:
        return [*findings, _unusable("journal", error)]
    finally:
        await log.stop()


async def _check_kafka(config: Settings) -> list[Finding]:
    log = KafkaLog(config.bootstrap, config.replication, client_settings(config.kafka))
    try:
        await log.start()
        where = f"Kafka at {', '.join(config.bootstrap)}"
        findings = await _check_log(config, log, where)
        await log.check_group(config.prefix)
        missing, problems = await log.compare_topics(Topics(config.prefix).specs(config.partitions))
    except LogUnavailable as error:
        return [_unusable("broker", error)]
    finally:
        await log.stop()
    findings += [Finding("topics", Level.WRONG, text) for text in problems]
    if missing and any(finding.subject == "workers" for finding in findings):
        text = f"these are missing: {', '.join(missing)}"
        findings.append(Finding("topics", Level.DOUBTFUL, text, "the next start makes them"))
    return findings


def _unusable(subject: str, error: LogUnavailable) -> Finding:
    match error:
        case AccessForbidden():
            return Finding("rights", Level.WRONG, str(error), "grant the rights of SECURITY.md")
        case LogAway():
            return Finding(subject, Level.WRONG, str(error), "start it, or correct TOCSIN_BROKER")
        case _:
            return Finding(subject, Level.WRONG, str(error))


async def _check_log(config: Settings, log: Readable, where: str) -> list[Finding]:
    """What any journal shows. Raises LogUnavailable."""
    topics = Topics(config.prefix)
    partitions = (await log.list_topics()).get(topics.journal, 0)
    if not partitions:
        text = f"{where} answers, and has no {topics.journal} yet: the first start makes it"
        return [Finding("topics", Level.GOOD, text)]
    good = Finding(
        "topics", Level.GOOD, f"{where} has {plural(partitions, 'partition')} of {topics.journal}"
    )
    if partitions != config.partitions:
        text = f"{topics.journal} has {plural(partitions, 'partition')}, TOCSIN_PARTITIONS is {config.partitions}"
        good = Finding("topics", Level.WRONG, text, f"set TOCSIN_PARTITIONS={partitions}")
    newest_ms = 0
    without: list[int] = []
    wrong_by_ms = 0
    for partition in range(partitions):
        end = await log.end_offset(topics.journal, partition)
        records = await log.read(topics.journal, partition, end - 1, 1) if end else []
        newest_ms = max([newest_ms, *(record.timestamp for record in records)])
        meta = await newest_meta(log, topics.state, partition)
        if meta is None:
            without.append(partition)
        else:
            clock = orjson.loads(meta).get("clock", ("", 0, 0, 0))
            wrong_by_ms = max(wrong_by_ms, clock[3], key=abs)
    return [good, _clock(config, newest_ms, wrong_by_ms), _workers(without, partitions)]


def _clock(config: Settings, newest_ms: int, wrong_by_ms: int) -> Finding:
    if config.clock == "driven":
        return Finding("clocks", Level.GOOD, "somebody drives the journal's clock")
    ahead_ms = newest_ms - system_ms()
    remedy = "set the clocks of the machines right (chrony, systemd-timesyncd)"
    if ahead_ms > CLOCK_MS:
        text = f"the newest record is {format_ms(ahead_ms)} ahead of this machine's clock"
        return Finding("clocks", Level.WRONG, text, remedy)
    if wrong_by_ms:
        side = "ahead" if wrong_by_ms > 0 else "behind"
        text = f"the clock that stamps the journal is {format_ms(abs(wrong_by_ms))} {side}"
        return Finding("clocks", Level.WRONG, text, remedy)
    return Finding("clocks", Level.GOOD, "the journal's clock agrees with its workers")


def _workers(without: list[int], partitions: int) -> Finding:
    if without:
        where = f"{len(without)} of {plural(partitions, 'partition')}"
        text = f"no worker has ever written a checkpoint in {where}"
        return Finding("workers", Level.DOUBTFUL, text, "start tocsin worker, or tocsin up")
    return Finding("workers", Level.GOOD, "every partition has a checkpoint")


def _space(folder: Path, disk: Disk) -> Finding:
    free = f"{disk.free / 1024**3:.1f} GiB of {disk.total / 1024**3:.1f} are free at {folder}"
    if disk.free < NONE_BYTES:
        remedy = "make space: nothing is acknowledged while the disk is full"
        return Finding("disk", Level.WRONG, free, remedy)
    if disk.free < LOW_BYTES:
        return Finding("disk", Level.DOUBTFUL, free, "make space before it is full")
    return Finding("disk", Level.GOOD, free)
