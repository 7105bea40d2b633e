"""Commands that read, on a log in memory: as with `--journal`."""

import argparse
import asyncio
from collections.abc import Callable
from typing import Any

from app.cli import exit_status
from app.cli.board_client import Asked
from app.cli.journal_board import JournalBoard
from app.settings import Settings
from app.transport.log import Readable


def command_succeeds(
    log: Readable,
    config: Settings,
    show: Callable[[Asked, argparse.Namespace], Any],
    arguments: argparse.Namespace,
) -> bool:
    """Whether a command's status is 0. It prints as it does for people."""
    with asyncio.Runner() as run:
        board = JournalBoard(log, config, run)
        asked = argparse.Namespace(run=lambda _: show(board, arguments) is False)
        return exit_status.run_command(asked) == 0
