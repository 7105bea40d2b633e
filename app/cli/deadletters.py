"""`tocsin deadletters list` and `show`: what was refused, and why."""

import argparse
import base64
import json
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli.arguments import add_journal_option, add_json
from app.cli.board_client import (
    Asked,
    Document,
    board_of,
    document_at,
    items_at,
    pages_at,
    without_times,
)
from app.terminal.style import WIDE, as_text, plain_table
from models.reason import Reason
from models.text.sanitize import inert, inert_lines, inert_word

PATH = "/api/v1/deadletters"
VALUE_HEADER = "Tocsin-Value"
REFUSED_BY_HTTP = (
    "what a bridge refuses over HTTP is no dead letter: its sender is told why; it is counted in "
    "tocsin_bridge_refused_total (GET /metrics) and in the bridge's log"
)


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the command's arguments."""
    add_journal_option(parser)
    if name == "deadletters show":
        parser.set_defaults(run=_show)
        parser.add_argument("letter", help="its id, as tocsin deadletters list shows it")
        parser.add_argument(
            "--raw",
            action="store_true",
            help="write the refused bytes only",
        )
        add_json(parser, "one JSON object")
    else:
        parser.set_defaults(run=_list)
        add_reason(parser)
        parser.add_argument("--all", action="store_true", help="also those resubmitted since")
        add_json(parser, "one JSON object a line")


def add_reason(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses letters by why they were refused."""
    parser.add_argument(
        "--reason",
        default="",
        choices=list(Reason),
        metavar="REASON",
        help="only those refused for this reason",
    )


def letters_at(board: Asked, reason: str = "") -> list[Document]:
    """The dead letters, oldest first. Raises TocsinError."""
    return items_at(board, PATH, {"reason": reason} if reason else {})


def letter_path(letter: str, rest: str = "") -> str:
    """The path of a letter, or of something of it."""
    return f"{PATH}/{quote(letter, safe='')}{rest}"


def _list(arguments: argparse.Namespace) -> int:
    with board_of(arguments) as board:
        show_letters(board, arguments)
    return 0


def show_letters(board: Asked, arguments: argparse.Namespace) -> None:
    """Print the letters, the newest last."""
    wanted = {"reason": arguments.reason} if arguments.reason else {}
    if arguments.json:
        for page in pages_at(board, PATH, {**wanted, "values": "yes"}):
            for letter in page["items"]:
                if arguments.all or not letter["resubmitted"]:
                    print(json.dumps(letter))
        return
    letters = letters_at(board, arguments.reason)
    shown = [letter for letter in letters if arguments.all or not letter["resubmitted"]]
    console = Console()
    if shown:
        console.print(_letters_table(shown, console.width))
        reasons = sorted(Counter(letter["reason"] for letter in shown).items())
        counts = ", ".join(f"{number} {reason}" for reason, number in reasons)
        more = "all of one: tocsin deadletters show ID; after a fix: tocsin deadletters resubmit ID"
        console.print(as_text(f"{counts}; {more}"), style="dim", soft_wrap=True)
    else:
        print("nothing was refused" if not letters else "nothing is left: all were resubmitted")
        print(REFUSED_BY_HTTP)
    if len(letters) > len(shown):
        print(f"and {len(letters) - len(shown)} that were resubmitted: --all")


def _letters_table(letters: list[Document], width: int) -> Table:
    table = plain_table()
    for name in ("letter", "when", "reason", *(("from",) if width >= WIDE else ())):
        table.add_column(name, no_wrap=True)
    table.add_column("what", overflow="fold")
    for letter in letters:
        source = f"{letter['topic']} {letter['partition']}@{letter['offset']}"
        cells = [letter["id"], f"{letter['at'][:19]}Z", letter["reason"]]
        cells += [source] if width >= WIDE else []
        message = as_text(letter["message"]).append(
            f"\n{inert(letter['first'])}" if letter["first"] else "", style="dim"
        )
        if letter["resubmitted"]:
            message.append(f"\nresubmitted {inert(letter['resubmitted'])}")
        table.add_row(*(as_text(cell) for cell in cells), message)
    return table


def _show(arguments: argparse.Namespace) -> int:
    with board_of(arguments) as board:
        return int(not show_letter(board, arguments))


def show_letter(board: Asked, arguments: argparse.Namespace) -> bool:
    """Print one letter, or write out the bytes that were refused.

    False when they are not all there. Raises TocsinError when there is no such letter.
    """
    if arguments.raw:
        return _write_out(board, arguments.letter)
    letter = without_times(document_at(board, letter_path(arguments.letter)))
    if arguments.json:
        print(json.dumps(letter))
        return True
    console = Console()
    for name, text in _letter_facts(letter):
        console.print(Text(f"{name}: ", style="bold") + as_text(text), soft_wrap=True)
    value = kept_value(letter).decode(errors="backslashreplace")
    console.print(Text(inert_lines(value)), soft_wrap=True)
    return True


def _letter_facts(letter: Document) -> Iterator[tuple[str, str]]:
    name, role = letter["id"], letter["topic"]
    yield "letter", f"{name}, of {letter['at']}"
    yield "refused", f"{letter['reason']}: {letter['message']}"
    source = "a deadline before" if role == "deadline" else role
    yield "from", f"{source}, partition {letter['partition']}, offset {letter['offset']}"
    yield "policy", str(letter.get("policy", ""))
    if letter["resubmitted"]:
        yield "resubmitted", letter["resubmitted"]
    else:
        yield "then", f"after a fix: tocsin deadletters resubmit {name} --dry-run"
    size = letter.get("bytes")
    cut = f" of {size}; all of them, while they are kept: --raw" if size else ""
    yield "value", f"{len(kept_value(letter))} bytes{cut}"


def _write_out(board: Asked, letter: str) -> bool:
    """Write the refused bytes to the standard output.

    Of one that is no JSON, the record that it stood in.
    """
    value, headers = board.get(letter_path(letter, "/value"), {})
    sys.stdout.buffer.write(value)
    sys.stdout.buffer.flush()
    whole = headers.get(VALUE_HEADER) != "beginning"
    if not whole:
        print(
            "tocsin: that is all there is: the record that it came from is not kept any more",
            file=sys.stderr,
        )
    return whole


def kept_value(letter: Document) -> bytes:
    """The bytes that were refused, or as many as the letter has."""
    text = str(letter.get("value") or "")
    try:
        return base64.b64decode(text) if letter.get("encoding") == "base64" else text.encode()
    except ValueError:
        return b""


def shell_word(text: object) -> str:
    """Somebody's text as a word of a command to be pasted."""
    return shlex.quote(inert_word(str(text)))
