"""Both courses of events on one axis of time: an inline SVG that needs no script, in the reader's colours.

A row is an incident, by team: above what was, below what would be. Marks are what people were told:
pages, messages, and escalations. What only one of both has is drawn otherwise than what both have.
"""

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from app.render.axis import Axis
from app.render.page import escaped_lines, shortened
from app.whatif.compare import AFTER, BEFORE, CHANGED, SAME, AnyPair, Comparison, Pair, team_of
from app.whatif.outcomes import Escalation, Incident, Message
from models.text.instant import format_instant
from models.text.truncate import truncate

WIDTH, LEFT, RIGHT, TOP = 1240, 330, 36, 54
ROW, BAR, TEAM = 40, 9, 30  # heights: of a row, of a bar in it, of a team's name
ROWS_MAX = 80
LABEL_CHARACTERS_MAX = 46
TOLD_MAX = 12  # lines of a mark's tooltip

_PAGE, _MESSAGE, _ESCALATION = "page", "message", "escalation"


class Mark(NamedTuple):
    """What was said at one moment of one side, of one kind and verdict."""

    side: str
    at_ms: int
    kind: str
    verdict: str
    lines: list[str]


class Row(NamedTuple):
    """An incident of both sides; `incident` is None for messages that are about many."""

    team: str
    incident: Pair[Incident] | None
    marks: list[Mark]

    @property
    def differs(self) -> bool:
        """Whether anything is different in it."""
        return any(mark.verdict != SAME for mark in self.marks) or (
            self.incident is not None and self.incident.verdict != SAME
        )


def comparison_timeline(comparison: Comparison) -> str:
    """The SVG, and a line that says what it leaves out."""
    rows = _incident_rows(comparison)
    quiet = sum(_is_never_notified(pair) for pair in comparison.incidents)
    shown = rows
    if len(rows) > ROWS_MAX:
        kept = {id(row) for row in sorted(rows, key=lambda row: not row.differs)[:ROWS_MAX]}
        shown = [row for row in rows if id(row) in kept]
    left_out = [f"{quiet} incidents that nobody was told of, nor would be"] if quiet else []
    if len(rows) > len(shown):
        alike = sum(not row.differs for row in rows) - sum(not row.differs for row in shown)
        left_out.append(f"{len(rows) - len(shown)} more, {alike} of them without a difference")
    omitted = f"<p>Not in the picture: {escape('; '.join(left_out))}.</p>" if left_out else ""
    if not shown:
        return f"<p>Nobody was told anything, and nobody would be.</p>{omitted}"
    return _svg_document(shown) + omitted


def _is_never_notified(pair: Pair[Incident]) -> bool:
    return all(incident is None or not incident.heard for incident in (pair.before, pair.after))


def _incident_rows(comparison: Comparison) -> list[Row]:
    """A row for each incident that somebody was told of, by team and time; digests last."""
    marks: dict[str, list[tuple[str, Message | Escalation, str]]] = {}
    names = {
        pair.after.id: pair.before.id for pair in comparison.incidents if pair.after and pair.before
    }
    pairs: list[AnyPair] = [*comparison.notifications, *comparison.escalations]
    for pair in pairs:
        for side, item in ((BEFORE, pair.before), (AFTER, pair.after)):
            if item is not None and not isinstance(item, Incident):
                name = names.get(item.incident, item.incident) if side == AFTER else item.incident
                marks.setdefault(name, []).append((side, item, pair.verdict))
    rows = []
    for incident in comparison.incidents:
        name = (incident.before or incident.shown).id
        if not _is_never_notified(incident) or name in marks:
            rows.append(
                Row(team_of(incident.shown), incident, list(_message_marks(marks.get(name, []))))
            )
    if "" in marks:
        rows.append(Row(team_of(marks[""][0][1]), None, list(_message_marks(marks[""]))))
    return sorted(
        rows,
        key=lambda row: (
            row.incident is None,
            row.team,
            row.incident.shown.opened_ms if row.incident else 0,
        ),
    )


def _message_marks(pairs: Sequence[tuple[str, Message | Escalation, str]]) -> Iterator[Mark]:
    marks: dict[tuple[str, int, str, str], list[str]] = {}
    for side, item, verdict in pairs:
        if isinstance(item, Escalation):
            kind, line = _ESCALATION, f"escalated to {item.to} (step {item.step}): {item.because}"
        else:
            kind = _PAGE if item.page else _MESSAGE
            line = f"{item.kind}, {item.channel} to {item.receiver}: {item.text}"
        # Messages of one moment that are partly the same share a mark of the verdict that says
        # more.
        marks.setdefault((side, item.at_ms, kind, verdict), []).append(line)
    for (side, at_ms, kind, verdict), lines in sorted(marks.items()):
        yield Mark(side, at_ms, kind, verdict, lines)


def _svg_document(rows: Sequence[Row]) -> str:
    axis = Axis(list(_distinct_moments(rows)), LEFT, WIDTH - LEFT - RIGHT)
    parts: list[str] = []
    y, team = TOP, ""
    for row in rows:
        if row.team != team:
            team = row.team
            parts.append(f'<text class="team" x="8" y="{y + 21}">{escaped_lines(team)}</text>')
            y += TEAM
        parts.append(_row_elements(row, axis, y))
        y += ROW
    title = "Incidents by team, above as they were and below as they would be, with what people were told"
    return (
        f'<svg viewBox="0 0 {WIDTH} {y + 8}" role="img" aria-label="{title}" xmlns="http://www.w3.org/2000/svg">'
        f"{_grid_lines(axis, y)}{''.join(parts)}</svg>"
    )


def _distinct_moments(rows: Sequence[Row]) -> Iterator[int]:
    """The moments that have to be told from each other.

    Reminders by mail, hours after it was over, need no room.
    """
    for row in rows:
        yield from (
            mark.at_ms for mark in row.marks if mark.kind != _MESSAGE or row.incident is None
        )
        if row.incident is not None:
            for incident in (row.incident.before, row.incident.after):
                if incident is not None:
                    yield from (incident.opened_ms, incident.ends_ms)


def _grid_lines(axis: Axis, height: int) -> str:
    parts = []
    for tick in axis.ticks():
        parts.append(
            f'<line class="grid" x1="{tick.x}" x2="{tick.x}" y1="{TOP - 14}" y2="{height}"/>'
        )
        parts.append(f'<text class="tick" x="{tick.x}" y="{TOP - 20}">{tick.text}</text>')
        if tick.day:
            parts.append(f'<text class="day" x="{tick.x}" y="{TOP - 36}">{tick.day}</text>')
    for x, text in axis.cuts():
        parts.append(
            f'<rect class="cut" x="{x - 14:.1f}" y="{TOP - 14}" width="28" height="{height - TOP + 14}"/>'
        )
        parts.append(f'<text class="tick" x="{x:.1f}" y="{TOP - 36}">{text}</text>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{TOP - 4}">≈</text>')
    return "".join(parts)


def _row_elements(row: Row, axis: Axis, y: int) -> str:
    parts = [
        f'<line class="rule" x1="8" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>',
        _row_label(row, y),
    ]
    for side, top in ((BEFORE, y + 6), (AFTER, y + 6 + BAR + 6)):
        incident: Incident | None = getattr(row.incident, side, None)
        if incident is not None and row.incident is not None:
            parts.append(_incident_bar(incident, side, row.incident.verdict, axis, top))
        elif incident is None and row.incident is None:
            parts.append(
                f'<line class="thread" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{top + 4.5}" y2="{top + 4.5}"/>'
            )
        order = {_MESSAGE: 0, _ESCALATION: 1, _PAGE: 2}
        marks = [mark for mark in row.marks if mark.side == side]
        parts += [
            _mark_element(mark, axis, top)
            for mark in sorted(marks, key=lambda mark: order[mark.kind])
        ]
    return "".join(parts)


def _row_label(row: Row, y: int) -> str:
    if row.incident is None:
        return f'<text class="label" x="8" y="{y + 24}">messages about many incidents</text>'
    incident, name = row.incident.shown, (row.incident.before or row.incident.shown).id
    word = "" if row.incident.verdict in (SAME, CHANGED) else f" ({row.incident.verdict})"
    tooltip = f"<title>{escaped_lines(f'{name} {incident.title}')}</title>"
    severity = f'<text class="{_severity_class(incident)}" x="8" y="{y + 18}">{escaped_lines(incident.severity)}</text>'
    title = escaped_lines(shortened(incident.title, LABEL_CHARACTERS_MAX))
    label = f'<text class="label" x="36" y="{y + 18}">{title}{word}</text>'
    return f'<g>{tooltip}{severity}{label}<text class="id" x="36" y="{y + 32}">{escaped_lines(name)}</text></g>'


def _severity_class(incident: Incident) -> str:
    return (
        f"sev {incident.severity.lower()}"
        if incident.severity in ("P0", "P1", "P2", "P3")
        else "sev"
    )


def _incident_bar(incident: Incident, side: str, verdict: str, axis: Axis, top: int) -> str:
    begins, ends = axis.x(incident.opened_ms), axis.x(incident.ends_ms)
    until = (
        format_instant(incident.closed_ms)[:19]
        if incident.closed_ms is not None
        else "the end of the record"
    )
    begin = format_instant(incident.opened_ms)[:19]
    text = f"{side}: {incident.id} {incident.severity} {incident.title}\nfrom {begin} to {until}"
    told = "" if incident.heard else " untold"
    return (
        f'<rect class="bar {side} {verdict}{told}" x="{begins}" y="{top}" width="{max(ends - begins, 2):.1f}" '
        f'height="{BAR}" rx="2"><title>{escaped_lines(text)}</title></rect>'
    )


def _mark_element(mark: Mark, axis: Axis, top: int) -> str:
    x, middle = axis.x(mark.at_ms), top + BAR / 2
    shown = mark.lines[:TOLD_MAX] + (
        [f"and {len(mark.lines) - TOLD_MAX} more"] if len(mark.lines) > TOLD_MAX else []
    )
    word = "" if mark.verdict == SAME else f" ({mark.verdict})"
    text = f"{mark.side}, {format_instant(mark.at_ms)[:19]}{word}\n" + "\n".join(
        truncate(line, 200) for line in shown
    )
    tooltip = f"<title>{escaped_lines(text)}</title>"
    css = f"mark {mark.kind} {mark.verdict}"
    match mark.kind:
        case "page":
            return f'<circle class="{css}" cx="{x}" cy="{middle}" r="6">{tooltip}</circle>'
        case "escalation":
            points = f"{x},{middle - 6} {x + 6},{middle} {x},{middle + 6} {x - 6},{middle}"
            return f'<polygon class="{css}" points="{points}">{tooltip}</polygon>'
        case _:
            return f'<rect class="{css}" x="{x - 1.5:.1f}" y="{top - 1}" width="3" height="{BAR + 2}">{tooltip}</rect>'
