"""An incident's picture as text of so many columns.

For a terminal, with or without colour, and for a report in Markdown.
"""

from collections.abc import Iterator

from rich.cells import cell_len, set_cell_size

from app.report.timeline import ROWS, Lane, TimelinePicture, TimeSpan
from models.text.duration import format_ms
from models.text.instant import format_instant
from models.text.sanitize import inert

COLUMNS = 80
LABEL = 26  # columns before the time axis
_SIGNS = {"notified": "◆", "escalated": "▲", "people": "●", "course": "│"}
_STATE_SIGNS = {"open": "▓", "acknowledged": "▒", "resolved": "░"}
_STEPS_S = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10_800,
    21_600,
    43_200,
    86_400,
    172_800,
    604_800,
)
EVENTS_MAX = 200  # that are listed below the picture


def draw_timeline(
    picture: TimelinePicture, columns: int = COLUMNS, *, listed: bool = True
) -> list[str]:
    """The lines, each of so many columns at the most.

    Inert. Below the picture what happened is listed, if wanted.
    """
    lines = [
        *_timeline_lines(picture, columns),
        *(("", *_event_lines(picture, columns)) if listed else ()),
    ]
    return [line.rstrip() for line in lines]


def _timeline_lines(picture: TimelinePicture, columns: int) -> Iterator[str]:
    axis = ColumnAxis(picture.begin_ms, picture.end_ms, columns - LABEL - 1)
    yield _cut_text(
        f"{picture.incident}  {picture.severity}  {picture.state}  {picture.title}", columns
    )
    lasted = format_ms(picture.end_ms - picture.begin_ms)
    first, last = format_instant(picture.begin_ms), format_instant(picture.end_ms)
    yield _cut_text(
        f"{first[:10]} {first[11:19]} to {last[11:19] if first[:10] == last[:10] else last[:19]} UTC, {lasted}",
        columns,
    )
    yield ""
    yield " " * (LABEL + 1) + axis.labels()
    yield " " * (LABEL + 1) + axis.axis_line()
    for lane in picture.lanes:
        yield f"{_lane_label(lane)} {axis.span_bars(lane.spans)}"
    if picture.more:
        yield f"and {picture.more} more"
    yield f"{set_cell_size('state', LABEL)} {axis.span_bars(picture.states)}"
    for row in ROWS:
        if row != "course" and any(mark.row == row for mark in picture.marks):
            places = [mark.at_ms for mark in picture.marks if mark.row == row]
            yield f"{set_cell_size(row, LABEL)} {axis.marks(places, _SIGNS[row])}"
    yield ""
    yield "█ fires  ◂ fired before  ▸ goes on   ▓ open  ▒ acknowledged  ░ resolved"


def _event_lines(picture: TimelinePicture, columns: int) -> Iterator[str]:
    for mark in picture.marks[:EVENTS_MAX]:
        after = f"+{format_ms(mark.at_ms - picture.begin_ms)}"
        yield _cut_text(
            f"{_time_text(mark.at_ms, picture)} {after:>7}  {_SIGNS[mark.row]} {mark.label:<16} {mark.text}",
            columns,
        )
    if len(picture.marks) > EVENTS_MAX:
        yield f"and {len(picture.marks) - EVENTS_MAX} more"


def _time_text(at_ms: int, picture: TimelinePicture) -> str:
    """The time of the day; with the day where the incident is not of one day."""
    at = format_instant(at_ms)
    same = format_instant(picture.begin_ms)[:10] == format_instant(picture.end_ms)[:10]
    return at[11:19] if same else f"{at[5:10]} {at[11:19]}"


def _lane_label(lane: Lane) -> str:
    """The alert's name and component; the end of a component tells more than the end of a name."""
    name, component = inert(lane.name), inert(lane.component)
    if component.startswith(f"{name}/"):
        return set_cell_size(name, LABEL)
    room = max(LABEL - 1 - cell_len(component), LABEL // 2)
    if cell_len(name) > room:
        name = f"{set_cell_size(name, room - 1)}…"
    return set_cell_size(f"{name} {component}", LABEL)


def _cut_text(text: str, columns: int) -> str:
    shown = inert(text)
    return shown if cell_len(shown) <= columns else f"{set_cell_size(shown, columns - 1).rstrip()}…"


class ColumnAxis:
    """A time axis of so many columns."""

    def __init__(self, begin_ms: int, end_ms: int, columns: int) -> None:
        self._begin_ms, self._end_ms, self._columns = begin_ms, end_ms, columns
        self._ticks = list(round_instants(begin_ms, end_ms, max(columns // 10, 1)))

    def column(self, at_ms: int) -> int:
        """Where an instant is."""
        share = (at_ms - self._begin_ms) / max(self._end_ms - self._begin_ms, 1)
        return min(max(int(share * self._columns), 0), self._columns - 1)

    def labels(self) -> str:
        """The times of the ticks."""
        line = ""
        for at_ms in self._ticks:
            text, column = tick_label(at_ms, self._begin_ms, self._end_ms), self.column(at_ms)
            if column >= len(line) + bool(line) and column + len(text) <= self._columns:
                line = line.ljust(column) + text
        return line

    def axis_line(self) -> str:
        """The axis itself."""
        line = ["─"] * self._columns
        for at_ms in self._ticks:
            line[self.column(at_ms)] = "┼"
        return "".join(line)

    def span_bars(self, spans: list[TimeSpan]) -> str:
        """Spans, each one column at the least."""
        line = [" "] * self._columns
        for span in spans:
            first, last = self.column(span.begin_ms), self.column(span.end_ms)
            last = last if span.open_end or last == first else last - 1
            line[first : last + 1] = [_STATE_SIGNS.get(span.state, "█")] * (last + 1 - first)
            if span.before and not span.state:
                line[first] = "◂"
            if span.open_end:
                line[last] = "▸"
        return "".join(line)

    def marks(self, places: list[int], sign: str) -> str:
        """Marks; how many there are where several share a column."""
        line = [0] * self._columns
        for at_ms in places:
            line[self.column(at_ms)] += 1
        return "".join(
            " " if not number else sign if number == 1 else str(min(number, 9)) for number in line
        )


def round_instants(begin_ms: int, end_ms: int, number_max: int) -> Iterator[int]:
    """Round instants within a time, not more than so many of them."""
    wanted_s = (end_ms - begin_ms) / 1000 / max(number_max, 1)
    step_ms = (
        next((step for step in _STEPS_S if step >= wanted_s), int(wanted_s // 86_400 + 1) * 86_400)
        * 1000
    )
    at_ms = -(-begin_ms // step_ms) * step_ms
    while at_ms <= end_ms:
        yield at_ms
        at_ms += step_ms


def tick_label(at_ms: int, begin_ms: int, end_ms: int) -> str:
    """A tick's label: the day where days matter, seconds where they do."""
    at, lasts_ms = format_instant(at_ms), end_ms - begin_ms
    if lasts_ms > 3 * 86_400_000:
        return at[5:10]
    if lasts_ms > 43_200_000 and at[11:16] == "00:00":
        return at[5:10]
    return at[11:19] if lasts_ms < 600_000 else at[11:16]
