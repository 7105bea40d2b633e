"""`tocsin deadletters resubmit`: what was refused is sent to the bridge once more, after a fix, as what it was.

An alert counts as heard of now. A letter whose alerts the bridge took is noted in the journal, by
which everybody knows it: it is not sent a second time unless that is asked for. Were it sent all
the same, it would be a repeat while the alert fires. What is no alert is not sent: it says what it
was, and what to do.
"""

import argparse
import getpass
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

import orjson

from app.cli.arguments import add_json, add_person
from app.cli.board_client import Asked, BridgeBoard, Document, document_at, pages_at
from app.cli.bridge_client import BridgeRefusal, NoAnswer, exchange_json
from app.cli.deadletters import (
    PATH,
    VALUE_HEADER,
    add_reason,
    kept_value,
    letter_path,
    letters_at,
    shell_word,
)
from app.intake.normalise import fingerprint_of, from_list, from_webhook, parse_json
from models.document import document_in
from models.errors import TocsinError
from models.reason import BadInput
from models.text.duration import format_ms
from models.text.instant import NEWEST_MS, format_instant, milliseconds
from models.text.plural import plural
from models.text.sanitize import inert

ALERTS, WEBHOOK = "/api/v2/alerts", "/webhook/alertmanager"
WAIT_STEP_SECONDS = 0.3
WAIT_SECONDS = 10.0  # for the worker to apply what was sent

_NOT_SENT = {
    "signal": "a message between rules; it is sent again when the alert fires again",
    "suppression": "a message between rules; it is sent again when the alert fires again",
    "member": "a message between rules; it is sent again when the alert fires again",
    "expected": "a message between partitions; it is sent again with the next policy",
    "page": "a notification that was not sent; read it (show --raw) and pass it on",
    "silence": "a silence; create it again: tocsin silence add MATCHER... --for 2h",
    "receipt": "a notifier's receipt; see the notifier's log for the notification",
    "policy": "a policy; check it (tocsin policy check FILE), then start the workers with it",
    "tick": "a tick; the next one follows within a second",
    "refused": "a note of Tocsin's own",
    "resubmitted": "a note of Tocsin's own",
}


class UnknownLetter(TocsinError):
    """There is no such dead letter; the message names the newest."""


@dataclass(frozen=True, slots=True)
class Resubmission:
    """What is to be sent to the bridge, and the fingerprints of the alerts in it."""

    path: str
    data: bytes
    fingerprints: frozenset[str]


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=_resubmit, wrong=parser.error)
    parser.add_argument(
        "letters", nargs="*", metavar="ID", help="as tocsin deadletters list shows it"
    )
    add_reason(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be sent, and send nothing"
    )
    parser.add_argument("--again", action="store_true", help="also what was resubmitted before")
    add_person(parser)
    add_json(parser, "one JSON object a letter")


def _resubmit(arguments: argparse.Namespace) -> int:
    return int(not resubmit_letters(BridgeBoard(), arguments))


def resubmit_letters(board: Asked, arguments: argparse.Namespace) -> bool:
    """Send letters again and tell what came of each; whether all of them were taken."""
    if bool(arguments.letters) == bool(arguments.reason):
        arguments.wrong("say which: either IDs, or --reason")
    pages = list(pages_at(board, PATH))
    letters = [letter for page in pages for letter in page["items"]]
    now_ms = milliseconds(pages[-1]["now"])
    chosen = _chosen(letters, arguments)
    told = _OutcomePrinter(as_json=arguments.json)
    try:
        for letter in chosen:
            _send_again(board, arguments, letter, now_ms, told)
    except NoAnswer as error:
        print(
            f"tocsin: {inert(str(error))}; what is left was not sent: run it again", file=sys.stderr
        )
        return False
    finally:
        _look_for_refusals(board, told, letters)
    told.end(dry_run=arguments.dry_run)
    return not told.counts.keys() & {"refused", "left"}


def _chosen(letters: list[Document], arguments: argparse.Namespace) -> list[Document]:
    """The letters that the arguments name. Raises UnknownLetter."""
    if not arguments.letters:
        return [
            letter
            for letter in letters
            if letter["reason"] == arguments.reason
            and (arguments.again or not letter["resubmitted"])
        ]
    by_id = {letter["id"]: letter for letter in letters}
    for name in arguments.letters:
        if name not in by_id:
            known = ", ".join(list(by_id)[-3:]) or "none"
            raise UnknownLetter(f"no dead letter {name!r}; the newest are: {known}")
    return [by_id[name] for name in dict.fromkeys(arguments.letters)]


class _OutcomePrinter:
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


def _send_again(
    board: Asked,
    arguments: argparse.Namespace,
    letter: Document,
    now_ms: int,
    told: _OutcomePrinter,
) -> None:
    """Send a letter again. Raises NoAnswer when no other need be tried now."""
    name, resubmitted = letter["id"], letter["resubmitted"]
    if resubmitted and not arguments.again:
        text = f"was resubmitted {resubmitted}; --again sends it once more"
        told.tell(name, "known", text)
        return
    plan = plan_resubmission(letter["topic"], _whole_value(board, name), now_ms)
    if isinstance(plan, str):
        told.tell(name, "left", f"not sent: {plan}")
    elif arguments.dry_run:
        ago = _age_text(letter["at"], now_ms)
        told.tell(name, "sends", f"{len(plan.data)} bytes to POST {plan.path}, refused {ago}")
    else:
        answer = exchange_json("POST", plan.path, plan.data)
        if isinstance(answer, BridgeRefusal):
            _print_refusal(name, answer, told)
            return
        _note_resubmitted(name, arguments.by or getpass.getuser())
        told.taken[name] = plan.fingerprints
        told.tell(name, "taken", f"{plural(answer.get('accepted'), 'alert')} in the journal")


def _whole_value(board: Asked, letter: str) -> bytes | None:
    """All that was refused; None when only its beginning is left, empty when it is no JSON."""
    value, headers = board.get(letter_path(letter, "/value"), {})
    kind = headers.get(VALUE_HEADER)
    return {"beginning": None, "record": b""}.get(str(kind), value)


def _print_refusal(letter: str, answer: BridgeRefusal, told: _OutcomePrinter) -> None:
    """Tell why the bridge refused.

    Raises NoAnswer when it would refuse others too, whatever stands in them.
    """
    if answer.status not in (400, 413, 500):
        raise NoAnswer(answer.text)
    document = answer.document if isinstance(answer.document, dict) else {}
    why = "; ".join(
        str(item.get("error")) for item in document.get("refused") or () if isinstance(item, dict)
    )
    partly = (
        "; what was taken counts as a repeat if it is sent again"
        if document.get("accepted")
        else ""
    )
    told.tell(letter, "refused", f"refused again: {answer.text}{': ' if why else ''}{why}{partly}")


def _note_resubmitted(letter: str, by: str) -> None:
    """Note that a letter's alerts were taken. Raises NoAnswer."""
    path, data = letter_path(letter, "/resubmitted"), orjson.dumps({"by": by})
    answer = exchange_json("POST", path, data)
    if isinstance(answer, BridgeRefusal):
        raise NoAnswer(f"{letter} was taken, but that is not noted: {answer.text}")


def _look_for_refusals(board: Asked, told: _OutcomePrinter, letters_before: list[Document]) -> None:
    """Wait until the workers have come to the notes, and tell what their engines refused again."""
    until = time.monotonic() + WAIT_SECONDS
    letters: list[Document] = []
    waiting = set(told.taken)
    before = {letter["id"]: letter["resubmitted"] for letter in letters_before}
    while waiting and time.monotonic() < until:
        time.sleep(WAIT_STEP_SECONDS)
        letters = letters_at(board)
        waiting -= {
            letter["id"] for letter in letters if letter["resubmitted"] != before.get(letter["id"])
        }
    if waiting:
        print(
            f"tocsin: no worker has applied {len(waiting)} of them yet: is one running?",
            file=sys.stderr,
        )
    sent = {fingerprint: letter for letter, all_of in told.taken.items() for fingerprint in all_of}
    for letter in letters:
        if letter["id"] in before or letter["topic"] != "journal":
            continue
        body = document_at(board, letter_path(letter["id"]))
        refused = {sent.get(name) for name in _fingerprints_of(document_in(kept_value(body)))}
        for name in sorted(filter(None, refused)):
            told.counts["taken"] -= 1
            why = f"{letter['reason']}: {letter['message']} (now letter {letter['id']})"
            told.tell(name, "refused", f"refused again, {why}")


def _fingerprints_of(document: Document) -> list[str]:
    """Of the alerts of a journal record that was refused."""
    alerts = document.get("alerts")
    alerts = alerts if isinstance(alerts, list) else [document]
    return [str(alert.get("alert")) for alert in alerts if isinstance(alert, dict)]


def plan_resubmission(role: str, value: bytes | None, now_ms: int) -> Resubmission | str:
    """What is to be sent of a letter that came from a `role`, or why nothing is, and what to do."""
    if role == "deadline":
        return "a deadline that made Tocsin fail is tried again by itself within the hour; report it, and update Tocsin"
    if value is None:
        return "only its beginning is left: the record that it came from is not kept any more"
    return _plan_raw(value) if role == "raw" else _plan_journal(value, now_ms)


def _plan_raw(value: bytes) -> Resubmission | str:
    """A record of the raw topic, or one alert of it, in the shape that it has."""
    if not value:
        return (
            "what was refused is no JSON; write its record out (show --raw), mend it, and send it"
        )
    try:
        document = parse_json(value)
    except BadInput:
        return Resubmission(ALERTS, value, frozenset())
    if isinstance(document, dict) and "alerts" in document:
        return Resubmission(WEBHOOK, value, _alert_fingerprints(document))
    if isinstance(document, dict):
        return Resubmission(ALERTS, b"[%s]" % value, _alert_fingerprints([document]))
    return Resubmission(ALERTS, value, _alert_fingerprints(document))


def _alert_fingerprints(document: Any) -> frozenset[str]:
    """Of the alerts that can be read now."""
    try:
        alerts, _ = (
            from_webhook(document, 0) if isinstance(document, dict) else from_list(document, 0)
        )
    except BadInput:
        alerts = []
    return frozenset(alert.fingerprint for alert in alerts)


def _plan_journal(value: bytes, now_ms: int) -> Resubmission | str:
    """A record of the journal: an alert as API v2 has it, or what it was."""
    try:
        document = parse_json(value)
    except BadInput:
        document = None
    if not isinstance(document, dict):
        return "no record of Tocsin's: somebody else writes to the journal (SECURITY.md has the rights that are needed)"
    kind = next(iter(document), "")
    if kind == "alert":
        return _plan_alert(document, now_ms)
    if kind == "alerts":
        return _plan_alerts(document["alerts"], now_ms)
    if kind == "command":
        command, incident, by, text = (
            shell_word(document.get(name)) for name in ("command", "incident", "by", "text")
        )
        return f"it was said by {by}; if it still holds, say it again: tocsin {command} {incident} {text}"
    return _NOT_SENT.get(
        kind, f"a record of the kind {kind!r:.60}: if a newer Tocsin wrote it, run that one"
    )


def _plan_alerts(documents: Any, now_ms: int) -> Resubmission | str:
    """A record of several alerts of one request."""
    alerts: list[Any] = []
    fingerprints = frozenset[str]()
    for document in documents if isinstance(documents, list) else [None]:
        plan = _plan_alert(document if isinstance(document, dict) else {}, now_ms)
        if isinstance(plan, str):
            return plan
        alerts += orjson.loads(plan.data)
        fingerprints |= plan.fingerprints
    return Resubmission(ALERTS, orjson.dumps(alerts), fingerprints)


def _plan_alert(document: dict[str, Any], now_ms: int) -> Resubmission | str:
    labels, firing = document.get("labels"), document.get("status") == "firing"
    starts_ms, ttl_ms, ends_ms = (document.get(name) for name in ("starts_ms", "ttl_ms", "ends_ms"))
    times = (starts_ms, ttl_ms, ends_ms)
    if not isinstance(labels, dict) or not all(
        type(item) is int and 0 <= item <= NEWEST_MS for item in times
    ):
        return "no alert of Tocsin's: somebody else writes to the journal (SECURITY.md has the rights that are needed)"
    entry = {
        "labels": labels,
        "annotations": document.get("annotations"),
        "status": "firing" if firing else "resolved",
        "startsAt": format_instant(starts_ms or 0),
        "endsAt": format_instant(
            min(now_ms + (ttl_ms or 0), NEWEST_MS) if firing else ends_ms or 0
        ),
        "generatorURL": document.get("url"),
    }
    alert = (
        fingerprint_of(labels) if all(isinstance(label, str) for label in labels.values()) else ""
    )
    return Resubmission(ALERTS, orjson.dumps([entry]), frozenset([alert]))


def _age_text(instant: str, now_ms: int) -> str:
    try:
        then_ms = milliseconds(instant)
    except ValueError:
        return "at an unknown time"
    return f"{format_ms(max(now_ms - then_ms, 0) // 1000 * 1000)} ago"
