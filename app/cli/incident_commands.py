"""The commands with which operators act on an incident: over HTTP, through a bridge."""

import argparse
import getpass
import sys
import urllib.parse
from collections.abc import Callable
from typing import Any

from app.cli.arguments import add_text
from app.cli.bridge_client import ask_bridge
from models.command import Command, Verdict
from models.incident import partition_from_id
from models.text.sanitize import inert

NOT_ANSWERED = 3  # exit status: it is in the journal, and no worker has answered yet
DETAILS = ("to", "team", "verdict", "scope", "eta", "number", "step")


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the command's arguments."""
    command = Command(name)
    parser.set_defaults(run=_SENDERS.get(command, _send), command=command)
    if command is Command.DONE:
        parser.add_argument("task", help="as tocsin followups shows it")
    else:
        parser.add_argument("incident", help="its id, as tocsin incidents list shows it")
    match command:
        case Command.ASSIGN:
            parser.add_argument("to", nargs="?", help="a person")
            parser.add_argument("--team", help="a team of the policy")
        case Command.ASSESS:
            parser.add_argument("verdict", choices=[str(verdict) for verdict in Verdict])
            parser.add_argument("--scope", help="what is affected")
        case Command.UPDATE:
            parser.add_argument("--eta", help="when it should be over: 30m, or an RFC 3339 time")
        case Command.COMPLAINT:
            parser.add_argument("--number", type=int, default=1, help="how many more (1)")
        case Command.ESCALATE:
            parser.add_argument(
                "--step", type=int, help="of the owner's chain; the next step if it is not given"
            )
        case Command.MERGE:
            parser.add_argument("part", help="the id of the incident that becomes a part of it")
        case Command.SPLIT:
            parser.add_argument(
                "part", help="what is no part of it: the id of an incident, a component or an alert"
            )
        case _:
            pass  # nothing but what is said
    add_text(parser)


def _send(arguments: argparse.Namespace) -> int:
    details = {name: getattr(arguments, name, None) for name in DETAILS}
    return _post(arguments, arguments.incident, details)


def _send_done(arguments: argparse.Namespace) -> int:
    incident, _, name = arguments.task.partition(".")
    return _post(arguments, incident, {"task": name})


def _send_merge(arguments: argparse.Namespace) -> int:
    return _post(arguments, arguments.part, {"into": arguments.incident})


def _send_split(arguments: argparse.Namespace) -> int:
    part = _part_of(arguments.incident, arguments.part)
    return 1 if part is None else _post(arguments, part, {})


def _part_of(incident: str, name: str) -> str | None:
    """The id of the incident that is meant of the parts of one; None where stderr has said why."""
    try:
        partition_from_id(name)
    except ValueError:
        pass
    else:
        return name
    answer = ask_bridge("GET", f"/api/v1/incidents/{urllib.parse.quote(incident, safe='')}", None)
    if answer is None:
        return None
    members = answer["members"]
    meant = sorted(
        {
            member["incident"]
            for member in members
            if name in (member["component"], member["alert"], member["name"])
        }
    )
    if len(meant) == 1:
        return str(meant[0])
    parts = ", ".join(
        sorted({f"{member['component']} ({member['incident']})" for member in members})
    )
    problem = f"has {len(meant)} parts" if meant else "has no part"
    text = f"{incident} {problem} named {name!r}, must be one of: {parts or 'none'}"
    print(f"tocsin: {inert(text)}", file=sys.stderr)
    return None


def _post(arguments: argparse.Namespace, incident: str, details: dict[str, Any]) -> int:
    given = {name: value for name, value in details.items() if value is not None}
    body = {"by": arguments.by or getpass.getuser(), "text": " ".join(arguments.text), **given}
    path = f"/api/v1/incidents/{urllib.parse.quote(incident, safe='')}/{arguments.command}"
    answer = ask_bridge("POST", path, body)
    if answer is None:
        return 1
    if answer["status"] == "accepted":
        text = f"{incident}: {answer['text']}; look later: tocsin incidents show {incident}"
        print(f"tocsin: {inert(text)}", file=sys.stderr)
        return NOT_ANSWERED
    text = answer["texts"][0]
    state = f" is {answer['state']}" if "state" in answer else ""
    print(inert(f"{incident}{state}: {text}"))
    return 0


_SENDERS: dict[Command, Callable[[argparse.Namespace], int]] = {
    Command.DONE: _send_done,
    Command.MERGE: _send_merge,
    Command.SPLIT: _send_split,
}
