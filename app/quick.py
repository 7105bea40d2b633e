"""The commands that answer soon, by themselves: `app.cli` has them too, with all the others.

What serves needs Faust and aiohttp, which take longer to import than these commands take to answer.
"""

import argparse
from collections.abc import Sequence

from app import logs
from app.cli import exit_status
from app.cli.explain import add_explain
from app.cli.timeline import add_timeline


def main(argv: Sequence[str]) -> int:
    """Run one of them, as `app.cli.main` would."""
    parser = argparse.ArgumentParser(prog="tocsin")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_explain(commands)
    add_timeline(commands)
    arguments = parser.parse_args(argv)
    logs.to_stderr()
    return exit_status.run(arguments)
