"""What came of the demo, what its signs mean, and what to do next.

Incidents, escalations, notifications, and the alerts against them on one axis of time.
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
DAY_MINUTES = 24 * 60
CLOCK, DATE = "%H:%M", "%Y-%m-%d"  # of the axis, for a day and for more


@dataclass(slots=True)
class Outcome:
    """Everything that the demo shows.

    `played` says what was fed; `journal` is its folder, empty when it is not kept.
    """

    incidents: list[dict[str, Any]]
    escalations: list[dict[str, Any]]
    notifications: list[dict[str, Any]]
    per_minute: dict[int, int]
    summary: dict[str, Any]
    played: str = "A bad Sunday and a storm of alerts"
    journal: str = ""


def show_outcome(outcome: Outcome, console: Console) -> None:
    """Print it."""
    _explain(console, f"\n{outcome.played} went through a Tocsin of its own, on virtual time.")
    console.print(Text("\nIncidents", style="bold underline"))
    _explain(console, INCIDENTS)
    print_incidents(outcome.incidents, console)
    console.print(Text("\nEscalations", style="bold underline"))
    _explain(console, ESCALATIONS)
    console.print(_escalations_table(outcome.escalations))
    console.print(Text("\nNotifications", style="bold underline"))
    _explain(console, NOTIFICATIONS)
    console.print(_notifications_table(outcome.notifications))
    console.print(
        Text(
            "\nOver time: alerts a minute, and the incidents that came of them",
            style="bold underline",
        )
    )
    _explain(console, PICTURE)
    for line in draw_picture(
        outcome, console.width, unicode=console.encoding.lower().startswith("utf")
    ):
        console.print(line, no_wrap=True, overflow="crop")
    console.print(Text(f"\n{summary_line(outcome.summary)}", style="bold"), soft_wrap=True)
    _explain(console, rate_line(outcome.summary))
    console.print(Text("\nWhat to do next", style="bold underline"))
    for step in _next_steps(outcome):
        console.print(as_text(step), soft_wrap=True)


INCIDENTS = "Alerts that belong together are one incident. sev is its priority: P0 is the worst, P3 waits for working hours."
ESCALATIONS = (
    "Who was called beyond the first contact, and why. (2/4) is the step of the chain: 2 of 4."
)
NOTIFICATIONS = (
    "Messages by their reason and channel. A pager wakes somebody; email and chat do not."
)
PICTURE = "A bar is the number of alerts. A line is an incident from its opening to its end; ! is an escalation."


def _explain(console: Console, text: str) -> None:
    console.print(Text(text, style="dim"), soft_wrap=True)


def summary_line(summary: dict[str, Any]) -> str:
    """The whole demo in one line."""
    return (
        f"{summary['alerts']:,} alerts -> {summary['incidents']:,} incidents ({summary['members']:,} of them part of others), "
        f"{summary['escalations']:,} escalations, {summary['notifications']:,} notifications"
    )


def rate_line(summary: dict[str, Any]) -> str:
    """How long it took, and that this is no measure of what Tocsin can take."""
    return (
        f"Played in {summary['seconds']:.1f} s. {summary['alerts_per_second']:,.0f} alerts/s is "
        "the pace of a day on virtual time, which halts at each deadline. It is not the limit: docs/PERFORMANCE.md."
    )


def _next_steps(outcome: Outcome) -> list[str]:
    shown = [incident for incident in outcome.incidents if not is_folded(incident)]
    worst = min(shown, key=lambda item: (item["severity"], item["opened_at"]), default=None)
    name = worst["incident"] if worst else "INC-..."
    steps = [
        "  make up                          start a Tocsin of your own, then point Prometheus at it (README)"
    ]
    if not outcome.journal:
        return [
            "  tocsin demo --journal night      play it again and keep the journal in ./night",
            *steps,
        ]
    return [
        f"  tocsin explain {name} --journal {outcome.journal}      why it was told to whom",
        *steps,
    ]


def _escalations_table(escalations: list[dict[str, Any]]) -> Table:
    dates = {item["at"][:10] for item in escalations}
    begin = 11 if len(dates) <= 1 else 0  # the hour, or the date before it
    table = plain_table()
    for name in ("at", "to", "because"):
        table.add_column(name, overflow="fold", no_wrap=name == "at")
    for escalation in escalations:
        to = f"{escalation['to']['name']} ({escalation['step']}/{escalation['steps']})"
        title = "" if escalation["title"] in escalation["because"] else f"{escalation['title']}: "
        rule = "" if escalation["rule"] in escalation["because"] else f" ({escalation['rule']})"
        because = f"{escalation['severity']} {title}{escalation['because']}{rule}"
        table.add_row(
            as_text(escalation["at"][begin:16].replace("T", " ")), as_text(to), as_text(because)
        )
    return table


def _notifications_table(notifications: list[dict[str, Any]]) -> Table:
    table = plain_table()
    for name in ("kind", "pager", "email", "chat"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    numbers = Counter(
        (notification["kind"], notification["channel"]) for notification in notifications
    )
    for kind in sorted({kind for kind, _ in numbers}):
        table.add_row(
            as_text(kind),
            *(str(numbers[kind, channel] or "") for channel in ("pager", "email", "chat")),
        )
    return table


def draw_picture(outcome: Outcome, width: int, *, unicode: bool) -> list[Text]:
    """Alerts a minute as bars, and below them each incident from its opening to its end, `!` where it escalated."""
    if not outcome.per_minute:
        return []
    label = min(max((len(incident["title"]) for incident in outcome.incidents), default=0), 34)
    columns = max(width - label - 6, 20)
    first = min(outcome.per_minute)
    ends = [_minute_of(incident.get("resolved_at")) or first for incident in outcome.incidents]
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
    for escalation in outcome.escalations:
        marks.setdefault(escalation["incident"], []).append(
            column(_minute_of(escalation["at"]) or first)
        )
    worth = [incident for incident in outcome.incidents if not is_folded(incident)]
    shown = sorted(worth, key=lambda item: (item["severity"], item["opened_at"]))[:BAR_ROWS_MAX]
    for item in sorted(shown, key=lambda item: item["opened_at"]):
        begin, end = (
            column(_minute_of(item["opened_at"]) or first),
            column(_minute_of(item.get("resolved_at")) or last),
        )
        signs = [" "] * begin + ["━" if unicode else "="] * (end - begin + 1)
        for mark in marks.get(item["incident"], []):
            if mark < len(signs):
                signs[mark] = "!"
        bar = Text("".join(signs), style=SEVERITY_STYLE.get(item["severity"], ""))
        lines.append(
            Text(f"{item['severity']} ") + as_text(f"{item['title'][:label]:<{label}}  ") + bar
        )
    if len(worth) > len(shown):
        lines.append(Text(f"   and {len(worth) - len(shown)} milder ones"))
    style = CLOCK if last - first <= DAY_MINUTES else DATE
    left, right = (_clock_text(minute, style) for minute in (first, last))
    axis = f"{left}{' ' * max(columns - len(left) - len(right), 1)}{right}"
    lines.append(Text(f"{'':<{label + 4}} {axis}", style="dim"))
    return lines


def _minute_of(instant: str | None) -> float | None:
    return datetime.fromisoformat(instant).timestamp() / 60 if instant else None


def _clock_text(minute: float, style: str) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime(style)
