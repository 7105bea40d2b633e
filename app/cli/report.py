"""`tocsin report`, `followups` and `availability`: what the effects topics say of them, printed."""

import argparse
import json
import math
import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli.arguments import add, add_journal
from app.cli.incidents import incident_or_none
from app.cli.reading import reading
from app.files import policy_file
from app.history.effects import effects_of
from app.render.report_markdown import markdown
from app.report.availability import Ledger, Span, availability, month_of
from app.report.build import build
from app.settings import Settings
from app.terminal.style import WIDE, as_text, plain_table
from app.transport.log import Readable
from models.duration import format_ms
from models.instant import format_instant, milliseconds
from models.sanitize import inert
from models.topics import Topics


def add_reports(commands: Any) -> None:
    """Add the commands."""
    for name, show, text in (
        ("report", show_report, "the incident report, in Markdown or JSON"),
        ("followups", show_followups, "what closed incidents left to do"),
        ("availability", show_availability, "how much of a month services were up"),
    ):
        shown = add(
            commands,
            name,
            reading(show),
            text,
            f"tocsin {name}{' INC-...' if name == 'report' else ''}",
        )
        add_journal(shown)
        shown.add_argument("--json", action="store_true", help="for programs")
        if name == "report":
            shown.add_argument("incident")
        elif name == "followups":
            shown.add_argument("--all", action="store_true", help="also those that are done")
        else:
            shown.add_argument("--month", default="", help="such as 2026-11; this month otherwise")


async def show_report(log: Readable, config: Settings, arguments: argparse.Namespace) -> bool:
    """Print the report of an incident; False when there is none of that id."""
    incident = await incident_or_none(log, config, arguments.incident)
    if incident is None:
        return False
    topics = Topics(config.prefix)
    timeline, notifications, escalations, tasks = [
        await effects_of(log, topic, config.partitions, about=arguments.incident)
        for topic in (topics.timeline, topics.notifications, topics.escalations, topics.followups)
    ]
    newest = {task["task"]: task for task in tasks}
    notifications.sort(key=lambda one: str(one["at"]))  # digests' actors live in other partitions
    report = build(incident, timeline, notifications, escalations, newest.values())
    print(
        json.dumps(report) if arguments.json else markdown(report),
        end="\n" if arguments.json else "",
    )
    return True


async def show_followups(log: Readable, config: Settings, arguments: argparse.Namespace) -> bool:
    """Print what is to be done, what is due first at the top."""
    effects = await effects_of(log, Topics(config.prefix).followups, config.partitions)
    tasks = sorted(
        {one["task"]: one for one in effects}.values(), key=lambda one: (one["due_at"], one["task"])
    )
    shown = [one for one in tasks if arguments.all or one["state"] == "open"]
    if arguments.json:
        for one in shown:
            print(json.dumps(one))
        return True
    if not shown:
        print("nothing is left to do")
        return True
    console = Console()
    console.print(_tasks_table(shown, log.now_ms(), console.width))
    if any(one["state"] == "open" for one in shown):
        print('finish one: tocsin done TASK "what came of it"')
    return True


def _tasks_table(tasks: list[dict[str, Any]], now_ms: int, width: int) -> Table:
    table = plain_table()
    table.add_column("task", no_wrap=True)
    table.add_column("due", no_wrap=True)
    if width >= WIDE:
        table.add_column("owner", no_wrap=True)
    table.add_column("what", overflow="fold")
    for one in tasks:
        cells = [as_text(one["task"]), _due(one, now_ms)]
        if width >= WIDE:
            cells.append(as_text(one["owner"]))
        table.add_row(*cells, as_text(one["title"]))
    return table


def _due(task: dict[str, Any], now_ms: int) -> Text:
    if task["state"] != "open":
        return as_text(
            f"{task['state']} by {task['done_by']}" if task["done_by"] else task["state"]
        )
    left_ms = milliseconds(task["due_at"]) - now_ms
    if left_ms > 0:
        return Text(f"in {format_ms(left_ms)}")
    return Text(f"{format_ms(-left_ms)} overdue", style="bold red")


async def show_availability(log: Readable, config: Settings, arguments: argparse.Namespace) -> bool:
    """Print how much of a month the policy's services were up; False when the month is none."""
    now_ms = log.now_ms()
    try:
        month = month_of(arguments.month, now_ms)
    except ValueError as error:
        print(f"tocsin: {inert(str(error))}", file=sys.stderr)
        return False
    if month[0] > now_ms:
        this = format_instant(now_ms)[:7]
        print(
            f"tocsin: the month is {arguments.month!r}, which has not begun: this one is {this}",
            file=sys.stderr,
        )
        return False
    targets = policy_file.load(config.policy_file).policy.targets.availability
    ledger = Ledger(month[0])
    for entry in await effects_of(log, Topics(config.prefix).timeline, config.partitions):
        ledger.feed(entry)
    await _warn_of_loss(log, config, month)
    rows = availability(targets, ledger, month, now_ms)
    if arguments.json:
        for row in rows:
            print(json.dumps(row))
    elif rows:
        _print_availability(rows)
    else:
        print("the policy has no targets.availability, so no service's time is counted")
    return True


async def _warn_of_loss(log: Readable, config: Settings, month: Span) -> None:
    """Say so when the timeline is not kept for so long: what is not known any more counts as up."""
    topic = Topics(config.prefix).timeline
    for partition in range(config.partitions):
        start = await log.start_offset(topic, partition)
        oldest = await log.read(topic, partition, start, 1) if start else []
        if oldest and oldest[0].timestamp > month[0]:
            since = format_instant(oldest[0].timestamp)[:10]
            print(
                f"tocsin: the timeline is kept from {since} on; outages before that are not counted",
                file=sys.stderr,
            )
            return


def _print_availability(rows: list[dict[str, Any]]) -> None:
    table = plain_table()
    for name in (f"in {rows[0]['month']}", "up", "target", "down", "may still be", "outages", ""):
        table.add_column(
            name,
            no_wrap=True,
            justify="left" if name in ("", f"in {rows[0]['month']}") else "right",
        )
    for row in rows:
        up = math.floor(row["up"] * 1000) / 1000  # rounded down: never shown as better than it was
        left = (
            format_ms(row["budget_left_ms"])
            if row["met"]
            else f"{format_ms(-row['budget_left_ms'])} too long"
        )
        notes = Text(
            ", ".join(["missed"] * (not row["met"]) + ["down now"] * row["down"]), style="bold red"
        )
        cells = (
            f"{up:.3f} %",
            f"{row['target']:g} %",
            format_ms(row["down_ms"]),
            left,
            str(row["outages"]),
        )
        table.add_row(as_text(row["service"]), *cells, notes)
    Console().print(table)
