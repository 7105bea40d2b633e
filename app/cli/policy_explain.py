"""`tocsin policy explain`: what the policy says of an alert, and by which line."""

import argparse
import json
from collections.abc import Iterator
from itertools import groupby

from app.clock import system_ms
from app.core.response.escalation import UNACKNOWLEDGED
from app.files import policy_file
from app.policy.evaluation import Explained, explain_alert
from app.policy.labels import parse_labels, read_alert
from models.alert import Labels
from models.reason import BadInput
from models.text.sanitize import inert
from models.wire import instant_ms

WIDTH = 12  # of the first column
AT_MS_END = 221_845_392_000_000  # the year 9000: what falls due after an alert, weeks later, has to have a time as well


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=_run_explain)
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument(
        "--labels", type=_parse_labels, metavar="NAME=VALUE,...", help="of the alert"
    )
    asked.add_argument(
        "--alert", metavar="FILE", help="JSON: an alert, its labels, or what a webhook sent"
    )
    parser.add_argument(
        "--policy",
        default="",
        metavar="FILE",
        help="the policy that ships with Tocsin, if none is given",
    )
    parser.add_argument(
        "--at",
        type=_parse_instant,
        metavar="TIME",
        help="when it fires, since hours matter (now): RFC 3339",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _parse_labels(text: str) -> Labels:
    try:
        return parse_labels(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parse_instant(text: str) -> int:
    try:
        instant = instant_ms(text, "--at")
    except BadInput as error:
        raise argparse.ArgumentTypeError(
            f"is {text!r:.60}, must be a time such as 2026-12-25T03:00:00Z"
        ) from error
    if instant is None:
        raise argparse.ArgumentTypeError("is empty, must be a time such as 2026-12-25T03:00:00Z")
    if instant >= AT_MS_END:
        raise argparse.ArgumentTypeError(f"is {text!r:.60}, must be before the year 9000")
    return instant


def _run_explain(arguments: argparse.Namespace) -> int:
    file = policy_file.read_policy_file(arguments.policy)
    labels = arguments.labels if arguments.labels is not None else read_alert(arguments.alert)
    at_ms = arguments.at if arguments.at is not None else system_ms()
    explained = explain_alert(file, labels, at_ms)
    if arguments.json:
        print(json.dumps(explained))
        return 0
    for name, lines in groupby(_explanation_lines(explained), key=lambda line: line[0]):
        for number, (_, text) in enumerate(lines):
            print(inert(f"{'' if number else name:<{WIDTH}}{text}"))
    print(
        inert(
            f"{'policy':<{WIDTH}}{explained['file']}, fingerprint {explained['policy']}, at {explained['at']}"
        )
    )
    return 0


def _explanation_lines(explained: Explained) -> Iterator[tuple[str, str]]:
    for name in ("severity", "component", "owner"):
        item = explained[name]
        called = f" ({item['name']})" if name == "owner" else ""
        yield name, f"{item['is']}{called}: {item['because']}  {_location_text(item)}"
    yield "class", f"{explained['class']['is']}, {explained['class']['prefix']}-..."
    yield from _notification_lines(explained)
    yield from _escalation_lines(explained)
    for item in explained["escalations"]:
        yield "escalates", f"{item['name']}: {item['when']}  {_location_text(item)}"
    if explained["clocks"]:
        yield (
            "clocks",
            ", ".join(f"{name} within {within}" for name, within in explained["clocks"].items()),
        )
    if explained["updates"]["every"]:
        reminders = explained["updates"]["reminders"]
        yield (
            "updates",
            f"every {explained['updates']['every']}; forgotten after {reminders} reminders",
        )
    if explained["runbook"]:
        runbook = explained["runbook"]
        more = f", and {runbook['steps'] - 1} more" if runbook["steps"] > 1 else ""
        yield "runbook", f"{runbook['name']}: {runbook['first']}{more}  {_location_text(runbook)}"
    for item in explained["followups"]:
        yield (
            "follow-ups",
            f"{item['name']}, due {item['due']} after it is resolved  {_location_text(item)}",
        )
    if explained["services"]:
        yield "services", f"{', '.join(explained['services'])}: down while it fires"
    for item in explained["rules"]:
        yield "rules", f"{item['kind']} {item['name']}: {item['role']}  {_location_text(item)}"


def _notification_lines(explained: Explained) -> Iterator[tuple[str, str]]:
    if not explained["notified"]:
        heartbeat = any(rule["kind"] == "heartbeat" for rule in explained["rules"])
        yield "notified", "nobody: it is a heartbeat" if heartbeat else "nobody, within ten days"
        return
    for item in explained["notified"]:
        yield (
            "notified",
            f"{_delay_text(item['after']):<10} {item['channel']:<6} {item['to']} ({item['address']})",
        )
    repeated = explained["again"]["repeated"]
    often = (
        f"again every {repeated} while nobody takes it"
        if repeated
        else "not again while nothing changes"
    )
    yield "notified", f"{often}; of more alerts after {explained['again']['more']}"


def _escalation_lines(explained: Explained) -> Iterator[tuple[str, str]]:
    yield "chain", " > ".join(explained["chain"])
    for step in explained["escalation_steps"]:
        rule = (
            ""
            if step["rule"] in step["because"] or step["rule"] == UNACKNOWLEDGED
            else f" ({step['rule']})"
        )
        yield (
            "chain",
            f"{_delay_text(step['after']):<10} step {step['step']}, {step['to']}: {step['because']}{rule}",
        )


def _delay_text(text: str) -> str:
    return "at once" if text == "0s" else f"after {text}"


def _location_text(explained: Explained) -> str:
    return f"[{explained['key']}, line {explained['line']}]"
