"""The parts of a comparison.

Ids, which incident is which, what is missed, how long it took, and the axis of time.
"""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.render.axis import Axis
from app.whatif.consequences import (
    ResponseTimes,
    missed_incidents,
    response_times,
    unpaged_incidents,
)
from app.whatif.ids import ROOM, recorded_ids_in, shown_position, to_run, without_ids
from app.whatif.incident_pairs import pair_incidents
from app.whatif.outcomes import Incident, Message, RunOutcomes
from models.incident import incident_id

MINUTE_MS = 60_000
_offsets = st.integers(0, 10**12)
_ids = st.builds(
    incident_id,
    st.just("INC"),
    st.just(1_750_000_000_000),
    st.integers(0, 1023),
    _offsets,
    st.integers(0, 3),
)


@given(_ids, _ids)
def test_ids_of_a_run_are_those_of_the_record(one: str, other: str) -> None:
    """There and back, and in the same order.

    Deadlines of one moment are handled in the order of names.
    """
    assert recorded_ids_in(to_run(one)) == one
    assert (to_run(one) < to_run(other)) == (one < other)
    assert without_ids(f"part of {to_run(one)}") == "part of an incident"


def test_what_the_record_has_not_stands_behind_the_record_before() -> None:
    """As partition, offset, and how many there are in between."""
    behind = incident_id("SEC", 1_750_000_000_000, 3, 1204 * ROOM + 2, 1)

    assert recorded_ids_in(f"see {behind}, or a-b") == "see SEC-20250615T150640Z-03XG~2-1, or a-b"
    assert shown_position(f"3-{1204 * ROOM + 2}-7") == "3-1204~2-7"
    assert shown_position("not one") == "not one"


def incident(name: str, opened: int, ends: int, **more: object) -> Incident:
    """One that lives for these minutes, of the component `api`."""
    whole = Incident(
        id=name,
        component="api",
        incident_class="operations",
        rule="",
        severity="P1",
        owner="data",
        title=f"{name} on api",
        opened_by=f"0-{name}",
        opened_ms=opened * MINUTE_MS,
        closed_ms=ends * MINUTE_MS,
        ends_ms=ends * MINUTE_MS,
        notified_ms=opened * MINUTE_MS,
        heard=True,
        paged=True,
        acknowledged_ms=None,
        acknowledged_by="",
        parents=(),
    )
    return replace(whole, **more)  # type: ignore[arg-type]


A = incident("a", 0, 10)
MATCHES: list[tuple[str, list[Incident], list[Incident], list[tuple[str, str]]]] = [
    ("the same", [A], [A], [("a", "a")]),
    ("it overlaps", [A], [incident("b", 5, 20)], [("a", "b")]),
    ("it does not", [A], [incident("b", 11, 20)], [("a", ""), ("", "b")]),
    (
        "the same record first",
        [A, incident("b", 5, 9)],
        [incident("b", 5, 9), incident("c", 1, 2)],
        [("a", "c"), ("b", "b")],
    ),
    ("one became two", [A], [incident("b", 0, 3), incident("c", 5, 9)], [("a", "b"), ("", "c")]),
    ("another name", [A], [replace(A, id="z", component="web")], [("a", "z")]),
    ("another class", [A], [incident("b", 5, 20, incident_class="security")], [("a", "b")]),
    ("another component", [A], [incident("b", 0, 10, component="web")], [("a", ""), ("", "b")]),
]


@pytest.mark.parametrize(
    ("before", "after", "expected"), [one[1:] for one in MATCHES], ids=[one[0] for one in MATCHES]
)
def test_which_is_which(
    before: list[Incident], after: list[Incident], expected: list[tuple[str, str]]
) -> None:
    """Each stands in one pair, or alone."""
    pairs = pair_incidents(before, after)

    assert [(old.id if old else "", new.id if new else "") for old, new in pairs] == expected


QUIET = replace(A, heard=False)
ROOT = incident("root", 0, 10, component="db")
MISSED: list[tuple[str, list[Incident], list[Incident], list[str]]] = [
    ("told in both", [A], [A], []),
    ("told of no more", [A], [QUIET], ["a"]),
    ("never told", [QUIET], [QUIET], []),
    ("part of one that is told", [A, ROOT], [replace(QUIET, parents=("root",)), ROOT], []),
    (
        "part of one that is not",
        [A, ROOT],
        [replace(QUIET, parents=("root",)), replace(ROOT, heard=False)],
        ["a", "root"],
    ),
    ("gone", [A], [], ["a"]),
    ("a rule's, whose member is told", [ROOT, replace(QUIET, parents=("root",))], [A], []),
    ("a rule's, whose member is not", [ROOT, replace(QUIET, parents=("root",))], [QUIET], ["root"]),
]


@pytest.mark.parametrize(
    ("before", "after", "expected"), [one[1:] for one in MISSED], ids=[one[0] for one in MISSED]
)
def test_what_is_missed(before: list[Incident], after: list[Incident], expected: list[str]) -> None:
    """What somebody was told of, and nobody would be, on its own or by what it is part of."""
    assert sorted(one.id for one in missed_incidents(pair_incidents(before, after))) == expected


def test_what_nobody_is_called_for() -> None:
    """Somebody was called, and would only be told.

    What nobody would even be told of is missed, and not said twice.
    """
    before = [A, ROOT, incident("c", 20, 30)]
    after = [
        replace(A, paged=False),
        replace(ROOT, heard=False, paged=False),
        incident("c", 20, 30),
    ]

    assert [one.id for one in unpaged_incidents(pair_incidents(before, after))] == ["a"]
    assert [one.id for one in missed_incidents(pair_incidents(before, after))] == ["root"]


def test_times() -> None:
    """Median and longest over the incidents that it happened to; the first of each counts."""

    def told(whose: str, minute: int, channel: str) -> Message:
        return Message(
            "", minute * MINUTE_MS, whose, "opened", channel, "ann", "P1", "data", "", ""
        )

    incidents = [A, incident("b", 5, 9), incident("c", 6, 9)]
    messages = [
        told("a", 1, "chat"),
        told("b", 8, "pager"),
        told("a", 9, "pager"),
        told("b", 9, "chat"),
    ]

    found = response_times(RunOutcomes(), RunOutcomes(incidents, messages))

    assert found["first message"] == (
        ResponseTimes(0, None, None),
        ResponseTimes(2, 2 * MINUTE_MS, 3 * MINUTE_MS),
    )
    assert found["first page"][1] == ResponseTimes(2, 6 * MINUTE_MS, 9 * MINUTE_MS)
    assert found["escalation"][1] == ResponseTimes(0, None, None)


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=40))
def test_the_axis_goes_forward_and_stays_within(moments: list[int]) -> None:
    """Later is never further left, all is within the width, and ticks do not stand on each other."""
    axis = Axis(moments, 100, 800)
    places = [axis.x(at_ms) for at_ms in sorted(moments)]
    ticks = [tick.x for tick in axis.ticks()]

    assert places == sorted(places)
    assert places[0] == 100
    assert places[-1] <= 900.1
    assert all(after - before >= 37 for before, after in pairwise(ticks))


def test_long_quiet_stretches_are_cut_out() -> None:
    """An hour with something in it and a night without: the hour has nearly all of the width."""
    axis = Axis([*range(0, 60 * MINUTE_MS, MINUTE_MS), 15 * 60 * MINUTE_MS], 0, 1000)

    assert axis.x(59 * MINUTE_MS) > 950
    assert [text for _, text in axis.cuts()] == ["14h1m"]
