"""`tocsin open`: an incident that a person opens, through a bridge."""

import argparse
import getpass
import sys
from typing import Any

from app.cli.arguments import add_person
from app.cli.bridge_client import ask_bridge
from app.cli.incident_commands import NOT_ANSWERED
from models.severity import Severity
from models.text.sanitize import inert


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=_run)
    parser.add_argument("title", nargs="+", help="what is wrong, in a few words")
    parser.add_argument(
        "--severity",
        required=True,
        choices=[str(severity) for severity in Severity],
        help="how bad it is",
    )
    parser.add_argument("--team", default="", help="a team of the policy (its default team)")
    parser.add_argument(
        "--component", default="", help="what is broken; its open incident is joined, if any"
    )
    parser.add_argument("--text", default="", help="what is known so far")
    add_person(parser)


def _run(arguments: argparse.Namespace) -> int:
    body = {
        "by": arguments.by or getpass.getuser(),
        "title": " ".join(arguments.title),
        "severity": arguments.severity,
        "team": arguments.team,
        "component": arguments.component,
        "text": arguments.text,
    }
    answer: Any = ask_bridge("POST", "/api/v1/incidents", body)
    if answer is None:
        return 1
    if answer["status"] == "accepted":
        print(f"tocsin: {inert(answer['text'])}", file=sys.stderr)
        return NOT_ANSWERED
    text = f"{answer['incident']} is {answer['state']}: {answer['severity']} of {answer['owner']}"
    print(inert(text))
    return 0
