"""Reading the effects topics, and printing reports, follow-up tasks and availability."""

import argparse
import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from app import policy_file
from app.history import effects_of, incidents_of, inert, no_such_incident
from app.report.availability import month_of, outages, share
from app.report.build import build
from app.report.markdown import markdown
from app.settings import Settings
from app.transport.log import Log
from models.duration import format_ms
from models.instant import format_instant
from models.topics import Topics


async def show_report(log: Log, config: Settings, arguments: argparse.Namespace) -> bool:
    """Print the report of an incident; False when there is none of that id."""
    incidents = {one["incident"]: one for one in await incidents_of(log, config)}
    incident = incidents.get(arguments.incident)
    if incident is None:
        no_such_incident(arguments.incident, incidents)
        return False
    topics = Topics(config.prefix)
    found = [
        [one for one in await effects_of(log, topic, config.partitions) if one["incident"] == arguments.incident]
        for topic in (topics.timeline, topics.notifications, topics.escalations, topics.followups)
    ]
    timeline, notifications, escalations, tasks = found
    newest = {task["task"]: task for task in tasks}
    notifications.sort(key=lambda one: str(one["at"]))  # digests' actors live in other partitions
    report = build(incident, timeline, notifications, escalations, newest.values())
    print(json.dumps(report) if arguments.json else markdown(report), end="\n" if arguments.json else "")
    return True


async def show_followups(log: Log, config: Settings, arguments: argparse.Namespace) -> bool:
    """Print what is to be done, what is due first at the top."""
    effects = await effects_of(log, Topics(config.prefix).followups, config.partitions)
    tasks = sorted({one["task"]: one for one in effects}.values(), key=lambda one: (one["due_at"], one["task"]))
    shown = [one for one in tasks if arguments.all or one["state"] == "open"]
    if arguments.json:
        for one in shown:
            print(json.dumps(one))
        return True
    if not shown:
        print("nothing is left to do")
        return True
    now = format_instant(log.now_ms())
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("task", "due", "owner", "what"):
        table.add_column(name, no_wrap=name == "task", overflow="fold")
    for one in shown:
        overdue = " overdue" if one["state"] == "open" and one["due_at"] < now else ""
        due = f"{one['due_at'][:16]}{overdue}" if one["state"] == "open" else one["state"]
        table.add_row(inert(one["task"]), inert(due), inert(one["owner"]), inert(one["title"]))
    Console().print(table)
    print('finish one: tocsin done TASK "what came of it"')
    return True


async def show_availability(log: Log, config: Settings, arguments: argparse.Namespace) -> bool:
    """Print how much of a month the policy's services were up; False when the month is none."""
    now_ms = log.now_ms()
    try:
        month = month_of(arguments.month, now_ms)
    except ValueError as error:
        print(f"tocsin: {error}", file=sys.stderr)
        return False
    timeline = await effects_of(log, Topics(config.prefix).timeline, config.partitions)
    spans = outages(timeline, now_ms)
    rows: list[dict[str, Any]] = []
    for target in policy_file.load(config.policy_file).policy.targets.availability:
        found = share(spans.get(target.name, []), month, now_ms)
        rows.append({"service": target.name, "target": target.target, **found, "met": found["up"] >= target.target})
    if arguments.json:
        for row in rows:
            print(json.dumps(row))
        return True
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("service", "up", "target", "down", "outages", ""):
        table.add_column(name, no_wrap=True)
    for row in rows:
        down, met = format_ms(row["down_ms"]), "" if row["met"] else "missed"
        table.add_row(row["service"], f"{row['up']:.3f} %", f"{row['target']} %", down, str(row["outages"]), met)
    Console().print(table)
    return True
