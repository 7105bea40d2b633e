"""A recording of the events of an Alertmanager, so that a policy can be tried on last month's alerts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.core.rules.compiled_policy import CompiledPolicy
from app.files.file_access import open_plain
from app.history.not_retained import NotRetained
from app.replay.alertmanager_events import EventCounts, EventJournal
from app.replay.recorder import tocsin_version
from app.replay.writer import RecordingWriter
from app.transport.log import StoredRecord
from app.transport.recording_format import RecordedPart, RecordingHeader
from models.journal import encode_policy
from models.topics import Topics

PREFIX = "tocsin"


@dataclass(frozen=True, slots=True)
class EventsRecording:
    """What was written: the journal's records, and what the stream had."""

    records: list[StoredRecord]
    counts: EventCounts
    size: int  # bytes of the file


def record_events(
    names: Sequence[str], lines: Sequence[bytes], policy: CompiledPolicy, path: Path
) -> EventsRecording:
    """Write a recording of events, one partition under one policy. `names` say where they are from.

    It has no effects: nothing was notified by it. Raises NotRetained; no file is left then.
    """
    now_ms = int(time.time() * 1000)
    journal = EventJournal(policy, now_ms)
    records = journal.records(lines, first_offset=1)
    if not records:
        why = f": {journal.counts.problems[0]}" if journal.counts.problems else ""
        raise NotRetained(
            f"{', '.join(names)}: has no alert that fires, must be of Alertmanager's event recorder"
            f" (0.33 or newer, --enable-feature=event-recorder), as JSON{why}"
        )
    first = StoredRecord(
        0, records[0].timestamp, None, encode_policy(policy.fingerprint, policy.document)
    )
    part = RecordedPart(0, 0, len(records) + 1, -1, policy.fingerprint, whole=True)
    header = RecordingHeader(
        tocsin_version(), now_ms, "an Alertmanager's events", PREFIX, 1, [part]
    )
    writer = RecordingWriter(path, header)
    try:
        writer.write(Topics(PREFIX).journal, 0, [first, *records])
        size = writer.finish()
    except BaseException:
        writer.abandon()
        raise
    return EventsRecording(records, journal.counts, size)


def lines_of(path: Path) -> list[bytes]:
    """The lines of a file. Raises NotRetained."""
    try:
        with open_plain(path) as file:
            return file.read().splitlines()
    except OSError as error:
        raise NotRetained(f"{path}: cannot be read: {error.strerror}") from None
