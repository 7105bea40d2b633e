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

from app.cli.arguments import add_journal, add_json
from app.cli.incidents import effects_of, incident_of
from app.history.source import reading
from app.render.timeline_svg import page, svg
from app.render.timeline_text import COLUMNS, draw
from app.report.timeline import Picture, picture
from app.settings import Settings
from app.terminal.style import SEVERITY_STYLE
from app.transport.log import Readable
from models.instant import format_instant
from models.topics import Topics

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
    parser.set_defaults(run=reading(show_timeline))
    parser.add_argument("incident")
    parser.add_argument("--svg", metavar="FILE", help="write a picture instead")
    parser.add_argument(
        "--html", metavar="FILE", help="write a page instead, with the picture and a table"
    )
    add_journal(parser)
    add_json(parser)


async def show_timeline(log: Readable, config: Settings, arguments: argparse.Namespace) -> bool:
    """Print an incident's picture, or write it to files; False when there is none of that id."""
    incident = await incident_of(log, config, arguments.incident)
    if incident is None:
        return False
    topics = Topics(config.prefix)
    timeline = await effects_of(log, topics.timeline, config.partitions, about=arguments.incident)
    notifications = await effects_of(
        log, topics.notifications, config.partitions, about=arguments.incident
    )
    notifications.sort(key=lambda one: str(one["at"]))  # digests' actors live in other partitions
    drawn = picture(incident, timeline, notifications, log.now_ms())
    for file, made in ((arguments.svg, svg), (arguments.html, page)):
        if file:
            _write(file, made(drawn))
    if arguments.json:
        print(json.dumps(document(drawn)))
    elif not (arguments.svg or arguments.html):
        _print(drawn)
    return True


def _write(file: str, text: str) -> None:
    """Write a file, and say so. Raises OSError."""
    Path(file).write_text(text, encoding="utf-8")
    print(f"{file}: written")


def document(drawn: Picture) -> Any:
    """The picture for programs: its times are RFC 3339, and named `begin`, `end` and `at`."""

    def told(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name.removesuffix("_ms"): format_instant(one) if name.endswith("_ms") else told(one)
                for name, one in value.items()
            }
        return [told(one) for one in value] if isinstance(value, list) else value

    return told(asdict(drawn))


def _print(drawn: Picture) -> None:
    console = Console()
    width = min(max(console.width, COLUMNS), COLUMNS_MAX)
    for number, line in enumerate(draw(drawn, width)):
        shown = Text(line)
        if number == 0:
            shown.stylize(SEVERITY_STYLE.get(drawn.severity, ""))
        for sign, style in _STYLES.items():
            shown.highlight_regex(f"{sign}+", style)
        console.print(shown, soft_wrap=True)
