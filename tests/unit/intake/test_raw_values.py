"""Raw values that are recognised by their bytes: what is a repeat, and what only looks like one."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.ingest import journal_records
from app.intake.raw_values import VALUE_BYTES_MAX, RawValues
from app.intake.records import Intake
from app.transport.log import NewRecord, StoredRecord
from models.journal import source_headers
from models.text.instant import format_instant
from tests.support.example_counts import examples
from tests.support.shipped_policy import shipped

NOW_MS = 1_776_000_000_000  # 2026-04-12T13:20:00Z
POLICY = shipped()
PARTITION = 3  # of the journal
ALERT = {
    "labels": {"alertname": "A", "component": "db"},
    "annotations": {"summary": 'it is "slow"\n', "description": "à"},
    "startsAt": "2026-04-12T13:00:00Z",
    "endsAt": "2026-04-12T13:24:00Z",
    "generatorURL": "http://p/graph",
}


def slowly(value: bytes, now_ms: int = NOW_MS) -> list[NewRecord]:
    """What the value becomes when it is parsed."""
    return list(journal_records(0, StoredRecord(7, now_ms, None, value), Intake(), POLICY, now_ms))


def recognised(known: bytes, value: bytes, later_ms: int = 0) -> list[NewRecord]:
    """What the value is recognised as, with another one known; nothing if it is not."""
    values = RawValues()
    values.begin(NOW_MS, POLICY)
    for record in slowly(known):
        values.remember(known, record, PARTITION)
    values.begin(NOW_MS + later_ms, POLICY)
    repeat = values.recognise(value)
    return [] if repeat is None else [NewRecord(repeat.key, repeat.value)]


def compact(entry: Any) -> bytes:
    """As most producers write."""
    return orjson.dumps(entry)


@pytest.mark.parametrize("written", [compact, lambda entry: json.dumps(entry).encode()])
@pytest.mark.parametrize(
    ("before", "after", "later_ms"),
    [
        ({}, {}, 0),
        ({}, {"endsAt": "2026-04-12T13:25:00Z"}, 60_000),
        ({}, {"endsAt": "2026-04-12T15:23:51.5+02:00"}, 0),
        ({"endsAt": "0001-01-01T00:00:00Z"}, {"endsAt": "0001-01-01T00:00:00Z"}, 60_000),
        ({"endsAt": "0001-01-01T00:00:00Z"}, {"endsAt": ""}, 0),
        ({"endsAt": "2026-04-12T13:25:00Z"}, {"endsAt": ""}, 0),
        ({"endsAt": None}, {"endsAt": None}, 600_000),
    ],
)
def test_a_repeat_is_recognised(
    written: Any, before: dict[str, Any], after: dict[str, Any], later_ms: int
) -> None:
    """What says the same, and gives as long to live, is the record of before."""
    known, value = written(ALERT | before), written(ALERT | after)
    (record,) = slowly(value, NOW_MS + later_ms)

    assert [one._replace(headers=record.headers) for one in recognised(known, value, later_ms)] == [
        record
    ]


def _with(text: bytes, other: bytes) -> bytes:
    value = compact(ALERT)
    assert value.count(text) == 1
    return value.replace(text, other)


OTHERS: dict[str, tuple[bytes, bytes]] = {
    "another label": (compact(ALERT), _with(b'"db"', b'"web"')),
    "another annotation after the end": (
        _with(b'"http://p/graph"}', b'"http://p/graph","annotations":{"a":"b"}}'),
        _with(b'"http://p/graph"}', b'"http://p/graph","annotations":{"a":"c"}}'),
    ),
    "another source": (compact(ALERT), _with(b"http://p", b"http://q")),
    "another start": (compact(ALERT), _with(b"13:00:00", b"13:00:01")),
    "one space more": (compact(ALERT), _with(b'"labels":', b'"labels": ')),
    "an end that is past": (compact(ALERT), _with(b"13:24:00", b"13:10:00")),
    "a longer time to live": (compact(ALERT), _with(b"13:24:00", b"13:30:00")),
    "an end before its start": (
        _with(b"13:00:00", b"13:23:58"),
        _with(b"13:00:00", b"13:23:58").replace(b"13:24:00", b"13:23:57"),
    ),
    "an end that is no time": (compact(ALERT), _with(b"2026-04-12T13:24:00Z", b"soon")),
    "an end with a quote in it": (compact(ALERT), _with(b"13:24:00Z", b'13:24:00Z\\"')),
    "an end in other digits": (
        compact(ALERT),
        _with(b"13:24", "13:2\N{ARABIC-INDIC DIGIT FOUR}".encode()),
    ),
    "a status": (_with(b'{"labels"', b'{"status":"firing","labels"'),) * 2,
    "no start": (_with(b'"startsAt":"2026-04-12T13:00:00Z",', b""),) * 2,
    "an end said twice": (
        _with(b'"generatorURL"', b'"endsAt":"2026-04-12T13:25:00Z","generatorURL"'),
        _with(b'"generatorURL"', b'"endsAt":"2026-04-12T13:25:00Z","generatorURL"').replace(
            b"13:24:00", b"13:23:59"
        ),
    ),
    "an end said twice, once in another spelling": (
        _with(b'"generatorURL"', b'"ends\\u0041t":"2026-04-12T13:24:00Z","generatorURL"'),
        _with(b'"generatorURL"', b'"ends\\u0041t":"2026-04-12T13:24:00Z","generatorURL"').replace(
            b"13:24:00", b"13:23:59", 1
        ),
    ),
    "an end that is a label": (
        _with(b'"alertname"', b'"endsAt":"2026-04-12T13:24:00Z","alertname"'),
        _with(b'"alertname"', b'"endsAt":"2026-04-12T13:23:59Z","alertname"'),
    ),
    "an end that is part of a name": (
        _with(b'"endsAt"', b'"it \\"endsAt"'),
        _with(b'"endsAt"', b'"it \\"endsAt"').replace(b"13:24:00", b"13:10:00"),
    ),
    "an end behind a space": (_with(b'"endsAt":', b'"endsAt" :'),) * 2,
    "a list": (b"[" + compact(ALERT) + b"]",) * 2,
    "a webhook": (b'{"version":"4","alerts":[' + compact(ALERT) + b"]}",) * 2,
    "not quite JSON": (compact([ALERT])[1:],) * 2,
    "a large value": (_with(b"slow", b"slow" * VALUE_BYTES_MAX),) * 2,
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_only_looks_like_a_repeat_is_not_recognised(name: str) -> None:
    """What is not exactly a repeat, or might be another one at another time, is parsed."""
    assert recognised(*OTHERS[name]) == []


def test_what_has_ended_is_not_remembered() -> None:
    """An alert that was over when it was read is parsed again."""
    over = compact(ALERT | {"endsAt": "2026-04-12T13:10:00Z"})

    assert recognised(over, over) == []
    assert recognised(over, compact(ALERT)) == []


def test_another_policy_forgets() -> None:
    """A policy may put an alert at another place, or let it live for longer."""
    values, value = RawValues(), compact(ALERT)
    values.begin(NOW_MS, POLICY)
    values.remember(value, slowly(value)[0], PARTITION)
    values.begin(NOW_MS, type(POLICY)(POLICY.document | {"resolve_timeout": {"alerts": "7m"}}))

    assert values.recognise(value) is None


def test_what_is_remembered_has_a_bound() -> None:
    """What is not asked for while as much again is remembered is forgotten."""
    first, *others = (
        compact(ALERT | {"labels": {"alertname": f"A{number}"}}) for number in range(100)
    )
    values = RawValues(raw_bytes_max=2_000)
    values.begin(NOW_MS, POLICY)
    for value in (first, *others):
        values.remember(value, slowly(value)[0], PARTITION)

    assert values.recognise(first) is None
    assert values.recognise(others[-1]) is not None


_tokens = st.sampled_from(
    [
        *(
            b'"endsAt":"2026-04-12T13:24:00Z",',
            b'"endsAt": "',
            b'"ends\\u0041t":"x",',
            b'"status":"firing",',
        ),
        *(
            b'"status":null,',
            b'"alerts":[],',
            b"{",
            b"}",
            b"[",
            b"]",
            b'"',
            b"\\",
            b",",
            b":",
            b" ",
            b"\0",
        ),
        *(
            b"2026-04-12T13:24:00Z",
            b"2026-04-12T13:10:00Z",
            b"0001-01-01T00:00:00Z",
            b"null",
            b"\xff",
        ),
        *(b'"startsAt":null,', b'"startsAt":"2026-04-12T13:23:59Z",', b'"labels":{"a":"b"},'),
    ]
)
_ends = st.sampled_from(
    [-700_000, -1, 0, 1, 59_999, 60_000, 239_000, 240_000, 300_000, 9 * 86_400_000]
)
_mutations = st.tuples(
    st.sampled_from(["insert", "delete", "replace", "end"]),
    st.integers(0, 400),
    st.integers(1, 40),
    _tokens,
    _ends,
)
_steps = st.tuples(
    st.sampled_from([0, 1, 5_000, 60_000]),
    st.booleans(),
    st.lists(_mutations, max_size=2),
)


def _mutated(value: bytes, mutation: tuple[str, int, int, bytes, int], now_ms: int) -> bytes:
    kind, place, length, token, ahead_ms = mutation
    place %= len(value) + 1
    match kind:
        case "insert":
            return value[:place] + token + value[place:]
        case "delete":
            return value[:place] + value[place + length :]
        case "replace":
            return value[:place] + token + value[place + len(token) :]
        case _:
            start = value.find(b'"endsAt":"') + len(b'"endsAt":"')
            stop = value.find(b'"', start)
            return value[:start] + format_instant(now_ms + ahead_ms).encode() + value[stop:]


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(_steps, min_size=1, max_size=12))
def test_recognising_and_parsing_agree(steps: list[tuple[int, bool, list[Any]]]) -> None:
    """Whatever bytes come, and whatever was known: what is recognised is what parsing would give."""
    values, now_ms, last = RawValues(), NOW_MS, compact(ALERT)
    for later_ms, anew, mutations in steps:
        now_ms += later_ms
        values.begin(now_ms, POLICY)
        value = compact(ALERT) if anew else last
        for mutation in mutations:
            value = _mutated(value, mutation, now_ms)
        last = value
        made = slowly(value, now_ms)
        repeat = values.recognise(value)
        assert repeat is None or [
            (repeat.key, repeat.value, repeat.partition, (source_headers("raw", 0)(7),))
        ] == [(made[0].key, made[0].value, PARTITION, made[0].headers), *made[1:]]
        for record in made:
            values.remember(value, record, PARTITION)
