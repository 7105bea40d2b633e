"""Incidents as a table, the way somebody on call reads them."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.terminal.style import SEVERITY_STYLE, WIDE, as_text, plain_table
from models.text.sanitize import inert
from models.text.truncate import truncate

TITLE_CHARACTERS_MAX = 200  # in a list; `tocsin incidents show` has all of it


def is_folded(incident: dict[str, Any]) -> bool:
    """Whether it is part of another incident, and nobody was told of it on its own.

    A list need not show it.
    """
    quiet = incident["suppressed_by"] or incident["state"] in ("resolved", "closed")
    return bool(incident["parents"] and quiet and not incident["notified_at"])


def print_incidents(incidents: list[dict[str, Any]], console: Console) -> None:
    """Print incidents as a table, and how many more are part of these."""
    shown = [incident for incident in incidents if not is_folded(incident)]
    console.print(incidents_table(shown, console.width))
    if len(incidents) > len(shown):
        more = f"and {len(incidents) - len(shown)} that are part of these, of which nobody was told on their own"
        console.print(Text(more, style="dim"), soft_wrap=True)


def incidents_table(incidents: list[dict[str, Any]], width: int) -> Table:
    """Incidents as a table, the way somebody on call reads them.

    On a narrow terminal only what matters first.
    """
    wide = width >= WIDE
    table = plain_table()
    table.add_column("incident", no_wrap=True)
    table.add_column("sev", no_wrap=True)
    table.add_column("state", no_wrap=True)
    if wide:
        table.add_column("owner", no_wrap=True)
        table.add_column("alerts", justify="right", no_wrap=True)
        table.add_column("step", justify="right", no_wrap=True)
    table.add_column("what", overflow="fold")
    for incident in incidents:
        severity = Text(
            inert(incident["severity"]), style=SEVERITY_STYLE.get(incident["severity"], "")
        )
        alerts = f"{incident['alerts_firing']}/{incident['alerts_total']}"
        cells = [as_text(incident["incident"]), severity, as_text(incident["state"])]
        if wide:
            cells += [
                as_text(incident["owner"]),
                Text(alerts),
                Text(str(incident["escalation_step"])),
            ]
        table.add_row(*cells, as_text(truncate(incident["title"], TITLE_CHARACTERS_MAX)))
    return table
