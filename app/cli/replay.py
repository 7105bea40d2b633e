"""`tocsin record` and `tocsin replay`: their options, and how they are run."""

import argparse
import asyncio
import json
import shlex
import sys
from pathlib import Path

from rich.console import Console

from app import settings
from app.cli import record_events
from app.cli.arguments import add_journal_option
from app.cli.span_options import add_spans
from app.cli.whatif import add_whatif, show_whatif
from app.history.not_retained import NotRetained
from app.history.source import open_source
from app.render.replay_text import outcome_json, show_outcome
from app.replay.recorder import write_recording
from app.replay.replay import Choice, Options, Show, choose_replay, run_replay
from app.terminal.effect_line import effect_line
from app.terminal.progress import progress_bar
from app.transport.recording_format import RecordingHeader
from models.text.instant import format_instant
from models.text.sanitize import inert

BATCH = 5000  # records that the engine is given at once, if nothing else is said


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the command's arguments."""
    add_journal_option(parser, "what TOCSIN_BROKER names is read")
    add_spans(parser)
    if name == "record":
        record_events.add_arguments(parser)
        parser.set_defaults(run=_run_record)
        parser.add_argument("file", metavar="FILE", help="to be written; must not be there yet")
    else:
        parser.set_defaults(run=_run_replay)
        _add_replay(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object last")


def _run_record(arguments: argparse.Namespace) -> int:
    path = Path(arguments.file)
    if path.exists():
        raise NotRetained(f"{path} is there already: name another file, or remove it")
    if not path.parent.is_dir():
        raise NotRetained(f"{path.parent} is not a folder: make it, or name another file")
    if arguments.events:
        return record_events.run(arguments, path)
    if arguments.policy:
        raise NotRetained("--policy is of --from-alertmanager-events: a journal has its policy")
    return asyncio.run(_write_recording(arguments, path))


async def _write_recording(arguments: argparse.Namespace, path: Path) -> int:
    async with open_source(arguments.journal, settings.from_environment()) as source:
        applied, spans = await choose_replay(source, _choice(arguments))
        with progress_bar(
            "recording", sum(span.end - (span.first or 0) for span in spans)
        ) as advance:
            header = await write_recording(
                source, spans, applied, path, arguments.incident or "", advance
            )
    _print_recorded(header, path, as_json=arguments.json)
    return 0


def _print_recorded(header: RecordingHeader, path: Path, *, as_json: bool) -> None:
    records, size = sum(part.end - part.first for part in header.parts), path.stat().st_size
    told = ", ".join(f"{part.partition} ({part.first} to {part.end - 1})" for part in header.parts)
    out = sys.stderr if as_json else sys.stdout
    summary = (
        f"{records:,} records of {header.source}, {size:,} bytes; partitions and offsets: {told}"
    )
    print(inert(f"{path}: {summary}"), file=out)
    print(inert(f"look at it: tocsin replay --journal {shlex.quote(str(path))} --verify"), file=out)
    if as_json:
        parts = {part.partition: {"from": part.first, "to": part.end} for part in header.parts}
        recorded_at = format_instant(header.recorded_ms)
        print(
            json.dumps(
                {"records": records, "bytes": size, "recorded_at": recorded_at, "partitions": parts}
            )
        )


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--verify",
        action="store_true",
        help="compare with what was really said; status 1 if it differs",
    )
    parser.add_argument("--output", metavar="FILE", help="write the effects as JSON lines")
    parser.add_argument(
        "--print", action="store_true", help="show the effects in the terminal, by time"
    )
    parser.add_argument(
        "--to-prefix",
        metavar="NAME",
        help="write the effects to topics of this prefix, which begin empty",
    )
    parser.add_argument(
        "--to-journal", metavar="FOLDER", help="write them to topics of a new embedded journal"
    )
    parser.add_argument(
        "--speed",
        type=_parse_speed,
        metavar="10x",
        help="keep the records' pace, so many times as fast",
    )
    parser.add_argument(
        "--batch", type=_parse_count, default=BATCH, metavar="N", help=f"records at once ({BATCH})"
    )
    parser.add_argument(
        "--workers", type=_parse_count, default=1, metavar="N", help="processes (1)"
    )
    add_whatif(parser)


def _parse_count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of 1 or more")
    return int(text)


def _parse_speed(text: str) -> float:
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} must be such as 10x, 1x or 0.5x")
    return speed


def _run_replay(arguments: argparse.Namespace) -> int:
    _check_whatif(arguments)
    if arguments.speed and arguments.workers > 1:
        raise NotRetained(
            "--speed keeps all partitions at one pace, in one process: leave out --workers"
        )
    if arguments.output and not Path(arguments.output).parent.is_dir():
        raise NotRetained(
            f"{Path(arguments.output).parent} is not a folder: make it, or name another file"
        )
    return asyncio.run(_replay_log(arguments))


def _check_whatif(arguments: argparse.Namespace) -> None:
    """Refuse what a what-if run does not take, and what only it takes. Raises NotRetained."""
    if not arguments.policy:
        alone = [name for name in ("against", "html", "verbose") if getattr(arguments, name)]
        if alone:
            raise NotRetained(f"--{alone[0]} is for a what-if run: say which policy, --policy FILE")
        return
    flags = {"first": "from", "end": "to"}
    names = (
        "partition",
        *flags,
        "incident",
        "verify",
        "output",
        "print",
        "to_prefix",
        "to_journal",
        "speed",
    )
    given = [
        flags.get(name, name).replace("_", "-")
        for name in names
        if getattr(arguments, name) not in (None, False, "")
    ]
    if given:
        text = "tocsin record makes a recording of a part"
        raise NotRetained(f"--policy takes all that is recorded, without --{given[0]}: {text}")


def _choice(arguments: argparse.Namespace) -> Choice:
    return Choice(arguments.partition, arguments.first, arguments.end, arguments.incident)


def _options(arguments: argparse.Namespace) -> Options:
    return Options(
        arguments.journal,
        _choice(arguments),
        arguments.batch,
        arguments.workers,
        arguments.speed or 0.0,
        arguments.verify,
        arguments.output or "",
        arguments.to_prefix or "",
        arguments.to_journal or "",
    )


def _show(arguments: argparse.Namespace) -> Show | None:
    """What prints the effects, if that is wanted."""
    if not arguments.print:
        return None
    console = Console()
    return lambda partition, effect: console.print(effect_line(partition, effect), soft_wrap=True)


async def _replay_log(arguments: argparse.Namespace) -> int:
    config = settings.from_environment()
    async with open_source(arguments.journal, config) as source:
        if arguments.policy:
            return int(not await show_whatif(source.log, source.config, arguments))
        outcome = await run_replay(
            source, config, _options(arguments), progress_bar, _show(arguments)
        )
    show_outcome(source, outcome, Console(stderr=arguments.json))
    if arguments.json:
        print(json.dumps(outcome_json(outcome)))
    return 1 if outcome.checked is not None and outcome.checked.differences else 0
