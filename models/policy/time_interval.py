"""Time intervals with Alertmanager's meaning: business hours, maintenance windows, holidays.

An interval is a list of alternatives; in each, every key that is given has to fit. The time zones
are those of the package tzdata and never the machine's, so that every worker and every replay
agrees.
"""

import re
import zoneinfo
from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from models.policy.types import Part
from models.text.instant import NEWEST_MS

zoneinfo.reset_tzpath(())  # the package tzdata is what is left

NEVER_MS = NEWEST_MS
DAYS_AHEAD_MAX = (
    400  # that a next time is looked for; an interval that never comes is as good as none
)
MINUTES_OF_DAY = 24 * 60

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")

Range = tuple[int, int]  # first and last, both included


def _minutes(value: Any) -> Any:
    if isinstance(value, int) and 0 <= value <= MINUTES_OF_DAY:
        return value  # YAML reads 17:00 without quotes as a number in base 60: the minutes
    if isinstance(value, str) and (match := _CLOCK.fullmatch(value)):
        return MINUTES_OF_DAY if value == "24:00" else int(match[1]) * 60 + int(match[2])
    raise ValueError(f"is {value!r}, must be a time of day such as 09:00, up to 24:00")


def _ranges(value: Any, label: str, names: Sequence[str], least: int, most: int) -> Any:
    if not isinstance(value, list):
        raise ValueError(f"is {value!r:.60}, must be a list")  # noqa: TRY004  pydantic catches no other
    return tuple(
        item if isinstance(item, tuple) else _range(str(item), label, names, least, most)
        for item in value
    )


def _range(text: str, label: str, names: Sequence[str], least: int, most: int) -> Range:
    first, _, last = text.lower().partition(":")
    ends = [_number(end.strip(), names) for end in (first, last or first)]
    if any(end is None or end == 0 or not least <= end <= most for end in ends):
        raise ValueError(f"is {text!r}, must be {label}")
    begin, end = int(ends[0] or 0), int(ends[1] or 0)
    if begin > end and (begin > 0) == (end > 0):
        raise ValueError(f"is {text!r}, which ends before it begins; must be {label}")
    return begin, end


def _number(text: str, names: Sequence[str]) -> int | None:
    if text in names:
        return names.index(text) + 1
    return int(text) if re.fullmatch(r"-?\d{1,4}", text) else None


def _weekdays(value: Any) -> Any:
    return _ranges(value, "a day or a range such as monday:friday", _WEEKDAYS, 1, 7)


def _days(value: Any) -> Any:
    return _ranges(value, "a day of the month or a range such as 1:5 or -3:-1", (), -31, 31)


def _months(value: Any) -> Any:
    return _ranges(value, "a month or a range such as may:august or 1:3", _MONTHS, 1, 12)


def _years(value: Any) -> Any:
    return _ranges(value, "a year or a range such as 2026:2028", (), 1, 9999)


def _dates(value: Any) -> Any:
    try:
        return tuple(
            item if isinstance(item, date) else date.fromisoformat(str(item)) for item in value
        )
    except (TypeError, ValueError):
        raise ValueError(f"is {value!r}, must be a list of dates such as 2026-12-25") from None


def _zone(value: Any) -> Any:
    try:
        zoneinfo.ZoneInfo(str(value))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"is {value!r}, must be a time zone such as Europe/Berlin or UTC"
        ) from None
    return str(value)


def _ranges_schema(example: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "array", "items": {"type": ["string", "integer"], "examples": [example]}}
    )


_CLOCK_SCHEMA = WithJsonSchema(
    {
        "description": "A time of day, up to 24:00. Write it in quotes.",
        "examples": ["09:00", "17:00"],
        "anyOf": [
            {"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"},
            {"type": "integer", "minimum": 0, "maximum": MINUTES_OF_DAY},
        ],
    }
)
_ZONE_SCHEMA = WithJsonSchema({"description": "A time zone: Europe/Berlin, UTC", "type": "string"})
_DATES_SCHEMA = WithJsonSchema({"type": "array", "items": {"type": "string", "format": "date"}})


class TimeOfDay(Part):
    """From a time of day up to, and not including, another."""

    start_time: Annotated[int, BeforeValidator(_minutes), _CLOCK_SCHEMA]
    end_time: Annotated[int, BeforeValidator(_minutes), _CLOCK_SCHEMA, Field(gt=0)]


class TimeSpan(Part):
    """One alternative of an interval. What is not given fits always."""

    times: list[TimeOfDay] = []
    weekdays: Annotated[
        tuple[Range, ...], BeforeValidator(_weekdays), _ranges_schema("monday:friday")
    ] = ()
    days_of_month: Annotated[tuple[Range, ...], BeforeValidator(_days), _ranges_schema("1:5")] = ()
    months: Annotated[
        tuple[Range, ...], BeforeValidator(_months), _ranges_schema("may:august")
    ] = ()
    years: Annotated[tuple[Range, ...], BeforeValidator(_years), _ranges_schema("2026:2028")] = ()
    # holidays
    except_dates: Annotated[tuple[date, ...], BeforeValidator(_dates), _DATES_SCHEMA] = ()
    location: Annotated[str, BeforeValidator(_zone), _ZONE_SCHEMA] = "UTC"

    @cached_property
    def zone(self) -> zoneinfo.ZoneInfo:
        """The time zone."""
        return zoneinfo.ZoneInfo(self.location)

    def fits(self, at: datetime) -> bool:
        """Whether a local time is in it."""
        minute = at.hour * 60 + at.minute
        if self.times and not any(time.start_time <= minute < time.end_time for time in self.times):
            return False
        return self.fits_day(at.date())

    def fits_day(self, day: date) -> bool:
        """Whether any of a local day can be in it."""
        length = monthrange(day.year, day.month)[1]
        days = tuple(
            (_of_month(first, length), _of_month(last, length))
            for first, last in self.days_of_month
        )
        return (
            day not in self.except_dates
            and _in(day.isoweekday(), self.weekdays)
            and (not days or _in(day.day, days))
            and _in(day.month, self.months)
            and _in(day.year, self.years)
        )


TimeInterval = Annotated[list[TimeSpan], Field(min_length=1)]


def written(span: TimeSpan) -> dict[str, Any]:
    """The span as it is written in a policy."""
    names = {"weekdays": _WEEKDAYS, "months": _MONTHS, "days_of_month": (), "years": ()}
    ranges = {
        name: [_written(item, words) for item in getattr(span, name)]
        for name, words in names.items()
    }
    times = [
        {"start_time": _clock(time.start_time), "end_time": _clock(time.end_time)}
        for time in span.times
    ]
    dates = [day.isoformat() for day in span.except_dates]
    return {"times": times, **ranges, "except_dates": dates, "location": span.location}


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _written(ends: Range, names: Sequence[str]) -> str:
    first, last = (names[end - 1] if names else str(end) for end in ends)
    return first if first == last else f"{first}:{last}"


def inside(interval: Sequence[TimeSpan], at_ms: int) -> bool:
    """Whether an instant, in milliseconds since 1970, is in the interval."""
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    return any(span.fits(at.astimezone(span.zone)) for span in interval)


def next_ms(interval: Sequence[TimeSpan], at_ms: int, *, to: bool) -> int:
    """The first instant from `at_ms` on that is inside (or, with `to` false, outside).

    NEVER_MS when none comes soon.
    """
    if inside(interval, at_ms) == to:
        return at_ms
    for day in range(DAYS_AHEAD_MAX):
        for change_ms in sorted(
            {change for span in interval for change in _changes(span, at_ms, day)}
        ):
            if change_ms > at_ms and inside(interval, change_ms) == to:
                return change_ms
    return NEVER_MS


def _changes(span: TimeSpan, at_ms: int, day: int) -> Iterator[int]:
    """The instants of a day, counted from the one of `at_ms`, at which the span may begin or end to fit.

    Between these, local time runs without a jump and passes no edge of the span.
    """
    local = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(span.zone).date() + timedelta(
        days=day
    )
    edges = {0, MINUTES_OF_DAY}.union(*((time.start_time, time.end_time) for time in span.times))
    midnight = datetime(local.year, local.month, local.day)  # noqa: DTZ001  made local below, twice
    for minute in edges:
        wall = midnight + timedelta(minutes=minute)
        for fold in (0, 1):  # a local time that comes twice, or never, is two instants
            yield int(wall.replace(tzinfo=span.zone, fold=fold).timestamp()) * 1000
    yield from _jumps(span.zone, local)


@lru_cache(maxsize=4096)
def _jumps(zone: zoneinfo.ZoneInfo, day: date) -> tuple[int, ...]:
    """The instants of a local day at which the clocks are changed."""
    begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) - 14 * 3600
    end = begin + 40 * 3600
    jumps = []
    before = datetime.fromtimestamp(begin, zone).utcoffset()
    for second in range(begin, end + 1, 900):  # offsets change at quarters of an hour
        now = datetime.fromtimestamp(second, zone).utcoffset()
        if now != before:
            jumps.append(second * 1000)
            before = now
    return tuple(jumps)


def _in(number: int, ranges: tuple[Range, ...]) -> bool:
    return not ranges or any(first <= number <= last for first, last in ranges)


def _of_month(day: int, length: int) -> int:
    """A day of the month, where -1 is the last. The 31st is no day of a month of 30 days."""
    return length + day + 1 if day < 0 else day
