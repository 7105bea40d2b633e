"""How much of a month services were up: outages joined, months cut, budgets."""

import argparse
import json
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.cli.report import show_availability
from app.report.availability import OutageLedger, Span, availability_rows, month_before, month_of
from app.settings import Settings
from models.effect import Stream
from models.policy.policy import Availability
from models.text.instant import format_instant
from models.topics import Topics
from tests.support.boards import command_succeeds
from tests.support.example_counts import examples
from tests.support.fake_log import FakeLog
from tests.support.incident_documents import Document, entry, log_of
from tests.support.shipped_policy import shipped

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
APRIL = (1_775_001_600_000, 1_777_593_600_000)  # 2026-04-01 to 2026-05-01, UTC
NOW_MS = APRIL[0] + 10 * DAY
TARGET = Availability.model_validate(
    {"name": "web", "target": 99.9, "match": ['alertname="WebDown"']}
)


def instant_ms(text: str) -> int:
    """Milliseconds since 1970 of a time in UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def said(kind: str, at_ms: int, incident: str = "INC-1", service: str = "web") -> Document:
    """A timeline entry at a time in ms; only those about services name one."""
    more = {"service": service} if kind.startswith("Service") else {}
    return entry(kind, format_instant(at_ms), incident=incident, **more)


def ledger_of(*entries: Document, since_ms: int = 0) -> OutageLedger:
    """A ledger that was fed."""
    ledger = OutageLedger(since_ms)
    for one in entries:
        ledger.feed(one)
    return ledger


@pytest.mark.parametrize(
    ("entries", "spans"),
    [
        ([], []),
        ([("ServiceDown", 1, "a")], [(1, 50)]),
        ([("ServiceDown", 1, "a"), ("ServiceUp", 5, "a")], [(1, 5)]),
        ([("ServiceDown", 1, "a"), ("ServiceUp", 1, "a")], []),
        ([("ServiceDown", 1, "a"), ("Closed", 5, "a")], [(1, 5)]),
        ([("ServiceDown", 1, "a"), ("Closed", 5, "b")], [(1, 50)]),
        ([("ServiceDown", 1, "a"), ("ServiceDown", 3, "a"), ("ServiceUp", 5, "a")], [(1, 5)]),
        ([("ServiceUp", 5, "a")], []),
        (
            [
                ("ServiceDown", 1, "a"),
                ("ServiceDown", 3, "b"),
                ("ServiceUp", 5, "a"),
                ("ServiceUp", 7, "b"),
            ],
            [(1, 7)],
        ),
        (
            [
                ("ServiceDown", 5, "b"),
                ("ServiceUp", 7, "b"),
                ("ServiceDown", 1, "a"),
                ("ServiceUp", 3, "a"),
            ],
            [(1, 3), (5, 7)],
        ),
        (
            [
                ("ServiceDown", 3, "b"),
                ("ServiceUp", 7, "b"),
                ("ServiceDown", 1, "a"),
                ("ServiceUp", 3, "a"),
            ],
            [(1, 7)],
        ),
        ([("ServiceDown", 60, "a")], []),
        (
            [
                *(
                    ("ServiceDown", 1, "a"),
                    ("ServiceUp", 3, "a"),
                    ("ServiceDown", 5, "a"),
                    ("ServiceUp", 9, "a"),
                ),
                *(("ServiceDown", 2, "b"), ("ServiceUp", 6, "b")),
            ],
            [(1, 9)],
        ),
    ],
)
def test_outages(entries: list[tuple[str, int, str]], spans: list[Span]) -> None:
    """A service is down while any incident has it down, until that says otherwise or is closed.

    Now is 50.
    """
    ledger = ledger_of(*(said(kind, at_ms, incident) for kind, at_ms, incident in entries))

    assert ledger.spans("web", 50) == spans
    ledger = OutageLedger()
    for kind, at_ms, incident in entries:
        ledger.feed(said(kind, at_ms, incident))

    assert ledger.spans("web", 50) == spans


CHANGES = st.tuples(
    st.sampled_from(("ServiceDown", "ServiceUp", "Closed", "Opened")),
    st.sampled_from(("a", "b", "c")),
    st.sampled_from(("web", "db")),
    st.integers(0, 8),
)


@hypothesis_settings(max_examples=examples(60))
@given(
    st.lists(CHANGES, max_size=25),
    st.integers(0, 40),
    st.integers(0, 60),
    st.permutations(("a", "b", "c")),
)
def test_outages_are_those_that_a_count_of_each_moment_finds(
    changes: list[tuple[str, str, str, int]], since_ms: int, now_ms: int, order: list[str]
) -> None:
    """Whatever order partitions are read in, and whenever the past is forgotten, each moment is as it was."""
    entries, at_ms = [], 0
    for kind, incident, service, later in changes:
        at_ms += later
        entries.append(said(kind, at_ms, incident, service))
    now_ms += at_ms
    read = [one for incident in order for one in entries if one["incident"] == incident]
    late, early = ledger_of(*read), ledger_of(*read, since_ms=since_ms)
    late.forget(since_ms)

    for service in ("web", "db"):
        down = [ms for ms in range(since_ms, now_ms) if _is_down(entries, service, ms)]
        spans = early.spans(service, now_ms)
        assert [ms for begin, end in spans for ms in range(begin, end)] == down
        assert all(before[1] < after[0] for before, after in pairwise(spans))
        assert late.spans(service, now_ms) == spans


def _is_down(entries: list[Document], service: str, at_ms: int) -> bool:
    """The slow way: play everything up to this moment."""
    down: set[tuple[str, str]] = set()
    for one in entries:
        if instant_ms(one["at"].rstrip("Z")) > at_ms:
            break
        if one["kind"] == "ServiceDown":
            down.add((one["incident"], one["service"]))
        elif one["kind"] == "ServiceUp":
            down.discard((one["incident"], one["service"]))
        elif one["kind"] == "Closed":
            down = {known for known in down if known[0] != one["incident"]}
    return any(known[1] == service for known in down)


def test_nothing_is_kept_of_what_is_over() -> None:
    """Closed incidents and forgotten months leave nothing behind, and outages that touch are one."""
    ledger = OutageLedger()
    for number in range(1000):
        ledger.feed(said("ServiceDown", number, f"INC-{number}"))
        ledger.feed(said("Closed", number + 1, f"INC-{number}"))

    assert (ledger._down, ledger._spans) == ({}, {"web": [(0, 1000)]})
    ledger.forget(1000)
    assert (ledger._down, ledger._spans) == ({}, {})


@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("", APRIL),
        ("2026-04", APRIL),
        ("2026-02", (instant_ms("2026-02-01"), instant_ms("2026-03-01"))),
        ("2024-02", (instant_ms("2024-02-01"), instant_ms("2024-03-01"))),
        ("2025-12", (instant_ms("2025-12-01"), instant_ms("2026-01-01"))),
    ],
)
def test_months(text: str, month: Span) -> None:
    """A month is from its first moment to the next one's, in UTC."""
    assert month_of(text, NOW_MS) == month


@pytest.mark.parametrize(
    "text",
    [
        "2026-13",
        "2026-00",
        "2026-4",
        "04-2026",
        "2026",
        "0000-01",
        "9999-12",
        "2026-04-01",
        "\uff12026-04",
        "x",
    ],
)
def test_what_is_no_month(text: str) -> None:
    """The answer says what a month looks like."""
    with pytest.raises(ValueError, match=f"the month is '{text}', must be such as 2026-11"):
        month_of(text, NOW_MS)


def test_the_month_before() -> None:
    """It is the one that ends where a month begins."""
    assert month_before(APRIL) == (instant_ms("2026-03-01"), APRIL[0])


BUDGET_MS = 2_592_000  # 43 minutes and 12 seconds: 0.1 per cent of 30 days


@pytest.mark.parametrize(
    ("entries", "now_ms", "row"),
    [
        (
            [],
            NOW_MS,
            {"elapsed_ms": 10 * DAY, "down_ms": 0, "up": 100.0, "outages": 0, "down": False},
        ),
        ([], APRIL[0], {"elapsed_ms": 0, "down_ms": 0, "up": 100.0, "outages": 0, "down": False}),
        (
            [said("ServiceDown", NOW_MS - DAY)],
            NOW_MS,
            {"elapsed_ms": 10 * DAY, "down_ms": DAY, "up": 90.0, "outages": 1, "down": True},
        ),
        (
            [said("ServiceDown", APRIL[0] - DAY), said("ServiceUp", APRIL[0] + 3 * MINUTE)],
            APRIL[1] + DAY,
            {
                "elapsed_ms": 30 * DAY,
                "down_ms": 3 * MINUTE,
                "up": 100 * (1 - 3 / 43_200),
                "outages": 1,
                "down": False,
            },
        ),
        (
            [said("ServiceDown", APRIL[1] - DAY)],
            APRIL[1] + DAY,
            {
                "elapsed_ms": 30 * DAY,
                "down_ms": DAY,
                "up": 100 * 29 / 30,
                "outages": 1,
                "down": True,
            },
        ),
    ],
)
def test_rows(entries: list[Document], now_ms: int, row: dict[str, Any]) -> None:
    """The share is of what has elapsed, the budget of the whole month.

    What is outside of the month does not count.
    """
    (found,) = availability_rows([TARGET], ledger_of(*entries), APRIL, now_ms)

    assert found == {
        "service": "web",
        "month": "2026-04",
        "target": 99.9,
        "budget_ms": BUDGET_MS,
        "budget_left_ms": BUDGET_MS - row["down_ms"],
        "met": row["down_ms"] <= BUDGET_MS,
        **row,
        "up": pytest.approx(row["up"]),
    }


def shown(
    capsys: pytest.CaptureFixture[str], log: FakeLog, month: str, *, as_json: bool = False
) -> tuple[bool, str, str]:
    """What the command answers and prints, on standard output and standard error."""
    arguments = argparse.Namespace(month=month, json=as_json)
    answer = command_succeeds(log, Settings(partitions=2), show_availability, arguments)
    out, err = capsys.readouterr()
    return answer, "\n".join(line.rstrip() for line in out.splitlines()), err


TIMELINE = [
    said("ServiceDown", APRIL[0] + DAY, service="core-platform"),
    said("ServiceUp", APRIL[0] + DAY + 3 * MINUTE, service="core-platform"),
    said("ServiceDown", NOW_MS - DAY, "INC-2", "databases"),
]


def test_it_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each service of the policy; what is missed, or down now, stands out."""
    monkeypatch.setenv("COLUMNS", "120")
    log = log_of({Stream.TIMELINE: TIMELINE}, partition=1, now_ms=NOW_MS)

    _, out, err = shown(capsys, log, "")
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:]}
    assert lines["core-platform"] == ["99.979", "%", "99.9", "%", "3m", "40m12s", "1"]
    assert lines["databases"] == [
        "90.000",
        "%",
        "99.95",
        "%",
        "1d",
        "23h38m",
        "too",
        "long",
        "1",
        "missed,",
        "down",
        "now",
    ]
    assert (list(lines), err) == ([one.name for one in shipped().policy.targets.availability], "")
    _, out, _ = shown(capsys, log, "2026-04", as_json=True)
    assert [json.loads(line)["down_ms"] for line in out.splitlines()[:1]] == [3 * MINUTE]


def test_a_bad_month_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The answer is one line."""
    log = log_of({}, now_ms=NOW_MS)

    assert shown(capsys, log, "2026-13") == (
        False,
        "",
        "tocsin: the month is '2026-13', must be such as 2026-11\n",
    )


def test_a_month_that_has_not_begun(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is said of the future."""
    answer = "tocsin: the month is '2026-05', which has not begun: this one is 2026-04\n"

    assert shown(capsys, log_of({}, now_ms=NOW_MS), "2026-05") == (False, "", answer)


def test_what_is_not_kept_any_more_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A month that the timeline does not cover is not passed off as one without outages."""
    log = log_of({Stream.TIMELINE: TIMELINE}, now_ms=NOW_MS)
    del log.topics[Topics().timeline, 0][0]

    _, _, err = shown(capsys, log, "2026-03")
    assert (
        err
        == "tocsin: the timeline is kept from 2026-04-11 on; outages before that are not counted\n"
    )
