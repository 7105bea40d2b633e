"""`tocsin timeline`.

The picture of one incident, in the terminal or in files for the post-mortem.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from app.cli.arguments import add_journal_option, add_json
from app.cli.board_client import Asked, board_of, document_at, incident_path
from app.render.timeline_svg import timeline_page, timeline_svg
from app.render.timeline_text import COLUMNS, draw_timeline
from app.report.timeline import TimelinePicture, draw_picture
from app.terminal.style import SEVERITY_STYLE
from models.text.instant import format_instant, milliseconds

COLUMNS_MAX = 160  # wider, a picture is no easier to read
_STYLES = {
    "█": "red",
    "▓": "red",
    "▒": "yellow",
    "░": "green",
    "▲": "bold red",
    "◆": "blue",
    "●": "green",
}


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=_timeline)
    parser.add_argument("incident")
    parser.add_argument("--svg", metavar="FILE", help="write a picture instead")
    parser.add_argument(
        "--html", metavar="FILE", help="write a page instead, with the picture and a table"
    )
    add_journal_option(parser)
    add_json(parser)


def _timeline(arguments: argparse.Namespace) -> int:
    with board_of(arguments) as board:
        show_timeline(board, arguments)
    return 0


def show_timeline(board: Asked, arguments: argparse.Namespace) -> None:
    """Print an incident's picture, or write it to files. Raises TocsinError for an unknown id."""
    answer = document_at(board, incident_path(arguments.incident, "/timeline"))
    parts = (answer["incident"], answer["timeline"], answer["notifications"])
    drawn = draw_picture(*parts, milliseconds(answer["now"]))
    for file, made in ((arguments.svg, timeline_svg), (arguments.html, timeline_page)):
        if file:
            _write_file(file, made(drawn))
    if arguments.json:
        print(json.dumps(picture_json(drawn)))
    elif not (arguments.svg or arguments.html):
        _print_lines(drawn)


def _write_file(file: str, text: str) -> None:
    """Write a file, and say so. Raises OSError."""
    Path(file).write_text(text, encoding="utf-8")
    print(f"{file}: written")


def picture_json(drawn: TimelinePicture) -> Any:
    """The picture for programs: its times are RFC 3339, and named `begin`, `end` and `at`."""

    def told(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name.removesuffix("_ms"): format_instant(item)
                if name.endswith("_ms")
                else told(item)
                for name, item in value.items()
            }
        return [told(item) for item in value] if isinstance(value, list) else value

    return told(asdict(drawn))


def _print_lines(drawn: TimelinePicture) -> None:
    console = Console()
    width = min(max(console.width, COLUMNS), COLUMNS_MAX)
    for number, line in enumerate(draw_timeline(drawn, width)):
        shown = Text(line)
        if number == 0:
            shown.stylize(SEVERITY_STYLE.get(drawn.severity, ""))
        for sign, style in _STYLES.items():
            shown.highlight_regex(f"{sign}+", style)
        console.print(shown, soft_wrap=True)
