"""`tocsin report`, `followups` and `availability`: what the effects topics say of them, printed."""

import argparse
import json
import math
import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli.arguments import add_journal_option, add_json
from app.cli.board_client import (
    Asked,
    board_of,
    document_at,
    incident_path,
    pages_at,
    without_times,
)
from app.terminal.style import WIDE, as_text, plain_table
from models.text.duration import format_ms
from models.text.instant import milliseconds
from models.text.sanitize import inert, inert_lines


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the command's arguments."""
    shows = {
        "report": show_report,
        "followups": show_followups,
        "availability": show_availability,
    }
    parser.set_defaults(run=_show, show=shows[name])
    add_journal_option(parser)
    add_json(parser)
    if name == "report":
        parser.add_argument("incident")
    elif name == "followups":
        parser.add_argument("--all", action="store_true", help="also those that are done")
    else:
        parser.add_argument("--month", default="", help="such as 2026-11; this month otherwise")


def _show(arguments: argparse.Namespace) -> int:
    with board_of(arguments) as board:
        arguments.show(board, arguments)
    return 0


def show_report(board: Asked, arguments: argparse.Namespace) -> None:
    """Print the report of an incident. Raises TocsinError when there is none of that id."""
    path = incident_path(arguments.incident, "/report")
    if arguments.json:
        print(json.dumps(without_times(document_at(board, path))))
        return
    body, _ = board.get(path, {"format": "markdown"})
    print(inert_lines(body.decode(errors="replace")), end="")


def show_followups(board: Asked, arguments: argparse.Namespace) -> None:
    """Print what is to be done, what is due first at the top."""
    wanted = {"state": "all" if arguments.all else "open"}
    pages = list(pages_at(board, "/api/v1/followups", wanted))
    shown = [task for page in pages for task in page["items"]]
    if arguments.json:
        for task in shown:
            print(json.dumps(task))
        return
    if not shown:
        print("nothing is left to do")
        return
    console = Console()
    console.print(_tasks_table(shown, milliseconds(pages[-1]["now"]), console.width))
    if any(task["state"] == "open" for task in shown):
        print('finish one: tocsin done TASK "what came of it"')


def _tasks_table(tasks: list[dict[str, Any]], now_ms: int, width: int) -> Table:
    table = plain_table()
    table.add_column("task", no_wrap=True)
    table.add_column("due", no_wrap=True)
    if width >= WIDE:
        table.add_column("owner", no_wrap=True)
    table.add_column("what", overflow="fold")
    for task in tasks:
        cells = [as_text(task["task"]), _due_text(task, now_ms)]
        if width >= WIDE:
            cells.append(as_text(task["owner"]))
        table.add_row(*cells, as_text(task["title"]))
    return table


def _due_text(task: dict[str, Any], now_ms: int) -> Text:
    if task["state"] != "open":
        return as_text(
            f"{task['state']} by {task['done_by']}" if task["done_by"] else task["state"]
        )
    left_ms = milliseconds(task["due_at"]) - now_ms
    if left_ms > 0:
        return Text(f"in {format_ms(left_ms)}")
    return Text(f"{format_ms(-left_ms)} overdue", style="bold red")


def show_availability(board: Asked, arguments: argparse.Namespace) -> None:
    """Print how much of a month the policy's services were up. Raises TocsinError."""
    wanted = {"month": arguments.month} if arguments.month else {}
    answer = document_at(board, "/api/v1/availability", wanted)
    rows, kept_from = answer["services"], answer["kept_from"]
    if kept_from is not None:
        since = inert(str(kept_from)[:10])
        text = f"the timeline is kept from {since} on; outages before that are not counted"
        print(f"tocsin: {text}", file=sys.stderr)
    if arguments.json:
        for row in rows:
            print(json.dumps(row))
    elif rows:
        _print_availability(rows)
    else:
        print("the policy has no targets.availability, so no service's time is counted")


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
