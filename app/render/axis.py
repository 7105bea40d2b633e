"""An axis of time on which long quiet stretches are cut out, so that a bad hour in a fortnight can still be read."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from models.text.duration import format_ms
from models.text.instant import format_instant

MINUTE_MS = 60_000
QUIET_SHARE = 0.12  # of what is shown: a longer stretch in which nothing happens is cut
QUIET_MS_MIN = 10 * MINUTE_MS
JOIN_SHARE = 0.03  # of what is shown: less between two that are cut is cut, too
CUTS_MAX = 12
CUT_WIDTH = 34.0  # of a stretch that is cut
TICK_WIDTH_MIN = 74.0
_STEPS_MS = [
    minutes * MINUTE_MS
    for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080, 40320)
]


class AxisStretch(NamedTuple):
    """A piece of the axis: from when to when, and where. One that is cut is quiet."""

    from_ms: int
    to_ms: int
    x: float
    width: float
    cut: bool


class AxisTick(NamedTuple):
    """A place on the axis with its text; `day` is the date where it changes."""

    x: float
    text: str
    day: str


class Axis:
    """Where each moment is, from `left` on and `width` wide."""

    def __init__(self, moments_ms: Sequence[int], left: float, width: float) -> None:
        moments = sorted(set(moments_ms)) or [0]
        quiet = _long_gaps(moments)
        shown_ms = max(moments[-1] - moments[0] - sum(end - begin for begin, end in quiet), 1)
        scale = (width - CUT_WIDTH * len(quiet)) / shown_ms
        self.stretches: list[AxisStretch] = []
        x, at_ms = left, moments[0]
        for begin, end in [*quiet, (moments[-1], moments[-1])]:
            self.stretches.append(AxisStretch(at_ms, begin, x, (begin - at_ms) * scale, cut=False))
            x += (begin - at_ms) * scale
            if end > begin:
                self.stretches.append(AxisStretch(begin, end, x, CUT_WIDTH, cut=True))
                x += CUT_WIDTH
            at_ms = end

    def x(self, at_ms: int) -> float:
        """Where a moment is; at the nearer end if it is outside."""
        for stretch in self.stretches:
            if at_ms <= stretch.to_ms:
                share = (
                    (at_ms - stretch.from_ms) / (stretch.to_ms - stretch.from_ms)
                    if stretch.to_ms > stretch.from_ms
                    else 0
                )
                return round(stretch.x + max(share, 0) * stretch.width, 1)
        return round(self.stretches[-1].x + self.stretches[-1].width, 1)

    def ticks(self) -> Iterator[AxisTick]:
        """Ticks at round times, far enough from each other to be read."""
        day, last = "", float("-inf")
        for stretch in self.stretches:
            if stretch.cut or not stretch.width:
                continue
            step_ms = next(
                (
                    step
                    for step in _STEPS_MS
                    if step * stretch.width / (stretch.to_ms - stretch.from_ms) >= TICK_WIDTH_MIN
                ),
                _STEPS_MS[-1],
            )
            for at_ms in range(
                -(-stretch.from_ms // step_ms) * step_ms, stretch.to_ms + 1, step_ms
            ):
                x = self.x(at_ms)
                if x - last < TICK_WIDTH_MIN / 2:
                    continue
                last = x
                date, clock = format_instant(at_ms)[:10], format_instant(at_ms)[11:16]
                yield AxisTick(x, clock, date if date != day else "")
                day = date

    def cuts(self) -> Iterator[tuple[float, str]]:
        """The middle of each stretch that is cut, and how long it is."""
        for stretch in self.stretches:
            if stretch.cut:
                yield stretch.x + stretch.width / 2, format_ms(stretch.to_ms - stretch.from_ms)


def _long_gaps(moments: Sequence[int]) -> list[tuple[int, int]]:
    """The stretches between moments that are long beside what is left when they are cut."""
    gaps = list(pairwise(moments))
    cut: set[tuple[int, int]] = set()
    while True:
        left_ms = moments[-1] - moments[0] - sum(end - begin for begin, end in cut)
        more = {
            gap for gap in gaps if gap[1] - gap[0] > max(QUIET_SHARE * left_ms, QUIET_MS_MIN)
        } - cut
        if not more or len(cut) + len(more) > CUTS_MAX:
            return _merge_cuts(sorted(cut), left_ms)
        cut |= more


def _merge_cuts(cuts: Sequence[tuple[int, int]], left_ms: int) -> list[tuple[int, int]]:
    """Stretches with next to nothing between them are one."""
    joined: list[tuple[int, int]] = []
    for begin, end in cuts:
        if joined and begin - joined[-1][1] < JOIN_SHARE * left_ms:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return joined
