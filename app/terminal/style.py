"""How the commands look on a terminal: tables, severities, and other people's texts."""

from typing import Any

from rich.table import Table
from rich.text import Text

from models.text.sanitize import inert

SEVERITY_STYLE = {"P0": "bold red", "P1": "yellow", "P2": "cyan", "P3": "dim"}
WIDE = 110  # columns of a terminal that has room for everything


def as_text(text: Any) -> Text:
    """The text as rich prints it.

    Without markup, and with nothing in it that a terminal would obey.
    """
    return Text(inert(str(text)))


def plain_table() -> Table:
    """A table without lines, which is easily read and easily cut."""
    return Table(box=None, pad_edge=False, header_style="bold")
