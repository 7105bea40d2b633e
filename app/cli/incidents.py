"""`tocsin incidents`.

What the effects topics tell, for people and for programs: incidents, and the timeline of one.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.text import Text

from app.cli.arguments import INCIDENT, add, add_journal
from app.cli.reading import reading
from app.history.effects import Document, effects_of, incident_of, incidents_of
from app.history.not_kept import NotKept
from app.settings import Settings
from app.terminal.incidents_table import incidents_table, print_incidents
from app.terminal.style import as_text
from app.transport.log import Readable
from models.duration import format_ms
from models.instant import milliseconds
from models.sanitize import inert
from models.topics import Topics


def add_incidents(commands: Any) -> None:
    """Add the commands."""
    incidents = commands.add_parser("incidents", help="list and show").add_subparsers(
        required=True, metavar="COMMAND"
    )
    listed = add(
        incidents,
        "list",
        reading(show_incidents),
        "the incidents that are not closed",
        "tocsin incidents list --all --json",
    )
    add_journal(listed)
    listed.add_argument("--all", action="store_true", help="closed ones too")
    listed.add_argument("--json", action="store_true", help="one JSON object a line")
    shown = add(
        incidents,
        "show",
        reading(show_incident),
        "one incident and its timeline",
        f"tocsin incidents show {INCIDENT}",
    )
    shown.add_argument("incident")
    add_journal(shown)
    shown.add_argument("--json", action="store_true", help="one JSON object")


async def show_incidents(log: Readable, config: Settings, arguments: argparse.Namespace) -> None:
    """Print the incidents."""
    incidents = await incidents_of(log, config)
    if not arguments.all:
        incidents = [one for one in incidents if one["state"] != "closed"]
    if arguments.json:
        for one in incidents:
            print(json.dumps(one))
    elif incidents:
        print_incidents(incidents, Console())
    else:
        print("no incident is open" if not arguments.all else "there was no incident yet")


async def incident_or_none(log: Readable, config: Settings, name: str) -> Document | None:
    """The newest snapshot of an incident; None when there is none of that id, which is told."""
    try:
        return await incident_of(log, config, name)
    except NotKept as error:
        print(inert(f"tocsin: {error}"), file=sys.stderr)
        return None


async def show_incident(log: Readable, config: Settings, arguments: argparse.Namespace) -> bool:
    """Print one incident and its timeline; False when there is none of that id."""
    incident = await incident_or_none(log, config, arguments.incident)
    if incident is None:
        return False
    timeline = await effects_of(
        log, Topics(config.prefix).timeline, config.partitions, about=arguments.incident
    )
    if arguments.json:
        print(json.dumps({**incident, "timeline": timeline}))
        return True
    console = Console()
    console.print(incidents_table([incident], console.width))
    if incident["state"] not in ("closed", "resolved") and incident["next"]:
        console.print(Text("next: ", style="bold") + as_text(incident["next"]), soft_wrap=True)
    console.print(Text("then: ", style="bold") + as_text(_then(incident)), soft_wrap=True)
    for line in _facts(incident, log.now_ms()):
        console.print(as_text(line), soft_wrap=True)
    for entry in timeline:
        by = entry.get("by") or ""
        said = entry["text"] if by in entry["text"] else f"{entry['text']} (by {by})"
        console.print(as_text(f"  {entry['at']}  {entry['kind']:<15}{said}"), soft_wrap=True)
    return True


def _then(incident: dict[str, Any]) -> str:
    """The command that the procedure wants next of whoever has the incident."""
    name = incident["incident"]
    if incident["state"] == "closed":
        return f"tocsin report {name}; what it left to do: tocsin followups"
    if incident["state"] == "open":
        return f"tocsin ack {name}"
    if incident["state"] == "acknowledged" and not incident["mitigated_at"]:
        return f'tocsin update {name} "how it goes" --eta 30m; once it is: tocsin mitigated {name}'
    if not incident["cause"]:
        return f'tocsin cause {name} "what it was"'
    return (
        f"tocsin resolve {name}" if incident["state"] == "acknowledged" else f"tocsin close {name}"
    )


def _facts(incident: dict[str, Any], now_ms: int) -> Iterable[str]:
    """What somebody who has just been woken wants to know besides, a line each."""
    over = incident["state"] in ("resolved", "closed")
    if incident["held_by"]:
        yield f"quiet: {'; '.join(incident['held_by'])}"
    if incident["parents"]:
        yield f"part of: {', '.join(incident['parents'])}"
    if incident["members"]:
        names = [f"{one['name']} on {one['component']}" for one in incident["members"]]
        yield f"members: {', '.join(names)}"
    if incident["assignee"] or incident["acknowledged_by"]:
        yield f"with: {incident['assignee'] or incident['acknowledged_by']}"
    if incident["eta_at"] and not over:
        yield f"expected to be over: {incident['eta_at'][:19]}Z, {_from_now(incident['eta_at'], now_ms)}"
    if incident["cause"]:
        yield f"cause: {incident['cause']}"
    for name, clock in incident["clocks"].items():
        if clock["state"] in ("running", "warned"):
            if not over:
                yield f"{name}: due {_from_now(clock['due_at'], now_ms)}"
        else:
            yield f"{name}: {clock['state']}, was due {clock['due_at'][:19]}Z"


def _from_now(instant: str, now_ms: int) -> str:
    left_ms = milliseconds(instant) - now_ms
    return f"in {format_ms(left_ms)}" if left_ms > 0 else f"{format_ms(-left_ms)} ago"
