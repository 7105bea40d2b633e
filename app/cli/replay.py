"""`tocsin record` and `tocsin replay`: their options, and how they are run."""

import argparse
import asyncio
import json
import shlex
import sys
from pathlib import Path

from rich.console import Console

from app import settings
from app.cli.arguments import add_journal
from app.cli.span_options import add_spans
from app.cli.whatif import add_whatif, show_whatif
from app.history.not_kept import NotKept
from app.history.source import open_source
from app.render.replay_text import show, summary
from app.replay.recorder import record
from app.replay.replay import Choice, Options, Show, chosen, replay
from app.terminal.effect_line import effect_line
from app.terminal.progress import progress
from app.transport.recording_format import Header
from models.instant import format_instant
from models.sanitize import inert

BATCH = 5000  # records that the engine is given at once, if nothing else is said


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the command's arguments."""
    add_journal(parser, "what TOCSIN_BROKER names is read")
    add_spans(parser)
    if name == "record":
        parser.set_defaults(run=_record)
        parser.add_argument("file", metavar="FILE", help="to be written; must not be there yet")
    else:
        parser.set_defaults(run=_replay)
        _add_replay(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object last")


def _record(arguments: argparse.Namespace) -> int:
    path = Path(arguments.file)
    if path.exists():
        raise NotKept(f"{path} is there already: name another file, or remove it")
    if not path.parent.is_dir():
        raise NotKept(f"{path.parent} is not a folder: make it, or name another file")
    return asyncio.run(_recorded(arguments, path))


async def _recorded(arguments: argparse.Namespace, path: Path) -> int:
    async with open_source(arguments.journal, settings.from_environment()) as source:
        applied, spans = await chosen(source, _choice(arguments))
        with progress("recording", sum(span.end - (span.first or 0) for span in spans)) as advance:
            header = await record(source, spans, applied, path, arguments.incident or "", advance)
    _print_recorded(header, path, as_json=arguments.json)
    return 0


def _print_recorded(header: Header, path: Path, *, as_json: bool) -> None:
    records, size = sum(part.end - part.first for part in header.parts), path.stat().st_size
    told = ", ".join(f"{part.partition} ({part.first} to {part.end - 1})" for part in header.parts)
    out = sys.stderr if as_json else sys.stdout
    what = f"{records:,} records of {header.source}, {size:,} bytes; partitions and offsets: {told}"
    print(inert(f"{path}: {what}"), file=out)
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
        "--speed", type=_speed, metavar="10x", help="keep the records' pace, so many times as fast"
    )
    parser.add_argument(
        "--batch", type=_count, default=BATCH, metavar="N", help=f"records at once ({BATCH})"
    )
    parser.add_argument("--workers", type=_count, default=1, metavar="N", help="processes (1)")
    add_whatif(parser)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of 1 or more")
    return int(text)


def _speed(text: str) -> float:
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} must be such as 10x, 1x or 0.5x")
    return speed


def _replay(arguments: argparse.Namespace) -> int:
    _check_whatif(arguments)
    if arguments.speed and arguments.workers > 1:
        raise NotKept(
            "--speed keeps all partitions at one pace, in one process: leave out --workers"
        )
    if arguments.output and not Path(arguments.output).parent.is_dir():
        raise NotKept(
            f"{Path(arguments.output).parent} is not a folder: make it, or name another file"
        )
    return asyncio.run(_replayed(arguments))


def _check_whatif(arguments: argparse.Namespace) -> None:
    """Refuse what a what-if run does not take, and what only it takes. Raises NotKept."""
    if not arguments.policy:
        alone = [name for name in ("against", "html", "verbose") if getattr(arguments, name)]
        if alone:
            raise NotKept(f"--{alone[0]} is for a what-if run: say which policy, --policy FILE")
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
        raise NotKept(f"--policy takes all that is recorded, without --{given[0]}: {text}")


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


async def _replayed(arguments: argparse.Namespace) -> int:
    config = settings.from_environment()
    async with open_source(arguments.journal, config) as source:
        if arguments.policy:
            return int(not await show_whatif(source.log, source.config, arguments))
        outcome = await replay(source, config, _options(arguments), progress, _show(arguments))
    show(source, outcome, Console(stderr=arguments.json))
    if arguments.json:
        print(json.dumps(summary(outcome)))
    return 1 if outcome.checked is not None and outcome.checked.differences else 0
