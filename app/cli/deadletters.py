"""What was refused, for whoever looks after Tocsin: `tocsin deadletters` lists and shows it."""

import argparse
import json
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.history.dead_letters import (
    Bodies,
    Letter,
    letters_of,
    record_of,
    value_in,
    whole_value,
)
from app.settings import Settings
from app.terminal.style import WIDE, as_text, plain_table
from app.transport.log import Readable
from models.sanitize import inert, inert_lines, inert_word


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
    yield "policy", str(body.get("policy") or "")
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


def word(text: object) -> str:
    """Somebody's text as a word of a command to be pasted."""
    return shlex.quote(inert_word(str(text)))
