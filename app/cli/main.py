"""`tocsin`: finds the command that is asked for, and imports only its module.

`app.cli.commands` has the table.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from app.cli import exit_status
from app.cli.commands import ALIASES, COMMANDS, SECTIONS, CommandEntry

HELP = ("-h", "--help", "help")
_DESCRIPTION = "Turn a flood of alerts into a few incidents, and notify the right people, once."


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status, as `app.cli.exit_status` has it."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in HELP:
        print(overview())
        return 0
    if words[0] == "--version":
        print(f"tocsin {import_module('importlib.metadata').version('tocsin')}")
        return 0
    if words[0] in groups() and (len(words) == 1 or words[1] in HELP):
        print(overview(words[0]))
        return 0
    return _run(words)


def _run(words: Sequence[str]) -> int:
    arguments = parse(words)
    # Its parts take a while to import, and help needs none of them.
    import_module("app.logs").to_stderr()
    return exit_status.run_command(arguments)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The arguments of the command that the words begin with. Exits with 2 when they are wrong.

    Words that are said may stand behind options too, which argparse does not take by itself.
    """
    command = _entry(words)
    if command is None:
        _refuse(words)
    entry, rest = command
    parser = parser_of(entry)
    arguments, more = parser.parse_known_args(rest)
    if more and ("text" not in arguments or any(word.startswith("-") for word in more)):
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    if more:
        arguments.text = [*arguments.text, *more]
    return arguments


def parser_of(entry: CommandEntry) -> argparse.ArgumentParser:
    """The parser of a command, for which its module is imported."""
    parser = argparse.ArgumentParser(
        prog=f"tocsin {entry.name}",
        description=f"{entry.help[0].upper()}{entry.help[1:]}.",
        epilog=f"example: tocsin {entry.example}",
    )
    import_module(entry.module).add_arguments(parser, entry.name)
    return parser


def groups() -> set[str]:
    """The first words of commands of two words."""
    return {name.partition(" ")[0] for name in COMMANDS if " " in name}


def overview(group: str = "") -> str:
    """What there is: all commands, or those of a group."""
    shown = [
        (section.title, entries)
        for section in SECTIONS
        if (
            entries := [
                command for command in section.commands if not group or _is_in(command, group)
            ]
        )
    ]
    width = max(len(_shown_name(entry)) for _, entries in shown for entry in entries)
    lines = [f"usage: tocsin {group or 'COMMAND'} ..."]
    lines += [] if group else ["", _DESCRIPTION]
    for title, entries in shown:
        lines += ["", f"{title}:"]
        lines += [f"  {_shown_name(entry):<{width}}  {entry.help}" for entry in entries]
    more = f"tocsin {group + ' ' if group else ''}COMMAND --help"
    lines += ["", f"{more} tells the options of one."]
    if not group:
        lines += ["Settings come from TOCSIN_* environment variables."]
    return "\n".join(lines)


def _is_in(entry: CommandEntry, group: str) -> bool:
    return entry.name.startswith(f"{group} ")


def _shown_name(entry: CommandEntry) -> str:
    return f"{entry.name}, {entry.alias}" if entry.alias else entry.name


def _entry(words: Sequence[str]) -> tuple[CommandEntry, Sequence[str]] | None:
    """The command that the words begin with, and the words behind its name."""
    for number in (2, 1):
        name = " ".join(words[:number])
        entry = COMMANDS.get(ALIASES.get(name, name))
        if entry is not None and len(words) >= number:
            return entry, words[number:]
    return None


def _refuse(words: Sequence[str]) -> NoReturn:
    """Name the command that was probably meant. Exits with 2."""
    word, known, prog = words[0], {*groups(), *COMMANDS, *ALIASES}, "tocsin"
    if word in groups():
        known = {name.partition(" ")[2] for name in COMMANDS if name.startswith(f"{word} ")}
        word, prog = words[1], f"tocsin {word}"
    nearest = import_module("models.text.suggest").did_you_mean(word, sorted(known))
    shown = import_module("models.text.sanitize").inert(f"{word!r:.60}")
    print(f"tocsin: there is no command {shown}{nearest} (see {prog} --help)", file=sys.stderr)
    raise SystemExit(2)
