"""`tocsin explain`: why somebody was notified, or nobody was."""

import argparse
import sys

from app.cli.arguments import add_journal_option, add_json
from app.cli.board_client import Asked, board_of, document_at
from models.text.json_bytes import json_bytes
from models.text.sanitize import inert_lines


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=_run_explain)
    parser.add_argument(
        "id",
        nargs="?",
        help="an effect or a notification (3-1207-4), an incident, a task, a silence",
    )
    parser.add_argument(
        "--record", metavar="P:OFFSET", help="what this journal record did, or why it did nothing"
    )
    add_journal_option(parser)
    add_json(parser)


def _run_explain(arguments: argparse.Namespace) -> int:
    if (arguments.id is None) == (arguments.record is None):
        print(
            "tocsin: explain: no id, must be an id or --record P:OFFSET (see tocsin explain --help)",
            file=sys.stderr,
        )
        return 2
    with board_of(arguments) as board:
        show_explanation(board, arguments)
    return 0


def show_explanation(board: Asked, arguments: argparse.Namespace) -> None:
    """Print an explanation. Raises TocsinError."""
    asked = {"record": arguments.record} if arguments.record else {"id": arguments.id}
    if arguments.json:
        answer = document_at(board, "/api/v1/explain", asked)
        print(json_bytes(answer["explanation"]).decode())
        return
    body, _ = board.get("/api/v1/explain", {**asked, "format": "text"})
    print(inert_lines(body.decode(errors="replace")), end="")
