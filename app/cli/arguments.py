"""Arguments that several commands have."""

import argparse


def add_text(parser: argparse.ArgumentParser) -> None:
    """Add what somebody says about a command, and who says it."""
    parser.add_argument("text", nargs="*", help="what to say about it")
    add_person(parser)


def add_person(parser: argparse.ArgumentParser) -> None:
    """Add who somebody is."""
    parser.add_argument("--by", default="", help="who you are; the login name if it is not given")


def add_json(parser: argparse.ArgumentParser, text: str = "print JSON, for programs") -> None:
    """Add the option for programs."""
    parser.add_argument("--json", action="store_true", help=text)


def add_journal_option(
    parser: argparse.ArgumentParser, otherwise: str = "the bridge is asked"
) -> None:
    """Add the option that names a journal to be read; `otherwise` says what is done without it."""
    parser.add_argument(
        "--journal",
        metavar="WHERE",
        default="",
        help="read a journal: the folder of an embedded one, a recording, embedded:FOLDER or"
        f" kafka://HOST:PORT; {otherwise} if it is not given",
    )
