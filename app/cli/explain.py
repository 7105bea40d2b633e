"""`tocsin explain`: its arguments, the log that it reads, and what it prints."""

import argparse
import asyncio
import re
import sys
from typing import Any

import orjson

from app import settings
from app.cli.arguments import INCIDENT, add, add_journal
from app.explain.causes import Causes
from app.explain.effects import explain_effect
from app.explain.incidents import explain_incident
from app.explain.records import explain_record
from app.explain.tasks_and_silences import explain_silence, explain_task
from app.explain.tree import Node
from app.files import policy_file
from app.history.archive import Archive
from app.history.not_kept import NotKept
from app.history.snapshots import Index
from app.history.source import Source, open_source
from app.history.tracer import Tracer
from app.render.explanation_text import lines
from app.settings import Settings
from models.effect import EFFECT_ID
from models.incident import position_from_id
from models.sanitize import inert

_RECORD = re.compile(r"([0-9]{1,4})[:-]([0-9]{1,19})")


def add_explain(commands: Any) -> None:
    """Add the command."""
    explain = add(
        commands,
        "explain",
        _explain,
        "why somebody was paged, or nobody was",
        f"tocsin explain {INCIDENT}",
    )
    explain.add_argument(
        "id",
        nargs="?",
        help="an effect or a notification (3-1207-4), an incident, a task, a silence",
    )
    explain.add_argument(
        "--record", metavar="P:OFFSET", help="what this journal record did, or why it did nothing"
    )
    add_journal(explain)
    explain.add_argument("--json", action="store_true", help="for programs")


def _explain(arguments: argparse.Namespace) -> int:
    if (arguments.id is None) == (arguments.record is None):
        print(
            "tocsin: explain: say an id, or --record P:OFFSET; see tocsin explain --help",
            file=sys.stderr,
        )
        return 2
    return asyncio.run(_with_log(arguments))


async def _with_log(arguments: argparse.Namespace) -> int:
    async with open_source(arguments.journal, settings.from_environment()) as source:
        return await show(source, arguments)


async def show(source: Source, arguments: argparse.Namespace) -> int:
    """Print an explanation; the exit status."""
    config = source.config
    archive = Archive(source)
    tracer = Tracer(
        archive,
        lambda: policy_file.load(config.policy_file),
        Index(f"{source.where} {config.prefix}"),
    )
    try:
        node = await explain(archive, tracer, config, arguments)
    except NotKept as why:
        print(f"tocsin: {inert(str(why))}", file=sys.stderr)
        return 1
    if arguments.json:
        print(orjson.dumps(node.document()).decode())
    else:
        print("\n".join(lines(node)))
    return 0


async def explain(
    archive: Archive, tracer: Tracer, config: Settings, arguments: argparse.Namespace
) -> Node:
    """The explanation that is asked for. Raises NotKept."""
    causes = Causes(archive, tracer, config.policy_file)
    if arguments.record is not None:
        place = _RECORD.fullmatch(arguments.record)
        if place is None:
            raise NotKept(
                f"--record is {arguments.record!r:.60}, must be PARTITION:OFFSET such as 3:1207"
            )
        return await explain_record(archive, tracer, causes, int(place[1]), int(place[2]))
    name = arguments.id
    if EFFECT_ID.fullmatch(name):
        return await explain_effect(archive, tracer, causes, name)
    incident, _, task = name.partition(".")
    try:
        position_from_id(incident)
    except ValueError:
        return await explain_silence(archive, tracer, causes, name)
    if task:
        return await explain_task(archive, tracer, causes, name)
    return await explain_incident(archive, tracer, causes, name)
