"""What came of it.

Incidents, escalations, notifications, and the storm against them on one axis of time.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.terminal.incidents_table import is_folded, print_incidents
from app.terminal.style import SEVERITY_STYLE, as_text, plain_table

BARS = " ▁▂▃▄▅▆▇█"
PLAIN_BARS = " .:-=+*#@"
BAR_ROWS_MAX = 24


@dataclass(slots=True)
class Outcome:
    """Everything that the demo shows."""

    incidents: list[dict[str, Any]]
    escalations: list[dict[str, Any]]
    notifications: list[dict[str, Any]]
    per_minute: dict[int, int]
    summary: dict[str, Any]


def show(outcome: Outcome, console: Console) -> None:
    """Print it."""
    console.print(Text("\nIncidents", style="bold underline"))
    print_incidents(outcome.incidents, console)
    console.print(Text("\nEscalations", style="bold underline"))
    console.print(_escalations(outcome.escalations))
    console.print(Text("\nNotifications", style="bold underline"))
    console.print(_notifications(outcome.notifications))
    console.print(
        Text(
            "\nThe day: alerts a minute, and the incidents that came of them",
            style="bold underline",
        )
    )
    for line in picture(outcome, console.width, unicode=console.encoding.lower().startswith("utf")):
        console.print(line, no_wrap=True, overflow="crop")
    console.print(Text(f"\n{summary_line(outcome.summary)}", style="bold"))


def summary_line(summary: dict[str, Any]) -> str:
    """The whole demo in one line."""
    return (
        f"{summary['alerts']:,} alerts -> {summary['incidents']:,} incidents ({summary['members']:,} of them part of others), "
        f"{summary['escalations']:,} escalations, {summary['notifications']:,} notifications in {summary['seconds']:.1f} s "
        f"({summary['alerts_per_second']:,.0f} alerts/s)"
    )


def _escalations(escalations: list[dict[str, Any]]) -> Table:
    table = plain_table()
    for name in ("at", "to", "because"):
        table.add_column(name, overflow="fold", no_wrap=name == "at")
    for one in escalations:
        to = f"{one['to']['name']} ({one['step']}/{one['steps']})"
        what = "" if one["title"] in one["because"] else f"{one['title']}: "
        rule = "" if one["rule"] in one["because"] else f" ({one['rule']})"
        because = f"{one['severity']} {what}{one['because']}{rule}"
        table.add_row(as_text(one["at"][11:16]), as_text(to), as_text(because))
    return table


def _notifications(notifications: list[dict[str, Any]]) -> Table:
    table = plain_table()
    for name in ("kind", "pager", "email", "chat"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    numbers = Counter((one["kind"], one["channel"]) for one in notifications)
    for kind in sorted({kind for kind, _ in numbers}):
        table.add_row(
            as_text(kind),
            *(str(numbers[kind, channel] or "") for channel in ("pager", "email", "chat")),
        )
    return table


def picture(outcome: Outcome, width: int, *, unicode: bool) -> list[Text]:
    """Alerts a minute as bars, and below them each incident from its opening to its end, `!` where it escalated."""
    if not outcome.per_minute:
        return []
    label = min(max((len(one["title"]) for one in outcome.incidents), default=0), 34)
    columns = max(width - label - 6, 20)
    first = min(outcome.per_minute)
    ends = [_minute(one.get("resolved_at")) or first for one in outcome.incidents]
    last = max([*outcome.per_minute, *ends]) + 1
    bars = BARS if unicode else PLAIN_BARS

    def column(minute: float) -> int:
        return min(int((minute - first) * columns / (last - first)), columns - 1)

    heights = [0] * columns
    for minute, number in outcome.per_minute.items():
        heights[column(minute)] += number
    # The root shows both a storm of thousands and a single alert.
    top = max(heights) ** 0.5
    line = "".join(
        bars[-(-int(8 * number**0.5 * 100 / top) // 100)] if number else " " for number in heights
    )
    lines = [Text(f"{'alerts':<{label + 4}} ") + Text(line, style="green")]
    marks: dict[str, list[int]] = {}
    for one in outcome.escalations:
        marks.setdefault(one["incident"], []).append(column(_minute(one["at"]) or first))
    worth = [one for one in outcome.incidents if not is_folded(one)]
    shown = sorted(worth, key=lambda one: (one["severity"], one["opened_at"]))[:BAR_ROWS_MAX]
    for one in sorted(shown, key=lambda one: one["opened_at"]):
        begin, end = (
            column(_minute(one["opened_at"]) or first),
            column(_minute(one.get("resolved_at")) or last),
        )
        signs = [" "] * begin + ["━" if unicode else "="] * (end - begin + 1)
        for mark in marks.get(one["incident"], []):
            if mark < len(signs):
                signs[mark] = "!"
        bar = Text("".join(signs), style=SEVERITY_STYLE.get(one["severity"], ""))
        lines.append(
            Text(f"{one['severity']} ") + as_text(f"{one['title'][:label]:<{label}}  ") + bar
        )
    if len(worth) > len(shown):
        lines.append(Text(f"   and {len(worth) - len(shown)} milder ones"))
    axis = f"{_clock(first)}{' ' * max(columns - 10, 1)}{_clock(last)}"
    lines.append(Text(f"{'':<{label + 4}} {axis}", style="dim"))
    return lines


def _minute(instant: str | None) -> float | None:
    return datetime.fromisoformat(instant).timestamp() / 60 if instant else None


def _clock(minute: float) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%H:%M")
