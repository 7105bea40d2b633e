"""`tocsin silence`: silences are made, listed and ended over HTTP, through a bridge."""

import argparse
import getpass
import json
import sys
import urllib.parse
from collections.abc import Iterator
from typing import Any

from app.cli.arguments import add_json, add_person
from app.cli.bridge_client import ask_bridge
from models.matcher import label_text, matcher_document, parse_matcher
from models.text.sanitize import inert


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the command's arguments."""
    if name == "silence list":
        parser.set_defaults(run=_list)
        add_json(parser, "one JSON object a line, as the API has them")
    elif name == "silence expire":
        parser.set_defaults(run=_expire)
        parser.add_argument("silence", help="its id, as tocsin silence list shows it")
    else:
        parser.set_defaults(run=_add)
        parser.add_argument(
            "matchers",
            nargs="+",
            metavar="MATCHER",
            help='such as team="ai" or alertname=~"Slow.*"',
        )
        parser.add_argument("--for", dest="lasts", default="1h", help="for how long (1h)")
        parser.add_argument("--comment", default="", help="why")
        parser.add_argument(
            "--dry-run", action="store_true", help="show what it would do, and do nothing"
        )
        add_person(parser)


def _add(arguments: argparse.Namespace) -> int:
    try:
        matchers = [parse_matcher(text) for text in arguments.matchers]
    except ValueError as error:
        print(f"tocsin: a matcher {error}", file=sys.stderr)
        return 1
    body = {
        "matchers": [matcher_document(matcher) for matcher in matchers],
        "endsAt": arguments.lasts,
        "createdBy": arguments.by or getpass.getuser(),
        "comment": arguments.comment,
    }
    if arguments.dry_run:
        preview = ask_bridge("POST", "/api/v1/silences/preview", body)
        if preview is None:
            return 1
        print("".join(f"{line}\n" for line in _outcome(preview["data"])), end="")
        return 0
    answer = ask_bridge("POST", "/api/v2/silences", body)
    if answer is None:
        return 1
    name = inert(str(answer["silenceID"]))
    print(f"{name}: silenced for {arguments.lasts}; end it: tocsin silence expire {name}")
    print("".join(f"{line}\n" for line in _outcome(answer)), end="")
    return 0


def _outcome(answer: Any) -> Iterator[str]:
    """What a silence acknowledges and mutes, and why not more; a line each."""
    for incident in answer.get("acknowledged", ()):
        yield inert(f"acknowledged: {incident}")
    for refused in answer.get("not_acknowledged", ()):
        yield inert(f"not acknowledged: {refused['incident']}: {refused['why']}")
    for kind, word in (("mutes", "muted"), ("covers", "muted with its root")):
        shown = answer.get(kind, ())
        for alert in shown:
            yield inert(f"{word}: {alert['name']} on {alert['component']} ({alert['incident']})")
        more = answer.get(f"{kind}_total", 0) - len(shown)
        if more > 0:
            yield f"{word}: {more} more"
    if not answer.get("complete", False):
        yield "not every worker has answered; the lists may be incomplete"
    elif not answer["mutes_total"] and not answer["acknowledged"]:
        yield "it matches no firing alert"


def _list(arguments: argparse.Namespace) -> int:
    answer = ask_bridge("GET", "/api/v2/silences", None)
    if answer is None:
        return 1
    known = [entry for entry in answer if entry["status"]["state"] != "expired"]
    if arguments.json:
        print("".join(f"{json.dumps(entry)}\n" for entry in known), end="")
        return 0
    for item in known:
        signs = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}
        matchers = " ".join(
            f"{label_text(m['name'])}{signs[m['isRegex'], m['isEqual']]}{json.dumps(m['value'])}"
            for m in item["matchers"]
        )
        lasts = f"{item['status']['state']} until {item['endsAt'][:19]}Z"
        print(inert(f"{item['id']}  {lasts}  {matchers}  by {item['createdBy']!r}"))
    if not known:
        print("nothing is silenced")
    return 0


def _expire(arguments: argparse.Namespace) -> int:
    if (
        ask_bridge(
            "DELETE", f"/api/v2/silence/{urllib.parse.quote(arguments.silence, safe='')}", None
        )
        is None
    ):
        return 1
    print(f"{arguments.silence}: expired")
    return 0
