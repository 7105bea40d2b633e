"""Alerts from a file: what cannot be read is told by its line, and what can is fed."""

from pathlib import Path

import pytest

from app.demo.recorded import BadRecording, parse_steps

FILE = Path("alerts.csv")
HEAD = b"time,name,ip,host,short,time_label,event_label\n"
GOOD = b"1642204861,Web 400,10.0.0.1,intranet,W-Acc-400,-,-\n"


def told(data: bytes) -> tuple[int, list[str]]:
    """How many alerts are fed, and what is told of the rest, up to what Python says of it."""
    problems: list[str] = []
    fed = sum(len(alerts) for _, alerts in parse_steps(FILE, data, problems))
    return fed, [problem.partition(" (")[0] for problem in problems]


@pytest.mark.parametrize("time", [b"inf", b"nan", b"-inf", b"1e300", b"-1e12", b"", b"soon"])
def test_a_row_whose_time_is_none_is_told(time: bytes) -> None:
    """Python has numbers that are no time, and times that it does not know."""
    bad = GOOD.replace(b"1642204861", time)

    assert told(HEAD + bad + GOOD) == (1, ["alerts.csv:2: is not a row of AIT-ADS"])


def test_a_row_that_is_too_short_is_told() -> None:
    """What it lacks is nothing, and not the text None."""
    assert told(HEAD + b"1642204861,Web 400\n" + GOOD) == (
        1,
        ["alerts.csv:2: is not a row of AIT-ADS"],
    )


def test_what_is_no_csv_is_told() -> None:
    """A field has a bound; a file that passes it is none of ours."""
    with pytest.raises(
        BadRecording, match=r"alerts\.csv:\d+: is not CSV: field larger than field limit"
    ):
        told(HEAD + GOOD + b"1," + b"x" * 200_000 + b",a,b,c,-,-\n")


def test_a_file_without_an_alert_is_told() -> None:
    """Nothing but bad lines is no recording."""
    with pytest.raises(BadRecording, match="has no alert; expected JSON lines"):
        told(b"{\n\xff\n")
