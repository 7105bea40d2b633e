"""`tocsin incidents`.

What the effects topics tell, for people and for programs: incidents, and the timeline of one.
"""

import argparse
import json
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.text import Text

from app.cli.arguments import add_journal_option
from app.cli.board_client import (
    Asked,
    board_of,
    document_at,
    incident_path,
    items_at,
    without_times,
)
from app.terminal.incidents_table import incidents_table, print_incidents
from app.terminal.style import as_text
from models.incident import State
from models.text.duration import format_ms
from models.text.instant import milliseconds


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the command's arguments."""
    add_journal_option(parser)
    if name == "incidents show":
        parser.set_defaults(run=_show)
        parser.add_argument("incident")
        parser.add_argument("--json", action="store_true", help="one JSON object")
    else:
        parser.set_defaults(run=_list)
        parser.add_argument("--all", action="store_true", help="closed ones too")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _list(arguments: argparse.Namespace) -> int:
    with board_of(arguments) as board:
        show_incidents(board, arguments)
    return 0


def show_incidents(board: Asked, arguments: argparse.Namespace) -> None:
    """Print the incidents."""
    states = [state for state in State if arguments.all or state is not State.CLOSED]
    incidents = items_at(board, "/api/v1/incidents", {"state": ",".join(states)})
    if arguments.json:
        for incident in incidents:
            print(json.dumps(incident))
    elif incidents:
        print_incidents(incidents, Console())
    else:
        print("no incident is open" if not arguments.all else "there was no incident yet")


def _show(arguments: argparse.Namespace) -> int:
    with board_of(arguments) as board:
        show_incident(board, arguments)
    return 0


def show_incident(board: Asked, arguments: argparse.Namespace) -> None:
    """Print one incident and its timeline. Raises TocsinError when there is none of that id."""
    answer = document_at(board, incident_path(arguments.incident))
    incident = without_times(answer)
    if arguments.json:
        print(json.dumps(incident))
        return
    console = Console()
    console.print(incidents_table([incident], console.width))
    if incident["state"] not in ("closed", "resolved") and incident["next"]:
        console.print(Text("next: ", style="bold") + as_text(incident["next"]), soft_wrap=True)
    console.print(Text("then: ", style="bold") + as_text(_next_command(incident)), soft_wrap=True)
    for line in _incident_facts(incident, milliseconds(answer["now"])):
        console.print(as_text(line), soft_wrap=True)
    if incident.get("timeline_dropped"):
        console.print(f"  {incident['timeline_dropped']} older entries are left out")
    for entry in incident["timeline"]:
        by = entry.get("by") or ""
        entry_text = entry["text"] if by in entry["text"] else f"{entry['text']} (by {by})"
        console.print(as_text(f"  {entry['at']}  {entry['kind']:<15}{entry_text}"), soft_wrap=True)


def _next_command(incident: dict[str, Any]) -> str:
    """The command that the procedure wants next of whoever has the incident."""
    name = incident["incident"]
    if incident["state"] == "closed":
        return f"tocsin report {name}; what it left to do: tocsin followups"
    if incident["state"] == "open":
        return f"tocsin ack {name}"
    if incident["state"] == "acknowledged" and not incident["mitigated_at"]:
        return f'tocsin update {name} "how it goes" --eta 30m; once it is: tocsin mitigate {name}'
    if not incident["root_cause"]:
        return f'tocsin root-cause {name} "what it was"'
    return (
        f"tocsin resolve {name}" if incident["state"] == "acknowledged" else f"tocsin close {name}"
    )


def _incident_facts(incident: dict[str, Any], now_ms: int) -> Iterable[str]:
    """What somebody who has just been woken wants to know besides, a line each."""
    over = incident["state"] in ("resolved", "closed")
    if incident["suppressed_by"]:
        yield f"suppressed: {'; '.join(incident['suppressed_by'])}"
    if incident["parents"]:
        yield f"part of: {', '.join(incident['parents'])}"
    if incident["members"]:
        names = [f"{member['name']} on {member['component']}" for member in incident["members"]]
        yield f"members: {', '.join(names)}"
    yield from (f"{name}: {url}" for name, url in incident["links"].items())
    if incident["assignee"] or incident["acknowledged_by"]:
        yield f"with: {incident['assignee'] or incident['acknowledged_by']}"
    if incident["eta_at"] and not over:
        yield f"expected to be over: {incident['eta_at'][:19]}Z, {_from_now(incident['eta_at'], now_ms)}"
    if incident["root_cause"]:
        yield f"root cause: {incident['root_cause']}"
    for name, clock in incident["clocks"].items():
        if clock["state"] in ("running", "warned"):
            if not over:
                yield f"{name}: due {_from_now(clock['due_at'], now_ms)}"
        else:
            yield f"{name}: {clock['state']}, was due {clock['due_at'][:19]}Z"


def _from_now(instant: str, now_ms: int) -> str:
    left_ms = milliseconds(instant) - now_ms
    return f"in {format_ms(left_ms)}" if left_ms > 0 else f"{format_ms(-left_ms)} ago"
