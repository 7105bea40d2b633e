"""Alerts in, incidents out, messages: three rows of bars on one axis of time, as SVG for a page."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from app.report.activity import HOUR_MS, Hour
from models.text.instant import format_instant
from models.text.plural import plural

BARS_MAX = 168  # a week of hours; more hours are drawn as days
DAY_HOURS = 24
_HEIGHT, _NAME, _AXIS = 64, 18, 22  # of a row's bars, of its name above them, of the axis


@dataclass(frozen=True, slots=True)
class Layout:
    """How much room there is, in the picture's own units."""

    width: int
    ticks: int  # at most


WIDE, NARROW = Layout(1000, 8), Layout(360, 3)


@dataclass(frozen=True, slots=True)
class _Row:
    """What a row counts."""

    name: str
    noun: str
    count: Callable[[Hour], int]


_ROWS = (
    _Row("Alerts that began to fire", "alert", lambda hour: hour.alerts),
    _Row("Incidents that opened", "incident", lambda hour: hour.incidents),
    _Row("Messages; those that woke somebody stand out", "message", lambda hour: hour.messages),
)


def activity_svg(hours: Sequence[tuple[int, Hour]], layout: Layout) -> str:
    """The picture of consecutive hours, the oldest first. Days are drawn where hours are too many."""
    bars = [*_days(hours)] if len(hours) > BARS_MAX else list(hours)
    height = len(_ROWS) * (_NAME + _HEIGHT) + _AXIS
    label = "; ".join(plural(sum(row.count(hour) for _, hour in bars), row.noun) for row in _ROWS)
    size = f'viewBox="0 0 {layout.width} {height}"'
    lines = [f'<svg class="activity" {size} role="img" aria-label="{escape(label)}">']
    for number, row in enumerate(_ROWS):
        lines += _row_lines(row, bars, number * (_NAME + _HEIGHT), layout)
    lines += _axis_lines(bars, height, layout)
    return "\n".join([*lines, "</svg>"])


def _days(hours: Sequence[tuple[int, Hour]]) -> Iterator[tuple[int, Hour]]:
    """The same by days of 24 hours, the last one up to now."""
    for first in range(len(hours) % DAY_HOURS, len(hours), DAY_HOURS):
        part = [hour for _, hour in hours[first : first + DAY_HOURS]]
        yield (
            hours[first][0],
            Hour(
                sum(hour.alerts for hour in part),
                sum(hour.incidents for hour in part),
                sum(hour.messages for hour in part),
                sum(hour.pages for hour in part),
            ),
        )


def _row_lines(
    row: _Row, bars: Sequence[tuple[int, Hour]], top: int, layout: Layout
) -> Iterator[str]:
    most = max((row.count(hour) for _, hour in bars), default=0)
    bottom, step = top + _NAME + _HEIGHT, layout.width / max(len(bars), 1)
    yield f'<text class="name" x="0" y="{top + 13}">{escape(row.name)}</text>'
    yield f'<text class="most" x="{layout.width}" y="{top + 13}">at most {most}</text>'
    yield f'<line class="line" x1="0" y1="{bottom}" x2="{layout.width}" y2="{bottom}"/>'
    for number, (at_ms, hour) in enumerate(bars):
        total = row.count(hour)
        pages = hour.pages if row.noun == "message" else 0
        if not total:
            continue
        x, width = round(number * step, 1), round(max(step - 1, 1), 1)
        text = f"{_moment(at_ms)}: {plural(total, row.noun)}"
        text += f", {plural(pages, 'page')}" if pages else ""
        yield f"<g><title>{escape(text)}</title>"
        for kind, count in (("bar", total), ("bar marked", pages)):
            height = round(count / most * (_HEIGHT - 6), 1)
            if count:
                place = f'x="{x}" y="{round(bottom - height, 1)}"'
                yield f'<rect class="{kind}" {place} width="{width}" height="{height}"/>'
        yield "</g>"


def _axis_lines(bars: Sequence[tuple[int, Hour]], height: int, layout: Layout) -> Iterator[str]:
    step = layout.width / max(len(bars), 1)
    stride = -(-len(bars) // layout.ticks)
    by_day = len(bars) > 1 and bars[1][0] - bars[0][0] > HOUR_MS
    for number in range(0, len(bars), max(stride, 1)):
        text = _moment(bars[number][0])
        shown = text[5:10] if by_day or len(bars) > DAY_HOURS * 2 else text[11:]
        yield f'<text class="tick" x="{round(number * step, 1)}" y="{height - 6}">{shown}</text>'


def _moment(at_ms: int) -> str:
    return format_instant(at_ms)[:16].replace("T", " ")
