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

from app.cli.arguments import INCIDENT, add, add_journal
from app.cli.incidents import incident_or_none
from app.cli.reading import reading
from app.history.effects import effects_of
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


def add_timeline(commands: Any) -> None:
    """Add the command."""
    text = "the picture of one incident: alerts, people, escalations, messages"
    timeline = add(
        commands,
        "timeline",
        reading(show_timeline),
        text,
        f"tocsin timeline {INCIDENT} --html postmortem.html",
    )
    timeline.add_argument("incident")
    timeline.add_argument("--svg", metavar="FILE", help="write a picture instead")
    timeline.add_argument(
        "--html", metavar="FILE", help="write a page instead, with the picture and a table"
    )
    add_journal(timeline)
    timeline.add_argument("--json", action="store_true", help="for programs")


async def show_timeline(log: Readable, config: Settings, arguments: argparse.Namespace) -> bool:
    """Print an incident's picture, or write it to files; False when there is none of that id."""
    incident = await incident_or_none(log, config, arguments.incident)
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
