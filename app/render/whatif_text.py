"""A comparison for people: what they would have been spared, and what they would have missed."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.terminal.style import SEVERITY_STYLE, as_text, plain_table
from app.whatif.compare import (
    ADDED,
    AFTER,
    BEFORE,
    CHANGED,
    GONE,
    KINDS,
    SAME,
    Comparison,
    Fact,
    FieldChange,
    Pair,
    severity_of,
    tally_pairs,
    team_of,
)
from app.whatif.outcomes import Escalation, Incident, Message
from models.text.duration import format_ms
from models.text.instant import format_instant
from models.text.truncate import truncate

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SHOWN_MAX = 10  # lines of each list, unless all are asked for
TITLES_MAX = 3  # of a line that is about several incidents
TEXT_MAX = 100  # characters of a text that has changed
_SIGNS = {ADDED: ("+", "red"), GONE: ("-", "green"), CHANGED: ("~", "yellow")}


class Occasion(NamedTuple):
    """What was said at one moment about one incident, through however many channels."""

    at_ms: int
    kind: str
    title: str
    pairs: list[Pair[Message]]

    @property
    def page(self) -> bool:
        """Whether somebody was called."""
        return any(pair.shown.page for pair in self.pairs)

    @property
    def recipients_text(self) -> str:
        """Who was told, by channel."""
        channels: dict[str, list[str]] = {}
        for pair in self.pairs:
            channels.setdefault(pair.shown.channel, []).append(pair.shown.receiver)
        told = sorted(channels.items(), reverse=True)
        return "; ".join(f"{channel} to {', '.join(receivers)}" for channel, receivers in told)


def show_comparison(comparison: Comparison, console: Console, *, verbose: bool) -> None:
    """Print it."""
    if comparison.same:
        console.print(Text("\nNothing would have been different.", style="bold"))
        console.print(_totals_table(comparison))
        return
    console.print()
    console.print(_totals_table(comparison))
    for name, by in (("team", team_of), ("severity", severity_of)):
        console.print()
        console.print(_group_table(comparison, name, by))
    console.print()
    console.print(_times_table(comparison))
    before, after = comparison.refused
    if before != after:
        console.print()
        console.print(
            as_text(f"dead letters: {_count_list(before)} -> {_count_list(after)}"), soft_wrap=True
        )
    for title, lines in _styled_lists(comparison, verbose=verbose):
        _print_list(console, title, [line for _, line in lines], verbose=verbose)


def _count_list(refused: dict[str, int]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in refused.items()) or "none"


def difference_lists(comparison: Comparison) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each list of differences: its title, and the verdict and the text of each line."""
    return [
        (title, [(verdict, line.plain.strip()) for verdict, line in lines])
        for title, lines in _styled_lists(comparison, verbose=True)
    ]


def _styled_lists(
    comparison: Comparison, *, verbose: bool
) -> Iterator[tuple[str, list[tuple[str, Text]]]]:
    yield (
        "You would have been spared",
        [(GONE, line) for line in _occasion_lines(comparison, GONE, verbose=verbose)],
    )
    yield (
        "You would have missed: nobody would have been told of",
        [(GONE, _incident_line(incident)) for incident in comparison.missed],
    )
    yield (
        "You would have been told, but nobody called",
        [(GONE, _incident_line(incident)) for incident in comparison.unpaged],
    )
    yield (
        "You would have been told besides",
        [(ADDED, line) for line in _occasion_lines(comparison, ADDED, verbose=verbose)],
    )
    yield (
        "You would have been told otherwise",
        [(CHANGED, line) for line in _occasion_lines(comparison, CHANGED, verbose=verbose)],
    )
    yield (
        "Escalations",
        [
            (pair.verdict, _escalation_line(pair))
            for pair in comparison.escalations
            if pair.verdict != SAME
        ],
    )
    yield (
        "Incidents",
        [
            (pair.verdict, _incident_summary(pair))
            for pair in comparison.incidents
            if pair.verdict != SAME
        ],
    )


def _print_list(console: Console, title: str, lines: Sequence[Text], *, verbose: bool) -> None:
    if not lines:
        return
    console.print(Text(f"\n{title}", style="bold underline"))
    shown = lines if verbose else lines[:SHOWN_MAX]
    for line in shown:
        console.print(line, soft_wrap=True)
    if len(lines) > len(shown):
        console.print(
            Text(f"  and {len(lines) - len(shown)} more: --verbose shows all", style="dim")
        )


def _totals_table(comparison: Comparison) -> Table:
    table = plain_table()
    table.add_column("")
    for name in (BEFORE, AFTER, ADDED, GONE, CHANGED):
        table.add_column(name, justify="right")
    names = {"pages": "pages (by pager)", "messages": "messages (by email, chat)"}
    for kind in KINDS:
        counts = tally_pairs(comparison.pairs(kind), lambda _: "").get("", {})
        cells = [str(counts.get(name, 0)) for name in (BEFORE, AFTER, ADDED, GONE, CHANGED)]
        table.add_row(names.get(kind, kind), *cells)
    return table


def _group_table(comparison: Comparison, name: str, by: Callable[[Fact], str]) -> Table:
    table = plain_table()
    table.add_column(f"by {name}")
    tallies = {kind: tally_pairs(comparison.pairs(kind), by) for kind in KINDS}
    for kind in KINDS:
        table.add_column(kind)
    for item in sorted({count for counts in tallies.values() for count in counts}):
        table.add_row(as_text(item), *(_counts_cell(tallies[kind].get(item, {})) for kind in KINDS))
    return table


def _counts_cell(counts: dict[str, int]) -> Text:
    """`12 -> 9  +1 -4 ~2`."""
    cell = Text(f"{counts.get(BEFORE, 0)} -> {counts.get(AFTER, 0)}")
    for verdict, (sign, style) in _SIGNS.items():
        if counts.get(verdict):
            cell.append(f" {sign}{counts[verdict]}", style)
    return cell


def _times_table(comparison: Comparison) -> Table:
    table = plain_table()
    for name in ("from the opening", "median", "longest", "incidents"):
        table.add_column(name)
    for label, (before, after) in comparison.times.items():
        median, longest = (
            (_duration_text(before.median_ms), _duration_text(after.median_ms)),
            (_duration_text(before.max_ms), _duration_text(after.max_ms)),
        )
        numbers = (str(before.number), str(after.number))
        table.add_row(
            f"to the {label}", *(" -> ".join(both) for both in (median, longest, numbers))
        )
    return table


def _duration_text(time_ms: int | None) -> str:
    return "-" if time_ms is None else format_ms(time_ms)


def _occasion_lines(comparison: Comparison, verdict: str, *, verbose: bool) -> list[Text]:
    """A line for each occasion, in the order of time; those on which somebody is called first.

    Where much is the same but for what it is about, as in a storm, it is one line, unless all is
    asked for.
    """
    occasions: dict[tuple[int, str, str, tuple[FieldChange, ...]], Occasion] = {}
    for pair in comparison.notifications:
        if pair.verdict == verdict:
            message = pair.shown
            key = (message.at_ms, message.incident, message.kind, pair.changes)
            occasions.setdefault(
                key, Occasion(message.at_ms, message.kind, message.title, [])
            ).pairs.append(pair)
    ordered = sorted(occasions.values(), key=lambda occasion: (not occasion.page, occasion.at_ms))
    alike: dict[object, list[Occasion]] = {}
    for number, item in enumerate(ordered):
        same = (
            item.at_ms,
            item.kind,
            item.pairs[0].shown.severity,
            item.recipients_text,
            _changes_sentence(item.pairs[0].changes),
        )
        alike.setdefault(number if verbose else same, []).append(item)
    return [_occasion_line(ones, verdict) for ones in alike.values()]


def _occasion_line(occasions: Sequence[Occasion], verdict: str) -> Text:
    """One occasion, or several that differ in what they are about."""
    first = occasions[0]
    message = first.pairs[0].shown
    line = _line_start(verdict, first.at_ms, message.severity)
    if first.page:
        line.append("PAGE ", "bold")
    titles = [occasion.title for occasion in occasions]
    more = f" and {len(titles) - TITLES_MAX} more" if len(titles) > TITLES_MAX else ""
    line += as_text(
        f"{first.kind}: {', '.join(titles[:TITLES_MAX])}{more} | {first.recipients_text}"
    )
    return line + _changes_text(first.pairs[0].changes)


def _line_start(verdict: str, at_ms: int, severity: str) -> Text:
    sign, style = _SIGNS[verdict]
    line = Text(f"  {sign} ", style=style)
    line.append(f"{format_instant(at_ms)[:16].replace('T', ' ')} ", "dim")
    line.append(f"{severity} ", SEVERITY_STYLE.get(severity, ""))
    return line


def _changes_text(changes: Sequence[FieldChange]) -> Text:
    """What has changed.

    Of what is said otherwise because it is said at another time, only the time.
    """
    sentence = _changes_sentence(changes)
    return as_text(f" | {sentence}" if sentence else "")


def _changes_sentence(changes: Sequence[FieldChange]) -> str:
    return ", ".join(
        _change_sentence(change)
        for change in [change for change in changes if change.label != "text"] or changes
    )


def _change_sentence(change: FieldChange) -> str:
    before, after = (
        _moment_text(text) or truncate(text, TEXT_MAX) for text in (change.before, change.after)
    )
    if not (_moment_text(change.before) and _moment_text(change.after)):
        return f"{change.label} {before} -> {after}"
    moved_ms = round(
        (
            datetime.fromisoformat(change.after) - datetime.fromisoformat(change.before)
        ).total_seconds()
        * 1000
    )
    how = "later" if moved_ms > 0 else "earlier"
    day = before.partition(" ")[0]
    return f"{change.label} {before} -> {after.removeprefix(f'{day} ')}, {format_ms(abs(moved_ms))} {how}"


def _moment_text(text: str) -> str:
    """A moment as people read it; empty when the text is none."""
    return text[:19].replace("T", " ") if _INSTANT.fullmatch(text) else ""


def _escalation_line(pair: Pair[Escalation]) -> Text:
    escalation = pair.shown
    line = _line_start(pair.verdict, escalation.at_ms, escalation.severity)
    return (
        line
        + as_text(
            f"{escalation.rule} to {escalation.to}, step {escalation.step}: {escalation.because}"
        )
        + _changes_text(pair.changes)
    )


def _incident_summary(pair: Pair[Incident]) -> Text:
    incident = pair.before or pair.shown  # the id is the one that people know, if there is one
    return (
        _line_start(pair.verdict, incident.opened_ms, pair.shown.severity)
        + _incident_name(incident)
        + _changes_text(pair.changes)
    )


def _incident_line(incident: Incident) -> Text:
    line = _line_start(GONE, incident.opened_ms, incident.severity) + _incident_name(incident)
    return line + as_text(
        f" | {incident.acknowledged_by} took it" if incident.acknowledged_by else ""
    )


def _incident_name(incident: Incident) -> Text:
    return as_text(f"{incident.id} {incident.title} ({incident.owner})")
