"""What was refused, for whoever looks after Tocsin: `tocsin deadletters` lists, shows, and sends again (`resubmitting.py`).

The dead-letter topic has letters, and notes that a letter was sent again and taken. A letter that
is longer than a dead letter may be has its beginning only; the whole is read from where it came
from, while it is still there.
"""

import argparse
import base64
import json
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli.arguments import add_journal, add_json
from app.history.source import reading
from app.intake.normalise import alerts_from
from app.settings import Settings
from app.terminal.style import WIDE, as_text, plain_table
from app.transport.exactly_once import once
from app.transport.log import Readable
from models.document import document_in
from models.effect import Position
from models.reason import BadInput, Reason
from models.sanitize import inert, inert_lines, inert_word
from models.topics import Topics

FIRST_CHARACTERS = 160  # of a letter's value in a list


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter without its value, of which there may be many and large ones.

    `Bodies` reads all of it again.
    """

    id: str  # partition-offset-number, of its cause in the journal
    partition: int
    place: int  # its offset in the dead-letter topic
    at: str
    reason: str
    message: str
    source: tuple[str, int, int]  # where what was refused stands: role, partition, offset
    first: str  # words of its value
    resubmitted: str  # when, and by whom; empty when it was not


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the command's arguments."""
    add_journal(parser)
    if name == "deadletters show":
        parser.set_defaults(run=reading(show_letter))
        parser.add_argument("letter", help="its id, as tocsin deadletters list shows it")
        parser.add_argument(
            "--raw",
            action="store_true",
            help="write out the bytes that were refused, and nothing else",
        )
        add_json(parser, "one JSON object")
    else:
        parser.set_defaults(run=reading(show_letters))
        add_reason(parser)
        parser.add_argument("--all", action="store_true", help="also what was resubmitted since")
        add_json(parser, "one JSON object a line")


def add_reason(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses letters by why they were refused."""
    parser.add_argument(
        "--reason",
        default="",
        choices=list(Reason),
        metavar="REASON",
        help="only what was refused for it",
    )


async def letters_of(
    log: Readable, config: Settings, since: Sequence[int] = ()
) -> tuple[list[Letter], dict[str, str]]:
    """The dead letters, oldest first, each once, and by id, when and by whom one was resubmitted.

    `since` has an offset for each partition, before which nothing is looked at.
    """
    letters: list[Letter] = []
    notes: dict[str, str] = {}
    topic = Topics(config.prefix).deadletter
    for partition in range(config.partitions):
        seen = Position(-1, -1)
        offset = since[partition] if since else await log.start_offset(topic, partition)
        while records := await log.read(topic, partition, offset):
            offset = records[-1].offset + 1
            for position, value, record in once(records, seen):
                seen, body = position, document_in(value)
                if body.get("kind") == "Resubmitted":
                    notes[_text(body, "letter")] = f"{_text(body, 'at')} by {_text(body, 'by')}"
                else:
                    letters.append(_letter(partition, position, record.offset, body))
    letters.sort(key=lambda one: (one.at, one.partition, one.place))
    return [replace(letter, resubmitted=notes.get(letter.id, "")) for letter in letters], notes


async def ends_of(log: Readable, config: Settings) -> list[int]:
    """Where each partition of the dead letters ends."""
    topic = Topics(config.prefix).deadletter
    return [await log.end_offset(topic, partition) for partition in range(config.partitions)]


def _letter(partition: int, position: Position, place: int, body: dict[str, Any]) -> Letter:
    source = (_text(body, "topic"), _number(body, "partition"), _number(body, "offset"))
    name = f"{partition}-{position.offset}-{position.number}"
    texts = (_text(body, "at"), _text(body, "reason"), _text(body, "message"))
    return Letter(name, partition, place, *texts, source, _first(body), "")


class Bodies:
    """Reads letters again, many at a time: they are mostly asked for in their order."""

    def __init__(self, log: Readable, config: Settings) -> None:
        self._log, self._topic = log, Topics(config.prefix).deadletter
        self._read: dict[
            int, dict[int, bytes | None]
        ] = {}  # by partition, what the last read gave by offset

    async def of(self, letter: Letter) -> dict[str, Any]:
        """All of a letter; an empty one when its time was over meanwhile."""
        known = self._read.get(letter.partition, {})
        if letter.place not in known:
            records = await self._log.read(self._topic, letter.partition, letter.place)
            known = self._read[letter.partition] = {
                record.offset: record.value for record in records
            }
        return document_in(known.get(letter.place))


def value_in(body: dict[str, Any]) -> bytes:
    """The bytes that were refused, or as many as the letter has."""
    text = _text(body, "value")
    try:
        return base64.b64decode(text) if body.get("encoding") == "base64" else text.encode()
    except ValueError:
        return b""


async def whole_value(
    log: Readable, config: Settings, letter: Letter, body: dict[str, Any]
) -> bytes | None:
    """All the bytes that were refused.

    None when the letter has only a part of them, and their record is gone.
    """
    known, size = value_in(body), body.get("bytes")
    if not isinstance(size, int):
        return known
    record = await record_of(log, config, letter)
    if record is None or (len(record) == size and record.startswith(known)):
        return record
    try:  # it was one alert of several
        _, refused = alerts_from(record, 0)
    except BadInput:
        refused = []
    parts = [one.part for one in refused if one.part is not None]
    return next((part for part in parts if len(part) == size and part.startswith(known)), None)


async def record_of(log: Readable, config: Settings, letter: Letter) -> bytes | None:
    """The record that was refused, or of which a part was, if it is still there."""
    role, partition, offset = letter.source
    topics = Topics(config.prefix)
    if role not in ("raw", "journal") or not 0 <= partition < config.partitions or offset < 0:
        return None
    topic = topics.raw if role == "raw" else topics.journal
    if (
        not await log.start_offset(topic, partition)
        <= offset
        < await log.end_offset(topic, partition)
    ):
        return None
    records = await log.read(topic, partition, offset, 1)
    return (records[0].value or b"") if records and records[0].offset == offset else None


def find(letters: list[Letter], name: str) -> Letter | None:
    """The letter of this id; None when there is none, which is said then."""
    found = next((one for one in letters if one.id == name), None)
    if found is None:
        known = ", ".join(one.id for one in letters[-3:]) or "none"
        print(inert(f"tocsin: no dead letter {name!r}; the newest are: {known}"), file=sys.stderr)
    return found


async def show_letters(log: Readable, config: Settings, arguments: argparse.Namespace) -> None:
    """Print the letters, the newest last."""
    letters = [
        one for one in (await letters_of(log, config))[0] if arguments.reason in ("", one.reason)
    ]
    shown = [one for one in letters if arguments.all or not one.resubmitted]
    if arguments.json:
        bodies = Bodies(log, config)
        for one in shown:
            body = await bodies.of(one)
            print(json.dumps(body | {"id": one.id, "resubmitted": one.resubmitted or None}))
        return
    console = Console()
    if shown:
        console.print(_table(shown, console.width))
        counts = ", ".join(
            f"{number} {reason}"
            for reason, number in sorted(Counter(one.reason for one in shown).items())
        )
        more = f"{counts}; all of one: tocsin deadletters show ID; after a fix: tocsin deadletters resubmit ID"
        console.print(as_text(more), style="dim", soft_wrap=True)
    else:
        print("nothing was refused" if not letters else "nothing is left: all were resubmitted")
    if len(letters) > len(shown):
        print(f"and {len(letters) - len(shown)} that were resubmitted: --all")


def _table(letters: list[Letter], width: int) -> Table:
    table = plain_table()
    for name in ("letter", "when", "reason", *(("from",) if width >= WIDE else ())):
        table.add_column(name, no_wrap=True)
    table.add_column("what", overflow="fold")
    for one in letters:
        source = f"{one.source[0]} {one.source[1]}@{one.source[2]}"
        cells = [one.id, f"{one.at[:19]}Z", one.reason, *((source,) if width >= WIDE else ())]
        what = as_text(one.message).append(
            f"\n{inert(one.first)}" if one.first else "", style="dim"
        )
        if one.resubmitted:
            what.append(f"\nresubmitted {inert(one.resubmitted)}")
        table.add_row(*(as_text(cell) for cell in cells), what)
    return table


async def show_letter(log: Readable, config: Settings, arguments: argparse.Namespace) -> bool:
    """Print one letter, or write out the bytes that were refused.

    False when that cannot be done.
    """
    letter = find((await letters_of(log, config))[0], arguments.letter)
    if letter is None:
        return False
    body = await Bodies(log, config).of(letter)
    if arguments.raw:
        return await _write_out(log, config, letter, body)
    if arguments.json:
        print(json.dumps(body | {"id": letter.id, "resubmitted": letter.resubmitted or None}))
        return True
    console = Console()
    for name, text in _facts(letter, body):
        console.print(Text(f"{name}: ", style="bold") + as_text(text), soft_wrap=True)
    value = value_in(body).decode(errors="backslashreplace")
    console.print(Text(inert_lines(value)), soft_wrap=True)
    return True


def _facts(letter: Letter, body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    role, partition, offset = letter.source
    yield "letter", f"{letter.id}, of {letter.at}"
    yield "refused", f"{letter.reason}: {letter.message}"
    yield (
        "from",
        f"{'a deadline before' if role == 'deadline' else role}, partition {partition}, offset {offset}",
    )
    yield "policy", _text(body, "policy")
    if letter.resubmitted:
        yield "resubmitted", letter.resubmitted
    else:
        yield "then", f"after a fix: tocsin deadletters resubmit {letter.id} --dry-run"
    size = body.get("bytes")
    value = value_in(body)
    cut = f" of {size}; all of them, while they are kept: --raw" if size else ""
    yield "value", f"{len(value)} bytes{cut}"


async def _write_out(log: Readable, config: Settings, letter: Letter, body: dict[str, Any]) -> bool:
    """Write the refused bytes to the standard output.

    Of one that is no JSON, the record that it stood in.
    """
    value = await whole_value(log, config, letter, body)
    if value == b"" and letter.source[0] == "raw":
        value = await record_of(log, config, letter)
    sys.stdout.buffer.write(value_in(body) if value is None else value)
    sys.stdout.buffer.flush()
    if value is None:
        print(
            "tocsin: that is all there is: the record that it came from is not kept any more",
            file=sys.stderr,
        )
    return value is not None


def _first(body: dict[str, Any]) -> str:
    """What was refused, in a few words.

    Of our own records what they are about, of others how they begin.
    """
    value = value_in(body)
    document = document_in(value) if body.get("topic") == "journal" else {}
    labels = document.get("labels")
    if "alert" in document and isinstance(labels, dict):
        words = [
            f"{name}={labels[name]}"
            for name in sorted(labels, key=lambda name: (name != "alertname", name))
        ]
        return " ".join(["alert", *words])[:FIRST_CHARACTERS]
    if "command" in document:
        return f"command {document['command']} {document.get('incident')} by {document.get('by')}"[
            :FIRST_CHARACTERS
        ]
    return " ".join(value[: 4 * FIRST_CHARACTERS].decode(errors="backslashreplace").split())[
        :FIRST_CHARACTERS
    ]


def _text(body: dict[str, Any], name: str) -> str:
    found = body.get(name)
    return found if isinstance(found, str) else ""


def _number(body: dict[str, Any], name: str) -> int:
    found = body.get(name)
    return found if isinstance(found, int) else -1


def word(text: object) -> str:
    """Somebody's text as a word of a command to be pasted."""
    return shlex.quote(inert_word(str(text)))
