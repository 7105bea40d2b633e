"""`tocsin incidents`.

What the effects topics tell, for people and for programs: incidents, and the timeline of one.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any

import orjson
from rich.console import Console
from rich.text import Text

from app.cli.arguments import add_journal
from app.history.source import reading
from app.settings import Settings
from app.terminal.incidents_table import incidents_table, print_incidents
from app.terminal.style import as_text
from app.transport.exactly_once import once
from app.transport.log import Readable
from models.duration import format_ms
from models.effect import Position
from models.instant import milliseconds
from models.sanitize import inert
from models.topics import Topics

# What a snapshot had not in 0.1.0: the topic is compacted, so an incident that was closed then has
# the shape of then.
_LATER: dict[str, Any] = {
    **dict.fromkeys(("status", "guide", "assignee", "mitigated_by", "cause", "cause_by"), ""),
    **dict.fromkeys(("told_at", "mitigated_at", "assessment", "eta_at")),
    "complaints": 0,
    "flapping": False,
    "clocks": {},
    **dict.fromkeys(("held_by", "parents", "services"), ()),
}


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the command's arguments."""
    add_journal(parser)
    if name == "incidents show":
        parser.set_defaults(run=reading(show_incident))
        parser.add_argument("incident")
        parser.add_argument("--json", action="store_true", help="one JSON object")
    else:
        parser.set_defaults(run=reading(show_incidents))
        parser.add_argument("--all", action="store_true", help="closed ones too")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")


async def effects_of(
    log: Readable, topic: str, partitions: int, about: str = ""
) -> list[dict[str, Any]]:
    """All effects of a topic, oldest first in each partition; each once, whatever happened to the worker.

    Those of one incident only, if `about` is its id: the others are not even parsed.
    """
    effects = []
    for partition in range(partitions):
        seen = Position(-1, -1)
        offset = await log.start_offset(topic, partition)
        while records := await log.read(topic, partition, offset):
            offset = records[-1].offset + 1
            for position, value, _ in once(records, seen):
                seen = position
                if about.encode() in value:
                    effects.append(orjson.loads(value))
    return [one for one in effects if one["incident"] == about] if about else effects


async def incidents_of(log: Readable, config: Settings) -> list[dict[str, Any]]:
    """The newest snapshot of each incident, in the order of their opening."""
    snapshots = await effects_of(log, Topics(config.prefix).incidents, config.partitions)
    newest = {snapshot["incident"]: snapshot for snapshot in snapshots}
    for snapshot in newest.values():
        for name, value in _LATER.items():
            snapshot.setdefault(name, value)
    return sorted(
        newest.values(), key=lambda snapshot: (snapshot["opened_at"], snapshot["incident"])
    )


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


async def incident_of(log: Readable, config: Settings, name: str) -> dict[str, Any] | None:
    """The newest snapshot of an incident.

    None when there is none of that id, which is said then.
    """
    incidents = {one["incident"]: one for one in await incidents_of(log, config)}
    if name not in incidents:
        known = ", ".join(list(incidents)[-3:]) or "none yet"
        print(inert(f"tocsin: no incident {name!r}; the newest are: {known}"), file=sys.stderr)
    return incidents.get(name)


async def show_incident(log: Readable, config: Settings, arguments: argparse.Namespace) -> bool:
    """Print one incident and its timeline; False when there is none of that id."""
    incident = await incident_of(log, config, arguments.incident)
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
