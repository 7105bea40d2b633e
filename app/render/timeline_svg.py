"""An incident's picture as SVG, and as an HTML page around it: self-contained, without scripts, for light, dark and paper.

Texts are anybody's: they are made inert, then escaped. Nothing of them stands where a browser would
look for more than text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from app.render.page import SECURITY_POLICY, escaped, shortened
from app.render.timeline_text import round_instants, tick_label
from app.report.timeline import ROWS, TimelineMark, TimelinePicture, TimeSpan
from models.text.duration import format_ms
from models.text.instant import format_instant
from models.text.sanitize import inert

BAR = 12  # height of a bar
MARK = 5  # half of a mark's width
ROWS_OF_MARKS_MAX = 4  # that one kind of marks is spread over, so that they do not cover each other


@dataclass(frozen=True, slots=True)
class Layout:
    """How much room a picture has. Lengths are in the picture's own units."""

    width: int
    left: int  # where the time begins
    right: int  # margin
    row: int  # height of a lane
    top: int  # above the first lane
    ticks: int  # at most, on the axis
    above: int  # height of a lane's name above its bar; 0: the name stands beside it
    listed: bool  # with its title, and a list of what happened

    @property
    def label_width(self) -> int:
        """How wide a lane's name may be."""
        return self.width - 2 * self.right if self.above else self.left - 16


ALONE = Layout(1000, 256, 16, 20, 66, 9, 0, listed=True)  # a file of its own
WIDE = Layout(1000, 256, 16, 20, 26, 9, 0, listed=False)  # part of a page, which has the title
NARROW = Layout(360, 8, 8, 34, 26, 3, 14, listed=False)  # the same on a phone

STYLE = """
.tocsin { --paper: #ffffff; --ink: #1f2328; --faint: #59636e; --line: #d1d9e0; --bar: #bc4c00; --open: #cf222e;
  --acknowledged: #9a6700; --resolved: #1a7f37; --notified: #0969da; --escalated: #cf222e; --people: #1a7f37; --course: #59636e;
  font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; }
@media (prefers-color-scheme: dark) { .tocsin { --paper: #0d1117; --ink: #e6edf3; --faint: #9198a1; --line: #3d444d;
  --bar: #f0883e; --open: #f85149; --acknowledged: #d29922; --resolved: #3fb950; --notified: #58a6ff; --escalated: #f85149;
  --people: #3fb950; --course: #9198a1; } }
@media print { .tocsin { --paper: #ffffff; --ink: #000000; --faint: #444444; --line: #bbbbbb; --bar: #bc4c00; --open: #cf222e;
  --acknowledged: #9a6700; --resolved: #1a7f37; --notified: #0969da; --escalated: #cf222e; --people: #1a7f37; --course: #444444;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
.tocsin .paper { fill: var(--paper); }
.tocsin text { fill: var(--ink); }
.tocsin .faint { fill: var(--faint); }
.tocsin .title { font-size: 16px; font-weight: 600; }
.tocsin .line { stroke: var(--line); }
.tocsin .bar { fill: var(--bar); }
.tocsin .open { fill: var(--open); }
.tocsin .acknowledged { fill: var(--acknowledged); }
.tocsin .resolved { fill: var(--resolved); }
.tocsin .notified { fill: var(--notified); }
.tocsin .escalated { fill: var(--escalated); }
.tocsin .people { fill: var(--people); }
.tocsin .course { fill: var(--course); }
"""

_PAGE_STYLE = """
body { margin: 2rem auto; max-width: 1000px; padding: 0 1rem; background: #ffffff; color: #1f2328;
  font: 14px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { text-align: left; vertical-align: top; padding: 3px 10px 3px 0; border-bottom: 1px solid #d1d9e0; }
td:nth-child(-n+3) { white-space: nowrap; font-variant-numeric: tabular-nums; }
td:last-child { overflow-wrap: anywhere; }
tr { break-inside: avoid; }
@media (prefers-color-scheme: dark) { body { background: #0d1117; color: #e6edf3; } th, td { border-color: #3d444d; } }
@media print { body { background: #ffffff; color: #000000; margin: 0; max-width: none; } th, td { border-color: #bbbbbb; } }
"""


def timeline_svg(picture: TimelinePicture, *, alone: bool = True) -> str:
    """The picture.

    `alone` is a file of its own, which lists what happened below it, as a page does in a table.
    """
    return "\n".join(_Drawing(picture, ALONE, alone=alone).lines(styled=True)) + "\n"


def fragment(picture: TimelinePicture, layout: Layout) -> str:
    """The picture for a page that has `STYLE` in its style sheet, and the title in its text."""
    return "\n".join(_Drawing(picture, layout, alone=False).lines(styled=False)) + "\n"


def timeline_page(picture: TimelinePicture) -> str:
    """An HTML page with the picture and a table of what happened."""
    title = f"{picture.incident}: {picture.title}"
    rows = [
        f"<tr><td>{escaped(_time_text(mark.at_ms))}</td><td>+{format_ms(mark.at_ms - picture.begin_ms)}</td>"
        f"<td>{escaped(mark.words)}</td><td>{escaped(mark.text)}</td></tr>"
        for mark in picture.marks
    ]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            SECURITY_POLICY,
            f"<title>{escaped(title)}</title>",
            f"<style>{_PAGE_STYLE}</style>",
            "</head>",
            "<body>",
            timeline_svg(picture, alone=False).rstrip(),
            "<table>",
            "<thead><tr><th>time (UTC)</th><th>after</th><th>what</th><th></th></tr></thead>",
            "<tbody>",
            *rows,
            "</tbody>",
            "</table>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _shorten_text(value: str, characters: int) -> str:
    return escape(shortened(inert(value), characters))


def _time_text(at_ms: int) -> str:
    return format_instant(at_ms)[:19].replace("T", " ")


class _Drawing:
    def __init__(self, picture: TimelinePicture, layout: Layout, *, alone: bool) -> None:
        self._picture, self._layout = picture, layout
        self._listed = picture.marks if alone else []
        self._y = layout.top

    def _x_of(self, at_ms: int) -> float:
        lasts_ms = max(self._picture.end_ms - self._picture.begin_ms, 1)
        share = min(max((at_ms - self._picture.begin_ms) / lasts_ms, 0), 1)
        room = self._layout.width - self._layout.left - self._layout.right
        return round(self._layout.left + share * room, 1)

    def lines(self, *, styled: bool) -> Iterator[str]:
        """The document, its height known once everything is placed."""
        body = [*self._lane_elements(), *self._state_elements(), *self._marks()]
        bottom = self._y
        body = [*self._axis_elements(bottom), *body, *self._legend_elements(), *self._event_list()]
        width, height = self._layout.width, self._y + 10
        name = escaped(f"Timeline of {self._picture.incident}: {self._picture.title}")
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="tocsin" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img" aria-label="{name}">'
        )
        yield f"<title>{name}</title>"
        if styled:
            yield f"<style>{STYLE}</style>"
        yield f'<rect class="paper" width="{width}" height="{height}"/>'
        if self._layout.listed:
            yield from self._head()
        yield from body
        yield "</svg>"

    def _head(self) -> Iterator[str]:
        picture = self._picture
        yield f'<text class="title" x="10" y="22">{_shorten_text(f"{picture.incident}  {picture.title}", 100)}</text>'
        lasted = format_ms(picture.end_ms - picture.begin_ms)
        begin, end = _time_text(picture.begin_ms), _time_text(picture.end_ms)
        when = f"{picture.severity}, {picture.state}; {begin} to {end} UTC, {lasted}"
        yield f'<text class="faint" x="10" y="40">{escaped(when)}</text>'

    def _axis_elements(self, bottom: int) -> Iterator[str]:
        picture, layout = self._picture, self._layout
        for at_ms in round_instants(picture.begin_ms, picture.end_ms, layout.ticks):
            x = self._x_of(at_ms)
            yield f'<line class="line" x1="{x}" y1="{layout.top - 6}" x2="{x}" y2="{bottom}"/>'
            anchor = (
                "end" if x > layout.width - 40 else "middle" if x > layout.left + 20 else "start"
            )
            text = tick_label(at_ms, picture.begin_ms, picture.end_ms)
            y = layout.top - 10
            yield f'<text class="faint" x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'

    def _lane_elements(self) -> Iterator[str]:
        for lane in self._picture.lanes:
            alone = lane.component.startswith(f"{lane.name}/")
            name = lane.name if alone else f"{lane.name} on {lane.component}"
            yield self._lane_label(name)
            for span in lane.spans:
                yield self._span_element(span, "bar", f"{name}: {_span_title(span)}")
            self._y += self._layout.row - self._layout.above
        if self._picture.more:
            yield self._lane_label(f"and {self._picture.more} more")
            self._y += self._layout.row - self._layout.above

    def _state_elements(self) -> Iterator[str]:
        yield self._lane_label("state of the incident")
        for span in self._picture.states:
            yield self._span_element(span, span.state, f"{span.state}: {_span_title(span)}")
        self._y += self._layout.row - self._layout.above

    def _lane_label(self, name: str) -> str:
        # In a box of its own, which cuts what is too wide: how wide a text is depends on the
        # reader's fonts.
        layout = self._layout
        x = layout.left if layout.above else 10
        size = f'width="{layout.label_width}" height="{layout.row}"'
        box = f'<svg x="{x}" y="{self._y}" {size}>'
        self._y += layout.above
        return f'{box}<text y="{BAR}">{_shorten_text(name, 60)}<title>{escaped(name)}</title></text></svg>'

    def _span_element(self, span: TimeSpan, css: str, words: str) -> str:
        first = self._x_of(span.begin_ms)
        width = max(round(self._x_of(span.end_ms) - first, 1), 2)
        begun = (
            f'<path class="{css}" d="M{first} {self._y + 2} l-6 6 l6 6 z"/>' if span.before else ""
        )
        over = first + width
        goes_on = (
            f'<path class="{css}" d="M{over} {self._y + 2} l6 6 l-6 6 z"/>' if span.open_end else ""
        )
        bar = f'<rect class="{css}" x="{first}" y="{self._y + 2}" width="{width}" height="{BAR}" rx="2"/>'
        return f"<g>{begun}{bar}{goes_on}<title>{escaped(words)}</title></g>"

    def _marks(self) -> Iterator[str]:
        for row in ROWS:
            marks = [mark for mark in self._picture.marks if mark.row == row]
            if not marks:
                continue
            yield self._lane_label({"course": "course of it"}.get(row, row))
            ends = [-100.0] * ROWS_OF_MARKS_MAX
            lowest = 0
            for mark in marks:
                x = self._x_of(mark.at_ms)
                free = [number for number, end in enumerate(ends) if end + 2 * MARK + 2 <= x]
                level = (
                    free[0]
                    if free
                    else min(range(ROWS_OF_MARKS_MAX), key=lambda number: ends[number])
                )
                ends[level] = x
                lowest = max(lowest, level)
                yield self._mark_element(mark, x, self._y + 8 + level * (2 * MARK + 3))
            room = self._layout.row - self._layout.above
            self._y += room + lowest * (2 * MARK + 3)

    def _mark_element(self, mark: TimelineMark, x: float, y: int) -> str:
        words = escaped(f"{_time_text(mark.at_ms)} {mark.words}: {mark.text}")
        shapes = {
            "notified": f'<path class="notified" d="M{x} {y - MARK} l{MARK} {MARK} l-{MARK} {MARK} l-{MARK} -{MARK} z"/>',
            "escalated": f'<path class="escalated" d="M{x} {y - MARK} l{MARK} {2 * MARK} h-{2 * MARK} z"/>',
            "people": f'<circle class="people" cx="{x}" cy="{y}" r="{MARK}"/>',
            "course": f'<rect class="course" x="{round(x - 1.5, 1)}" y="{y - MARK}" width="3" height="{2 * MARK}"/>',
        }
        return f"<g>{shapes[mark.row]}<title>{words}</title></g>"

    def _legend_elements(self) -> Iterator[str]:
        self._y += 8
        left = self._layout.left
        entries = (
            ("bar", "fires"),
            ("open", "open"),
            ("acknowledged", "acknowledged"),
            ("resolved", "resolved"),
        )
        places = [left, left + 70, left + 140, left + 260]
        for (css, word), x in zip(entries, places, strict=True):
            yield f'<rect class="{css}" x="{x}" y="{self._y}" width="12" height="{BAR}" rx="2"/>'
            yield f'<text class="faint" x="{x + 18}" y="{self._y + 10}">{word}</text>'
        self._y += 20

    def _event_list(self) -> Iterator[str]:
        if not self._listed:
            return
        self._y += 14
        for before, mark in pairwise([None, *self._listed]):
            assert mark is not None
            same = before is not None and before.at_ms == mark.at_ms
            when = (
                ""
                if same
                else f"{_time_text(mark.at_ms)}  +{format_ms(mark.at_ms - self._picture.begin_ms)}"
            )
            yield f'<text class="faint" x="10" y="{self._y}">{when}</text>'
            yield f'<text class="{mark.row}" x="{self._layout.left - 46}" y="{self._y}">{escaped(mark.words)}</text>'
            yield f'<text x="{self._layout.left + 80}" y="{self._y}">{_shorten_text(mark.text, 98)}</text>'
            self._y += 16


def _span_title(span: TimeSpan) -> str:
    begin = f"before {_time_text(span.begin_ms)}" if span.before else _time_text(span.begin_ms)
    return f"{begin}, not over" if span.open_end else f"{begin} to {_time_text(span.end_ms)}"
