"""The commands with which operators act on an incident: over HTTP, through a bridge."""

import argparse
import getpass
import sys
import urllib.parse
from typing import Any

from app.cli.arguments import add_text
from app.cli.bridge_client import ask_bridge
from models.command import Command, Verdict
from models.sanitize import inert

NOT_ANSWERED = 3  # exit status: it is in the journal, and no worker has answered yet
DETAILS = ("to", "team", "verdict", "scope", "eta", "number", "step")


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the command's arguments."""
    command = Command(name)
    parser.set_defaults(run=_send_done if command is Command.DONE else _send, command=command)
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
        case _:
            pass  # nothing but what is said
    add_text(parser)


def _send(arguments: argparse.Namespace) -> int:
    details = {name: getattr(arguments, name, None) for name in DETAILS}
    return _post(arguments, arguments.incident, details)


def _send_done(arguments: argparse.Namespace) -> int:
    incident, _, name = arguments.task.partition(".")
    return _post(arguments, incident, {"task": name})


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
