"""The commands with which operators speak to a running Tocsin: over HTTP, to its bridge."""

import argparse
import getpass
import json
import sys
import urllib.parse
from typing import Any

from app.cli.arguments import INCIDENT, add
from app.cli.bridge_client import ask
from models.command import Command, Verdict
from models.matcher import parse_matcher
from models.sanitize import inert
from models.wire import matcher_document

# The command, what it is for, and what stands in an example after the incident.
_COMMANDS: dict[Command, tuple[str, str]] = {
    Command.ACKNOWLEDGE: ("take an incident: it stops climbing", '"looking into it"'),
    Command.ASSIGN: ("give an incident to somebody, or to another team", "bob --team data"),
    Command.ASSESSED: (
        "say whether it is genuine, and what is struck",
        'genuine --scope "a tenth of the users"',
    ),
    Command.NOTE: ("write something into the timeline", '"replica 2 is back"'),
    Command.CAUSE: (
        "name the root cause; also after the incident is closed",
        '"a migration held a lock"',
    ),
    Command.MITIGATED: ("say that the worst is over", '"traffic moved to the other region"'),
    Command.UPDATE: ("tell those who wait how it goes", '"restarting replicas" --eta 30m'),
    Command.COMPLAINT: ("count complaints of customers", "--number 3"),
    Command.ESCALATE: (
        "call the next step of the chain, or the one named",
        '--step 4 "we need a decision"',
    ),
    Command.RESOLVE: ("say that it is over", '"rolled back"'),
    Command.REOPEN: ("say that it is not over", '"it is back"'),
    Command.CLOSE: ("close a resolved incident before it has settled", ""),
}


def add_operating(commands: Any) -> None:
    """Add the commands."""
    for command, (text, example) in _COMMANDS.items():
        aliases = ["ack"] if command is Command.ACKNOWLEDGE else []
        one = add(
            commands,
            str(command),
            _command,
            text,
            f"tocsin {command} {INCIDENT} {example}".rstrip(),
            aliases,
        )
        one.add_argument("incident")
        if command is Command.ASSIGN:
            one.add_argument("to", nargs="?", help="a person")
            one.add_argument("--team", help="a team of the policy")
        elif command is Command.ASSESSED:
            one.add_argument("verdict", choices=[str(one) for one in Verdict])
            one.add_argument("--scope", help="what is struck")
        elif command is Command.UPDATE:
            one.add_argument("--eta", help="when it should be over: 30m, or an RFC 3339 time")
        elif command is Command.COMPLAINT:
            one.add_argument("--number", type=int, default=1, help="how many more (1)")
        elif command is Command.ESCALATE:
            one.add_argument(
                "--step", type=int, help="of the owner's chain; the next one otherwise"
            )
        _add_said(one)
        one.set_defaults(command=command)
    done = add(
        commands,
        str(Command.DONE),
        _done,
        "a follow-up task is done",
        f'tocsin done {INCIDENT}.review "held on Tuesday"',
    )
    done.add_argument("task", help="as tocsin followups shows it")
    _add_said(done)
    _add_silences(commands)


def _add_said(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="*", help="what to say about it")
    parser.add_argument("--by", default="", help="who you are; the login name if it is not given")


def _add_silences(commands: Any) -> None:
    text = "what is known about, and told to nobody for a while"
    silences = commands.add_parser("silence", help=text).add_subparsers(
        required=True, metavar="COMMAND"
    )
    made = add(
        silences,
        "add",
        _silence,
        "silence alerts",
        "tocsin silence add alertname=SlowDisk --for 2h",
    )
    made.add_argument(
        "matchers", nargs="+", metavar="MATCHER", help='such as team="ai" or alertname=~"Slow.*"'
    )
    made.add_argument("--for", dest="lasts", default="1h", help="for how long (1h)")
    made.add_argument("--comment", default="", help="why")
    made.add_argument("--by", default="", help="who you are; the login name if it is not given")
    listed = add(
        silences,
        "list",
        _silences,
        "the silences that have not ended",
        "tocsin silence list --json",
    )
    listed.add_argument(
        "--json", action="store_true", help="one JSON object a line, as the API has them"
    )
    ended = add(
        silences,
        "expire",
        _expire,
        "end a silence",
        "tocsin silence expire 3b241101-e2bb-4255-8caf-4136c566a962",
    )
    ended.add_argument("silence")


def _command(arguments: argparse.Namespace) -> int:
    names = ("to", "team", "verdict", "scope", "eta", "number", "step")
    details = {name: getattr(arguments, name, None) for name in names}
    return _say(arguments, arguments.incident, arguments.command, details)


def _done(arguments: argparse.Namespace) -> int:
    incident, _, name = arguments.task.partition(".")
    return _say(arguments, incident, Command.DONE, {"task": name})


def _say(
    arguments: argparse.Namespace, incident: str, command: str, details: dict[str, Any]
) -> int:
    said = {name: value for name, value in details.items() if value is not None}
    body = {"by": arguments.by or getpass.getuser(), "text": " ".join(arguments.text), **said}
    answer = ask(
        "POST", f"/api/v1/incidents/{urllib.parse.quote(incident, safe='')}/{command}", body
    )
    if answer is None:
        return 1
    print(
        f"{incident}: {command} is in the journal; see what came of it: tocsin incidents show {incident}"
    )
    return 0


def _silence(arguments: argparse.Namespace) -> int:
    try:
        matchers = [parse_matcher(text) for text in arguments.matchers]
    except ValueError as error:
        print(f"tocsin: a matcher {error}", file=sys.stderr)
        return 1
    body = {
        "matchers": [matcher_document(one) for one in matchers],
        "endsAt": arguments.lasts,
        "createdBy": arguments.by or getpass.getuser(),
        "comment": arguments.comment,
    }
    answer = ask("POST", "/api/v2/silences", body)
    if answer is None:
        return 1
    name = inert(str(answer["silenceID"]))
    print(f"{name}: silenced for {arguments.lasts}; end it: tocsin silence expire {name}")
    return 0


def _silences(arguments: argparse.Namespace) -> int:
    answer = ask("GET", "/api/v2/silences", None)
    if answer is None:
        return 1
    known = [one for one in answer if one["status"]["state"] != "expired"]
    if arguments.json:
        print("".join(f"{json.dumps(one)}\n" for one in known), end="")
        return 0
    for one in known:
        signs = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}
        what = " ".join(
            f"{m['name']}{signs[m['isRegex'], m['isEqual']]}{json.dumps(m['value'])}"
            for m in one["matchers"]
        )
        lasts = f"{one['status']['state']} until {one['endsAt'][:19]}Z"
        print(inert(f"{one['id']}  {lasts}  {what}  by {one['createdBy']!r}"))
    if not known:
        print("nothing is silenced")
    return 0


def _expire(arguments: argparse.Namespace) -> int:
    if (
        ask("DELETE", f"/api/v2/silence/{urllib.parse.quote(arguments.silence, safe='')}", None)
        is None
    ):
        return 1
    print(f"{arguments.silence}: expired")
    return 0
