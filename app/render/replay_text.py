"""What came of a replay, as a table for people and as an object for programs."""

from typing import Any

from rich.console import Console
from rich.text import Text

from app.history.source import Source
from app.replay.replay import ReplayOutcome
from app.replay.verification import COUNTS
from app.terminal.style import as_text, plain_table
from models.effect import Stream
from models.text.sanitize import inert_lines

_NOTES = {
    "compacted": "older snapshots that compaction has dropped",
    "expired": "older than what their topics keep",
    "pending": "not certainly worked up by the worker yet",
    "duplicates": "stand a second time with the same bytes, which consumers drop",
    "foreign": "records without a position, which nobody reads",
    "elsewhere": "messages to partitions, or times, that are not here",
}


def outcome_json(outcome: ReplayOutcome) -> dict[str, Any]:
    """The outcome as an object; `identical` and what belongs to it only when it was verified.

    `effects` counts without messages. `records_per_second` counts also the records that only led to
    a range's state.
    """
    effects: dict[str, int] = {}
    for done in outcome.done:
        for stream, number in done.effects.items():
            effects[stream] = effects.get(stream, 0) + number
    messages = effects.pop(Stream.JOURNAL, 0)
    document: dict[str, Any] = {
        "records": sum(done.records for done in outcome.done),
        "effects": sum(effects.values()),
        "messages": messages,
        "by_stream": dict(sorted(effects.items())),
        "poisons": sum(done.poisons for done in outcome.done),
        "seconds": round(outcome.seconds, 2),
        "records_per_second": round(
            sum(done.applied for done in outcome.done) / max(outcome.seconds, 1e-6)
        ),
        "partitions": {
            str(job.partition): {"from": job.first, "to": job.end, "started": job.start.how}
            for job in outcome.jobs
        },
    }
    if outcome.checked is not None:
        document["identical"] = outcome.checked.differences == 0
        document["differences"] = outcome.checked.differences
        document["first_difference"] = outcome.difference
        document["compared"] = {name: getattr(outcome.checked, name) for name in COUNTS}
    return document


def show_outcome(source: Source, outcome: ReplayOutcome, console: Console) -> None:
    """Print the outcome."""
    table = plain_table()
    table.add_column("partition", justify="right")
    table.add_column("offsets", justify="right")
    table.add_column("records", justify="right")
    table.add_column("effects", justify="right")
    table.add_column("state from")
    for job, done in zip(outcome.jobs, outcome.done, strict=True):
        effects = sum(number for stream, number in done.effects.items() if stream != Stream.JOURNAL)
        offsets = f"{job.first} to {job.end - 1}"
        table.add_row(
            str(job.partition), offsets, f"{done.records:,}", f"{effects:,}", job.start.how
        )
    console.print(table)
    document = outcome_json(outcome)
    streams = (
        ", ".join(f"{number:,} {stream}" for stream, number in document["by_stream"].items())
        or "none"
    )
    console.print(
        Text(f"effects: {streams}; {document['messages']:,} messages between actors"),
        soft_wrap=True,
    )
    rate = f"{document['records_per_second']:,} records/s"
    console.print(
        as_text(
            f"{document['records']:,} records of {source.description} in {outcome.seconds:.1f} s: {rate}"
        ),
        soft_wrap=True,
    )
    if document["poisons"]:
        console.print(Text(f"{document['poisons']} faults of Tocsin, passed over as a worker does"))
    if outcome.checked is not None:
        _show_checked(outcome, console)


def _show_checked(outcome: ReplayOutcome, console: Console) -> None:
    checked = outcome.checked
    assert checked is not None
    for name, text in _NOTES.items():
        number = getattr(checked, name)
        if number:
            console.print(Text(f"no difference: {number:,} {text}", style="dim"), soft_wrap=True)
    if not checked.differences:
        console.print(
            Text(f"identical: {checked.identical:,} records, byte for byte", style="bold green")
        )
        return
    console.print(
        Text(
            f"differences: {checked.differences:,}, beside {checked.identical:,} identical",
            style="bold red",
        )
    )
    console.print(Text(f"the first: {inert_lines(outcome.difference)}"), soft_wrap=True)
