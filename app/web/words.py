"""Times and texts as a page shows them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup, escape

from models.text.duration import format_ms
from models.text.instant import milliseconds
from models.text.sanitize import inert

LINES_MAX = 200  # of one text that has lines


class Tone(StrEnum):
    """How a clock stands, and the CSS class that colours it."""

    FINE = "fine"
    NEAR = "near"
    MISSED = "missed"
    MET = "met"


_TONES = {
    "running": Tone.FINE,
    "warned": Tone.NEAR,
    "breached": Tone.MISSED,
    "met": Tone.MET,
}


@dataclass(frozen=True, slots=True)
class ClockView:
    """A response time target: its name, when it is due, and how it stands."""

    name: str
    due_ms: int
    tone: Tone

    def words(self, now_ms: int) -> str:
        """Such as `acknowledge in 2m`, `resolve missed 3m ago`."""
        left_ms = self.due_ms - now_ms
        if self.tone is Tone.MET:
            return f"{self.name} met"
        if left_ms > 0 and self.tone is not Tone.MISSED:
            return f"{self.name} in {short_ms(left_ms)}"
        return f"{self.name} missed {short_ms(max(-left_ms, 0))} ago"


def clock_views(clocks: dict[str, Any]) -> tuple[ClockView, ...]:
    """The clocks of a snapshot, the next due first."""
    views = [
        ClockView(name, milliseconds(clock["due_at"]), _TONES.get(clock["state"], Tone.FINE))
        for name, clock in clocks.items()
    ]
    return tuple(sorted(views, key=lambda clock: clock.due_ms))


def short_ms(duration_ms: int) -> str:
    """A duration without seconds once it is longer than ten minutes."""
    return format_ms(duration_ms - duration_ms % (60_000 if duration_ms >= 600_000 else 1000))


def ago(at_ms: int, now_ms: int) -> str:
    """How long ago a time is."""
    return f"{short_ms(max(now_ms - at_ms, 0))} ago"


def clip(text: Any, characters_max: int) -> str:
    """A text of so many characters at the most; it says how many are left out."""
    text = str(text)
    left_out = len(text) - characters_max
    return text if left_out <= 0 else f"{text[:characters_max]}… ({left_out:,} more)"


def lines(text: Any, characters_max: int = 4000) -> Markup:
    """Other people's text with its line breaks, inert and escaped."""
    shown = clip(text, characters_max).split("\n")
    more = len(shown) - LINES_MAX
    if more > 0:
        shown = [*shown[:LINES_MAX], f"… ({more:,} more lines)"]
    return Markup("<br>").join(escape(inert(line)) for line in shown)


def raw_lines(text: Any) -> Markup:
    """The same for a field in which it can be changed: all of it, with its line breaks."""
    return Markup("\n").join(escape(inert(line)) for line in str(text).splitlines())


def web_address(url: Any) -> str:
    """The URL if a browser may follow it: http or https, with a host. Else empty."""
    text = str(url)
    if text != inert(text) or " " in text:
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme in ("http", "https") and parts.netloc else ""


def clock_time(instant: str) -> str:
    """The hours, minutes and seconds of an instant in UTC."""
    return instant[11:19]


def day_and_time(instant: str) -> str:
    """The day, the hours and the minutes of an instant in UTC."""
    return f"{instant[:10]} {instant[11:16]}"
