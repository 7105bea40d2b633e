"""Time intervals.

Business hours, holidays, time zones, and the next time that something may be told.
"""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models.policy.time_interval import NEVER_MS, TimeInterval, TimeSpan, inside, next_ms
from tests.support.example_counts import examples

MINUTE_MS = 60_000
OFFICE = {"weekdays": ["monday:friday"], "times": [{"start_time": "09:00", "end_time": "17:00"}]}


def interval(*spans: dict[str, Any]) -> list[TimeSpan]:
    """An interval as a policy has it."""
    return TypeAdapter(TimeInterval).validate_python(list(spans))


def at(text: str) -> int:
    """Milliseconds of a UTC time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("spans", "now", "to", "expected"),
    [
        (
            [OFFICE | {"location": "Europe/Berlin"}],
            "2026-11-21T11:00",
            True,
            "2026-11-23T08:00",
        ),  # Saturday -> Monday
        (
            [OFFICE | {"location": "Europe/Berlin"}],
            "2026-06-20T11:00",
            True,
            "2026-06-22T07:00",
        ),  # summer time
        ([OFFICE], "2026-11-24T10:00", True, "2026-11-24T10:00"),
        ([OFFICE], "2026-11-24T10:00", False, "2026-11-24T17:00"),
        ([OFFICE | {"except_dates": ["2026-12-25"]}], "2026-12-24T18:00", True, "2026-12-28T09:00"),
        ([{"days_of_month": ["-3:-1"]}], "2026-02-01T00:00", True, "2026-02-26T00:00"),
        (
            [{"days_of_month": ["31"]}],
            "2026-02-01T00:00",
            True,
            "2026-03-31T00:00",
        ),  # a short month has no 31st
        ([{"days_of_month": ["31"]}], "2026-04-30T12:00", True, "2026-05-31T00:00"),
        ([{"days_of_month": ["28:31"]}], "2026-04-29T00:00", False, "2026-05-01T00:00"),
        ([{"days_of_month": ["-31:-30"]}], "2026-02-01T00:00", True, "2026-03-01T00:00"),
        ([{"months": ["may:august"]}], "2026-11-24T00:00", True, "2027-05-01T00:00"),
        ([{"years": [2027]}], "2026-11-24T00:00", True, "2027-01-01T00:00"),
        ([OFFICE, {"weekdays": ["saturday"]}], "2026-11-20T18:00", True, "2026-11-21T00:00"),
        (
            [{"times": [{"start_time": 1020, "end_time": "24:00"}]}],
            "2026-11-24T16:59",
            True,
            "2026-11-24T17:00",
        ),
    ],
)
def test_the_next_time(spans: list[dict[str, Any]], now: str, to: bool, expected: str) -> None:
    """The next instant inside or outside is the first minute that is."""
    assert next_ms(interval(*spans), at(now), to=to) == at(expected)


def test_an_interval_that_does_not_come_is_never() -> None:
    """A year that is over comes no more, and an interval without limits never ends."""
    assert next_ms(interval({"years": ["2020:2022"]}), at("2026-11-24T00:00"), to=True) == NEVER_MS
    assert next_ms(interval({}), at("2026-11-24T00:00"), to=False) == NEVER_MS


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ({"weekdays": ["mon:fri"]}, "is 'mon:fri', must be a day or a range such as monday:friday"),
        (
            {"weekdays": ["friday:monday"]},
            "is 'friday:monday', which ends before it begins; must be a day",
        ),
        (
            {"times": [{"start_time": "9", "end_time": "17:00"}]},
            "is '9', must be a time of day such as 09:00",
        ),
        ({"months": ["13"]}, "is '13', must be a month or a range such as may:august or 1:3"),
        (
            {"days_of_month": ["0"]},
            "is '0', must be a day of the month or a range such as 1:5 or -3:-1",
        ),
        ({"years": ["soon"]}, "is 'soon', must be a year or a range such as 2026:2028"),
        (
            {"except_dates": ["Christmas"]},
            "is ['Christmas'], must be a list of dates such as 2026-12-25",
        ),
        ({"location": "Berlin"}, "is 'Berlin', must be a time zone such as Europe/Berlin or UTC"),
    ],
)
def test_mistakes(span: dict[str, Any], expected: str) -> None:
    """A mistake is told with what was found and what is expected."""
    with pytest.raises(ValidationError) as refused:
        interval(span)

    assert expected in str(refused.value)


_spans = st.fixed_dictionaries(
    {"location": st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"])},
    optional={
        "times": st.sampled_from(
            [
                [{"start_time": "02:15", "end_time": "02:45"}],
                [
                    {"start_time": "00:00", "end_time": "03:00"},
                    {"start_time": "22:00", "end_time": "24:00"},
                ],
            ]
        ),
        "weekdays": st.sampled_from([["sunday"], ["monday:friday"]]),
        "days_of_month": st.sampled_from([["-2:-1"], ["25:29"]]),
        "except_dates": st.sampled_from([["2026-03-29"], ["2026-10-25"]]),
    },
)


@settings(max_examples=examples(12))
@given(
    st.lists(_spans, min_size=1, max_size=2),
    st.sampled_from(
        ["2026-03-27T23:00", "2026-10-24T20:30", "2026-03-08T02:00", "2026-12-31T12:00"]
    ),
    st.integers(0, 2000),
    st.booleans(),
)
def test_it_agrees_with_looking_at_each_minute(
    spans: list[dict[str, Any]], day: str, minutes: int, to: bool
) -> None:
    """Around changes of the clock too, the next time is the first minute that a walk finds."""
    known, start = interval(*spans), at(day) + minutes * MINUTE_MS
    walk = range(start, start + 2 * 24 * 60 * MINUTE_MS, MINUTE_MS)
    first = next((minute for minute in walk if inside(known, minute) == to), None)

    found = next_ms(known, start, to=to)

    assert found == first or (first is None and found >= walk[-1])
