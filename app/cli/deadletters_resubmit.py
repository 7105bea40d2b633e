"""`tocsin deadletters resubmit`: what was refused is sent to the bridge once more, after a fix, as what it was.

An alert counts as heard of now. A letter whose alerts the bridge took is noted in the journal, by
which everybody knows it: it is not sent a second time unless that is asked for. Were it sent all
the same, it would be a repeat while the alert fires. What is no alert is not sent: it says what it
was, and what to do.
"""

import argparse
import asyncio
import getpass
import json
import sys
from dataclasses import dataclass
from typing import Any

import orjson

from app.cli.arguments import add, add_journal
from app.cli.bridge_client import NoAnswer, Refusal, exchange
from app.cli.deadletters import find, show_letter, show_letters, word
from app.cli.reading import reading
from app.history.dead_letters import (
    Bodies,
    Letter,
    ends_of,
    letters_of,
    value_in,
    whole_value,
)
from app.intake.normalise import fingerprint_of, from_list, from_webhook, parse
from app.settings import Settings
from app.transport.log import Readable
from models.document import document_in
from models.duration import format_ms
from models.instant import NEWEST_MS, format_instant, milliseconds
from models.plural import counted
from models.reason import BadInput, Reason
from models.sanitize import inert

ALERTS, WEBHOOK = "/api/v2/alerts", "/webhook/alertmanager"
WAIT_SECONDS = 10.0  # for the worker to apply what was sent

REASONS = [one.value for one in Reason]

_NOT_SENT = {
    "signal": "a message between rules; it is said again when the alert fires anew",
    "hold": "a message between rules; it is said again when the alert fires anew",
    "member": "a message between rules; it is said again when the alert fires anew",
    "page": "a notification that was not sent; read it (show --raw), and tell them",
    "silence": "a silence; make it again: tocsin silence add MATCHER... --for 2h",
    "receipt": "a notifier's receipt; the notification's fate stands in the notifier's log",
    "policy": "a policy; see what is wrong with it (tocsin policy check FILE), and start the workers with it",
    "tick": "a tick; there is another each second",
    "refused": "a note of Tocsin's own",
    "resubmitted": "a note of Tocsin's own",
}


@dataclass(frozen=True, slots=True)
class Again:
    """What is to be sent to the bridge, and the fingerprints of the alerts in it."""

    path: str
    data: bytes
    fingerprints: frozenset[str]


def add_deadletters(commands: Any) -> None:
    """Add the commands."""
    text = "what was refused: list, show, send again"
    letters = commands.add_parser("deadletters", help=text).add_subparsers(
        required=True, metavar="COMMAND"
    )
    listed = add(
        letters,
        "list",
        reading(show_letters),
        "what was refused, the newest last",
        "tocsin deadletters list --reason malformed",
    )
    listed.add_argument(
        "--reason",
        default="",
        choices=REASONS,
        metavar="REASON",
        help="only what was refused for it",
    )
    listed.add_argument("--all", action="store_true", help="also what was resubmitted since")
    listed.add_argument("--json", action="store_true", help="one JSON object a line")
    add_journal(listed)
    shown = add(
        letters,
        "show",
        reading(show_letter),
        "all of one letter",
        "tocsin deadletters show 3-1234-0 --raw > record",
    )
    shown.add_argument("letter", help="its id, as tocsin deadletters list shows it")
    shown.add_argument(
        "--raw", action="store_true", help="write out the bytes that were refused, and nothing else"
    )
    shown.add_argument("--json", action="store_true", help="one JSON object")
    add_journal(shown)
    text = "send refused alerts to the bridge once more; they count as heard of now"
    again = add(
        letters,
        "resubmit",
        reading(resubmit),
        text,
        "tocsin deadletters resubmit --reason bound_reached --dry-run",
    )
    again.add_argument(
        "letters", nargs="*", metavar="ID", help="as tocsin deadletters list shows it"
    )
    again.add_argument(
        "--reason",
        default="",
        choices=REASONS,
        metavar="REASON",
        help="all that were refused for it",
    )
    again.add_argument(
        "--dry-run", action="store_true", help="say what would be sent, and send nothing"
    )
    again.add_argument("--again", action="store_true", help="also what was resubmitted before")
    again.add_argument("--by", default="", help="who you are; the login name if it is not given")
    again.add_argument("--json", action="store_true", help="one JSON object a letter")
    again.set_defaults(wrong=again.error, journal="")  # a recording has no bridge


async def resubmit(log: Readable, config: Settings, arguments: argparse.Namespace) -> bool:
    """Send letters again and tell what came of each; whether all of them were taken."""
    if bool(arguments.letters) == bool(arguments.reason):
        arguments.wrong("say which: either IDs, or --reason")
    letters, _ = await letters_of(log, config)
    chosen = [
        one
        for one in letters
        if one.reason == arguments.reason and (arguments.again or not one.resubmitted)
    ]
    if arguments.letters:
        found = [find(letters, name) for name in dict.fromkeys(arguments.letters)]
        chosen = [one for one in found if one is not None]
        if len(chosen) < len(found):
            return False
    told, bodies, ends = (
        _Told(as_json=arguments.json),
        Bodies(log, config),
        await ends_of(log, config),
    )
    try:
        for letter in chosen:
            value = await whole_value(log, config, letter, await bodies.of(letter))
            await _one(log, arguments, letter, value, told)
    except NoAnswer as error:
        print(
            f"tocsin: {inert(str(error))}; what is left was not sent: run it again", file=sys.stderr
        )
        return False
    finally:
        await _look_for_refusals(log, config, told, ends)
    told.end(dry_run=arguments.dry_run)
    return not told.counts.keys() & {"refused", "left"}


class _Told:
    """What came of each letter, told as it is known."""

    def __init__(self, *, as_json: bool) -> None:
        self.counts: dict[str, int] = {}
        self.taken: dict[
            str, frozenset[str]
        ] = {}  # letters that were taken, and the fingerprints in them
        self._as_json = as_json

    def tell(self, letter: str, outcome: str, text: str) -> None:
        """Print what came of a letter, and count it."""
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
        if self._as_json:
            print(json.dumps({"letter": letter, "outcome": outcome, "text": text}))
        else:
            print(inert(f"{letter}: {text}"))

    def end(self, *, dry_run: bool) -> None:
        """Print the sums."""
        names = {
            "taken": "resubmitted",
            "known": "resubmitted before",
            "sends": "would be sent",
            "left": "not sent",
        }
        sums = ", ".join(
            f"{number} {names.get(name, name)}" for name, number in self.counts.items() if number
        )
        if not self._as_json:
            print(f"{sums or 'there is none'}{'; nothing was sent' if dry_run else ''}")


async def _one(
    log: Readable, arguments: argparse.Namespace, letter: Letter, value: bytes | None, told: _Told
) -> None:
    """Send a letter again. Raises NoAnswer when no other need be tried now."""
    if letter.resubmitted and not arguments.again:
        told.tell(
            letter.id, "known", f"was resubmitted {letter.resubmitted}; --again sends it once more"
        )
        return
    plan = plan_of(letter, value, log.now_ms())
    if isinstance(plan, str):
        told.tell(letter.id, "left", f"not sent: {plan}")
    elif arguments.dry_run:
        told.tell(
            letter.id,
            "sends",
            f"{len(plan.data)} bytes to POST {plan.path}, refused {_ago(letter, log.now_ms())}",
        )
    else:
        answer = await asyncio.to_thread(exchange, "POST", plan.path, plan.data)
        if isinstance(answer, Refusal):
            _tell_refusal(letter, answer, told)
            return
        await _note(letter, arguments.by or getpass.getuser())
        told.taken[letter.id] = plan.fingerprints
        told.tell(letter.id, "taken", f"{counted(answer.get('accepted'), 'alert')} in the journal")


def _tell_refusal(letter: Letter, answer: Refusal, told: _Told) -> None:
    """Tell why the bridge refused.

    Raises NoAnswer when it would refuse others too, whatever stands in them.
    """
    if answer.status not in (400, 413, 500):
        raise NoAnswer(answer.text)
    document = answer.document if isinstance(answer.document, dict) else {}
    why = "; ".join(
        str(one.get("error")) for one in document.get("refused") or () if isinstance(one, dict)
    )
    partly = (
        "; what was taken counts as a repeat if it is sent again"
        if document.get("accepted")
        else ""
    )
    told.tell(
        letter.id, "refused", f"refused again: {answer.text}{': ' if why else ''}{why}{partly}"
    )


async def _note(letter: Letter, by: str) -> None:
    """Note that a letter's alerts were taken. Raises NoAnswer."""
    path, data = f"/api/v1/deadletters/{letter.id}/resubmitted", orjson.dumps({"by": by})
    answer = await asyncio.to_thread(exchange, "POST", path, data)
    if isinstance(answer, Refusal):
        raise NoAnswer(f"{letter.id} was taken, but that is not noted: {answer.text}")


async def _look_for_refusals(log: Readable, config: Settings, told: _Told, ends: list[int]) -> None:
    """Wait until the workers have come to the notes, and tell which alerts their engines refused once more."""
    until = asyncio.get_running_loop().time() + WAIT_SECONDS
    letters: list[Letter] = []
    waiting = set(told.taken)
    while waiting and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(0.3)
        letters, notes = await letters_of(log, config, ends)
        waiting -= notes.keys()
    if waiting:
        print(
            f"tocsin: no worker has applied {len(waiting)} of them yet: is one running?",
            file=sys.stderr,
        )
    sent = {fingerprint: letter for letter, all_of in told.taken.items() for fingerprint in all_of}
    bodies = Bodies(log, config)
    for one in letters:
        alert = (
            document_in(value_in(await bodies.of(one))).get("alert")
            if one.source[0] == "journal"
            else None
        )
        name = sent.get(str(alert))
        if name is not None:
            told.counts["taken"] -= 1
            told.tell(
                name, "refused", f"refused again, {one.reason}: {one.message} (now letter {one.id})"
            )


def plan_of(letter: Letter, value: bytes | None, now_ms: int) -> Again | str:
    """What is to be sent of a letter, or why nothing is, and what to do instead."""
    role = letter.source[0]
    if role == "deadline":
        return "a deadline that made Tocsin fail is tried again by itself within the hour; report it, and update Tocsin"
    if value is None:
        return "only its beginning is left: the record that it came from is not kept any more"
    return _of_raw(value) if role == "raw" else _of_journal(value, now_ms)


def _of_raw(value: bytes) -> Again | str:
    """A record of the raw topic, or one alert of it, in the shape that it has."""
    if not value:
        return (
            "what was refused is no JSON; write its record out (show --raw), mend it, and send it"
        )
    try:
        document = parse(value)
    except BadInput:
        return Again(ALERTS, value, frozenset())
    if isinstance(document, dict) and "alerts" in document:
        return Again(WEBHOOK, value, _fingerprints(document))
    if isinstance(document, dict):
        return Again(ALERTS, b"[%s]" % value, _fingerprints([document]))
    return Again(ALERTS, value, _fingerprints(document))


def _fingerprints(document: Any) -> frozenset[str]:
    """Of the alerts that can be read now."""
    try:
        alerts, _ = (
            from_webhook(document, 0) if isinstance(document, dict) else from_list(document, 0)
        )
    except BadInput:
        alerts = []
    return frozenset(one.fingerprint for one in alerts)


def _of_journal(value: bytes, now_ms: int) -> Again | str:
    """A record of the journal: an alert as API v2 has it, or what it was."""
    try:
        document = parse(value)
    except BadInput:
        document = None
    if not isinstance(document, dict):
        return "no record of Tocsin's: somebody else writes to the journal (SECURITY.md has the rights that are needed)"
    kind = next(iter(document), "")
    if kind == "alert":
        return _of_alert(document, now_ms)
    if kind == "command":
        command, incident, by, text = (
            word(document.get(name)) for name in ("command", "incident", "by", "text")
        )
        return f"it was said by {by}; if it still holds, say it again: tocsin {command} {incident} {text}"
    return _NOT_SENT.get(
        kind, f"a record of the kind {kind!r:.60}: if a newer Tocsin wrote it, run that one"
    )


def _of_alert(document: dict[str, Any], now_ms: int) -> Again | str:
    labels, firing = document.get("labels"), document.get("status") == "firing"
    starts_ms, hold_ms, ends_ms = (
        document.get(name) for name in ("starts_ms", "hold_ms", "ends_ms")
    )
    times = (starts_ms, hold_ms, ends_ms)
    if not isinstance(labels, dict) or not all(
        type(one) is int and 0 <= one <= NEWEST_MS for one in times
    ):
        return "no alert of Tocsin's: somebody else writes to the journal (SECURITY.md has the rights that are needed)"
    entry = {
        "labels": labels,
        "annotations": document.get("annotations"),
        "status": "firing" if firing else "resolved",
        "startsAt": format_instant(starts_ms or 0),
        "endsAt": format_instant(
            min(now_ms + (hold_ms or 0), NEWEST_MS) if firing else ends_ms or 0
        ),
        "generatorURL": document.get("url"),
    }
    found = fingerprint_of(labels) if all(isinstance(one, str) for one in labels.values()) else ""
    return Again(ALERTS, orjson.dumps([entry]), frozenset([found]))


def _ago(letter: Letter, now_ms: int) -> str:
    try:
        then_ms = milliseconds(letter.at)
    except ValueError:
        return "at an unknown time"
    return f"{format_ms(max(now_ms - then_ms, 0) // 1000 * 1000)} ago"
