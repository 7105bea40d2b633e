"""`tocsin replay --policy FILE`: what another policy would have made of what is recorded."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from app.core.rules.compiled_policy import CompiledPolicy
from app.files import policy_file
from app.history.not_retained import NotRetained
from app.history.policies import compile_recorded
from app.render.whatif_html import comparison_page
from app.render.whatif_text import SHOWN_MAX, show_comparison
from app.settings import Settings
from app.terminal.style import as_text
from app.transport.log import Readable
from app.whatif.addressees import UnaddressedCommand
from app.whatif.as_json import comparison_json
from app.whatif.compare import compare_runs
from app.whatif.journal_scan import NotReplayable
from app.whatif.outcomes import facts_of
from app.whatif.runner import PlayedRuns, play_policies
from models.text.instant import format_instant
from models.text.sanitize import inert
from models.topics import Topics

WHAT_HAPPENED = "what happened"


def add_whatif(parser: argparse.ArgumentParser) -> None:
    """Add the options of a what-if run, beside `--journal` and `--json`."""
    parser.add_argument("--policy", metavar="FILE", help="what would this policy have made of it?")
    parser.add_argument(
        "--against", metavar="FILE", help="compare with this policy, rather than with what happened"
    )
    parser.add_argument(
        "--html", metavar="FILE", help="write a page with a picture of both courses of events"
    )
    parser.add_argument(
        "--verbose", action="store_true", help="every difference, however many there are"
    )


async def show_whatif(log: Readable, config: Settings, arguments: argparse.Namespace) -> bool:
    """Compare and tell.

    False when the journal cannot be replayed, which has been told. Raises BadPolicy,
    LogUnavailable.
    """
    policy = policy_file.load_policy(arguments.policy)
    against = policy_file.load_policy(arguments.against) if arguments.against else None
    began = time.monotonic()
    try:
        _check_folder(arguments.html)
        with _progress_bar() as progress:
            task = progress.add_task("replaying", total=None)

            def told(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            played = await play_policies(
                log, Topics(config.prefix), config.partitions, policy, against, told
            )
    except NotReplayable as error:
        print(f"tocsin: {inert(str(error))}", file=sys.stderr)
        return False
    _print_comparison(played, policy, against, arguments, time.monotonic() - began)
    return True


def _check_folder(html: str | None) -> None:
    """Raise NotReplayable when the page could not be written.

    Not only after everything has been replayed.
    """
    if html and not Path(html).parent.is_dir():
        raise NotReplayable(f"{Path(html).parent} is not a folder: make it, or name another file")


def _progress_bar() -> Progress:
    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(
        *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
    )


def _print_comparison(
    played: PlayedRuns,
    policy: CompiledPolicy,
    against: CompiledPolicy | None,
    arguments: argparse.Namespace,
    seconds: float,
) -> None:
    ends_ms = max(span.last_ms for span in played.survey.spans)
    before, after = facts_of(played.before, ends_ms), facts_of(played.after, ends_ms)
    comparison = compare_runs(before, after)
    heading = _heading_lines(played, policy, arguments)
    console = Console(stderr=arguments.json)
    for line in heading:
        console.print(as_text(line), soft_wrap=True)
    show_comparison(comparison, console, verbose=arguments.verbose)
    _print_left_out(played.left_out, console, verbose=arguments.verbose)
    if arguments.html:
        Path(arguments.html).write_text(
            comparison_page(
                comparison, heading, [*_delivered_commands(played.left_out), *played.notes]
            ),
            encoding="utf-8",
        )
        console.print()
        console.print(as_text(f"the picture: {arguments.html}"), soft_wrap=True)
    if arguments.json:
        facts = _comparison_json(played, policy, against, arguments)
        rate = round(played.survey.records / max(seconds, 0.001))
        print(
            json.dumps(
                facts
                | comparison_json(comparison)
                | {"seconds": round(seconds, 3), "records_per_second": rate}
            )
        )


def _heading_lines(
    played: PlayedRuns, policy: CompiledPolicy, arguments: argparse.Namespace
) -> list[str]:
    """What is compared with what, and from when to when it counts."""
    first, last = _time_range(played)
    against = arguments.against or WHAT_HAPPENED
    lines = [
        f"What if {arguments.policy} ({policy.fingerprint}) instead of {against} ({', '.join(_recorded_policies(played))})?",
        f"{played.survey.records:,} records, from {first[:19]}Z to {last[:19]}Z",
    ]
    return lines + [f"Note: {note}" for note in played.notes]


def _time_range(played: PlayedRuns) -> tuple[str, str]:
    spans = [span for span in played.survey.spans if span.last_ms]
    first_ms = min((span.first_ms for span in spans), default=0)
    return format_instant(first_ms), format_instant(
        max((span.last_ms for span in spans), default=0)
    )


def _recorded_policies(played: PlayedRuns) -> list[str]:
    """The policies of before, in the order in which they were in force."""
    if not played.before.recorded:
        return [played.before.policy.fingerprint]
    documents = [
        document for _, _, document in sorted(played.survey.policies, key=lambda item: item[0])
    ]
    return list(dict.fromkeys([played.before.policy.fingerprint, *_known_policies(documents)]))


def _known_policies(documents: list[dict[str, Any]]) -> list[str]:
    policies = []
    for document in documents:
        try:
            policies.append(compile_recorded(document, "the journal").fingerprint)
        except NotRetained:
            policies.append("refused")
    return policies


def _delivered_commands(commands: list[UnaddressedCommand]) -> list[str]:
    return [
        f"left out: {command.command} by {command.by} at {format_instant(command.at_ms)[:19]}Z"
        f" for {command.incident}, {command.title}"
        for command in commands
    ]


def _print_left_out(commands: list[UnaddressedCommand], console: Console, *, verbose: bool) -> None:
    """Say which commands had no incident to go to."""
    lines = _delivered_commands(commands)
    if not lines:
        return
    word = "command has" if len(lines) == 1 else "commands have"
    console.print(
        Text(
            f"\n{len(lines)} {word} no incident to go to under this policy", style="bold underline"
        )
    )
    for line in lines if verbose else lines[:SHOWN_MAX]:
        console.print(as_text(f"  {line}"), soft_wrap=True)


def _comparison_json(
    played: PlayedRuns,
    policy: CompiledPolicy,
    against: CompiledPolicy | None,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    first, last = _time_range(played)
    return {
        "records": played.survey.records,
        "from": first,
        "to": last,
        "against": arguments.against if against else WHAT_HAPPENED,
        "policy": {"before": _recorded_policies(played), "after": policy.fingerprint},
        "commands_left_out": [
            {
                "at": format_instant(command.at_ms),
                "command": command.command,
                "by": command.by,
                "incident": command.incident,
            }
            for command in played.left_out
        ],
        "commands_unknown": played.unknown,
        "receipts_left_out": played.survey.receipts,
        "notes": played.notes,
    }
