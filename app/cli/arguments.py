"""Arguments that commands share: how a command is added, and the option that names a journal."""

import argparse
from collections.abc import Sequence
from typing import Any

INCIDENT = "INC-20260412T031502Z-00K3F"  # in examples


def add(
    commands: Any, name: str, run: Any, text: str, example: str, aliases: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """Add a command with its help and an example."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text, epilog=f"example: {example}", aliases=list(aliases)
    )
    parser.set_defaults(run=run)
    return parser


def add_journal(parser: argparse.ArgumentParser) -> None:
    """Add the option that names another source than TOCSIN_BROKER does."""
    parser.add_argument(
        "--journal",
        metavar="PATH",
        default="",
        help="the folder of an embedded journal, or a recording; what TOCSIN_BROKER names otherwise",
    )
