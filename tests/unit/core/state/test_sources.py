"""A repeat that has a source: the hot path decides as the slow one."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.engine import Engine
from app.core.state.sources import take_position
from app.core.state.state import PartitionState
from app.transport.log import Headers, StoredRecord
from models.effect import Effect
from models.journal import FORMAT_HEADER, SOURCE_HEADER, Source
from tests.support.example_counts import examples
from tests.support.scenario import START_MS, alert_record, keep
from tests.support.shipped_policy import shipped

POLICY = shipped()
SLOW = ("another", b"")  # a header that nobody reads, and with which no record is recognised

_numbers = st.sampled_from(["0", "1", "2", "00", "01", "9" * 19, "1" + "0" * 19, "-1", "1_0", " 1"])
_sources = st.one_of(
    st.builds(Source, st.sampled_from(["raw", "journal"]), *[st.integers(0, 2)] * 3).map(
        Source.header
    ),
    st.lists(_numbers, max_size=4).map(
        lambda numbers: (SOURCE_HEADER, ":".join(["raw", *numbers]).encode())
    ),
    st.sampled_from(
        [
            (SOURCE_HEADER, b""),
            (SOURCE_HEADER, b"raw:1000000:0:0"),
            (SOURCE_HEADER, b"other:0:5:0"),
            (SOURCE_HEADER, "raw:0:\N{SUPERSCRIPT TWO}:0".encode()),
            (SOURCE_HEADER, b"raw:0:5:0\n"),
            (FORMAT_HEADER, b"1"),
        ]
    ),
)
_alerts = st.tuples(
    st.sampled_from(["Slow", "HighErrorRate"]),
    st.booleans(),
    st.sampled_from([60_000, 300_000]),
    st.sampled_from([0, 1_000, 100_000]),
    st.lists(_sources, max_size=2).map(tuple),
)


def _journal(steps: list[tuple[str, bool, int, int, Headers]]) -> list[StoredRecord]:
    records, now_ms = list[StoredRecord](), START_MS
    for offset, (name, firing, ttl_ms, wait_ms, headers) in enumerate(steps):
        now_ms += wait_ms
        labels = {"alertname": name, "component": "api"}
        record = alert_record(now_ms, labels, "api", firing=firing, ttl_ms=ttl_ms)
        records.append(replace(record, offset=offset, headers=headers))
    return records


def _outcome(journal: list[StoredRecord]) -> tuple[list[Effect], dict[bytes, bytes]]:
    engine, items = Engine(0, POLICY), dict[bytes, bytes]()
    effects = engine.apply(journal)
    keep(items, engine)
    return effects, items


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(_alerts, max_size=30))
def test_the_hot_path_decides_as_the_slow_one(
    steps: list[tuple[str, bool, int, int, Headers]],
) -> None:
    """Effects, counters and the positions of sources are the same, whatever the headers say."""
    journal = _journal(steps)
    slowly = [replace(one, headers=(*one.headers, SLOW)) for one in journal if one.headers]
    mixed = {one.offset: one for one in [*journal, *slowly]}

    assert _outcome(journal) == _outcome(list(mixed.values()))


def test_a_copy_of_a_copy_counts_once() -> None:
    """A repeat whose position was seen changes no counter of its alert."""
    source = Source("raw", 0, 7).header()
    journal = [
        replace(one, offset=offset, headers=(source,))
        for offset, one in enumerate([alert_record(START_MS, {"alertname": "Slow"}, "api")] * 3)
    ]
    engine = Engine(0, POLICY)
    engine.apply(journal)

    assert (engine.counts["alerts"], engine.counts["duplicates"]) == (1, 2)
    assert [alert.count for alert in engine.state.alerts.values()] == [1]


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (Source("raw", 0, 9).header(), SLOW),
        (SLOW,),
        ((SOURCE_HEADER, b"raw:0:9"),),
        ((SOURCE_HEADER, b"raw:0:9:0x"),),
        ((SOURCE_HEADER, b"raw:99999:9:0"),),
        (Source("raw", 0, 7).header(),),
    ],
)
def test_what_is_not_taken_changes_nothing(headers: Headers) -> None:
    """What needs the slow way leaves the positions as they are."""
    state = PartitionState()
    state.is_new("raw", 0, 7, 0)
    state.dirty.clear()

    assert not take_position(state, headers)
    assert (state.sources, state.dirty) == ({("raw", 0): (7, 0)}, {})


def test_a_position_is_taken_once() -> None:
    """A position past the last is the last one then."""
    state = PartitionState()
    header = Source("journal", 3, 7, 1).header()

    assert take_position(state, (header,))
    assert not take_position(state, (header,))
    assert (state.sources, state.dirty) == ({("journal", 3): (7, 1)}, {b"s/journal/3": None})
