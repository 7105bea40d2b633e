"""Times, sizes and operators' requests, as they come from outside."""

from typing import Any

import pytest

from models.reason import BadInput, Reason
from models.wire import (
    ANNOTATIONS_BYTES_MAX,
    ANNOTATIONS_CUT_MAX,
    CUT_NAME,
    ClockRequest,
    CommandRequest,
    annotations_of,
    instant_ms,
    labels_of,
    texts_of,
    url_of,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2026-04-12T03:15:02.007654321Z", 1775963702007),
        ("2026-04-12T03:15:02.9Z", 1775963702900),
        ("2026-04-12T05:15:02+02:00", 1775963702000),
        ("2026-04-11T21:45:02-05:30", 1775963702000),
        ("2026-04-12t03:15:02z", 1775963702000),
        ("2026-04-12T03:15:02", 1775963702000),
        ("2026-04-12 03:15:02.5", 1775963702500),
        ("2016-12-31T23:59:60Z", 1483228799000),
        ("0001-01-01T00:00:00Z", None),
        ("0002-01-01T00:00:00Z", -62104060800000),
        ("9999-12-31T23:59:59.999Z", 253402300799999),
        ("", None),
        (None, None),
    ],
)
def test_instants(text: str | None, expected: int | None) -> None:
    """A time is RFC 3339 with any fraction and offset, UTC where it has none; the year 1 is Go's "not set"."""
    assert expected == instant_ms(text, "x")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("yesterday", "x: is 'yesterday', must be an RFC 3339 time"),
        (1775963702, "x: is 1775963702, must be an RFC 3339 time"),
        (True, "x: is True, must be an RFC 3339 time"),
        ([], "x: is a list, must be an RFC 3339 time"),
        ("2026-04-12", "x: is '2026-04-12', must be an RFC 3339 time"),
        (
            "\uff12\uff10\uff12\uff16-04-12T03:15:02Z",
            "x: is '\uff12\uff10\uff12\uff16-04-12T03:15:02Z', must be an RFC 3339 time",
        ),
        ("2026-02-30T03:15:02Z", "x: is '2026-02-30T03:15:02Z', day is out of range for month"),
        ("2026-02-20T24:00:00Z", "x: is '2026-02-20T24:00:00Z', hour must be in 0..23"),
        ("2026-02-20T23:00:61Z", "x: is '2026-02-20T23:00:61Z', second must be in 0..59"),
        ("0001-13-01T00:00:00Z", "x: is '0001-13-01T00:00:00Z', month must be in 1..12"),
        ("0000-01-01T00:00:00Z", "x: is '0000-01-01T00:00:00Z', year 0 is out of range"),
        (
            "2026-02-20T23:00:00+24:00",
            "x: is '2026-02-20T23:00:00+24:00', offset must be at most 23:59",
        ),
        (
            "9999-12-31T23:59:59-00:01",
            "x: is '9999-12-31T23:59:59-00:01', must be before the year 10000 in UTC",
        ),
        (
            "2026-04-12T03:15:02." + "0" * 1000 + "Z",
            f"x: is '2026-04-12T03:15:02.{'0' * 39}...', must be an RFC 3339 time",
        ),
    ],
)
def test_refuses_times(value: Any, message: str) -> None:
    """What is not a time is refused by path, with what was found and what is expected."""
    with pytest.raises(BadInput) as refusal:
        instant_ms(value, "x")

    assert (Reason.BAD_TIME, message) == (refusal.value.reason, refusal.value.message)


def test_an_empty_label_counts_as_absent() -> None:
    """Alertmanager drops labels without a value, so they are no part of the identity."""
    assert labels_of({"a": "1", "b": ""}, "labels") == {"a": "1"}


@pytest.mark.parametrize(
    ("labels", "reason", "message"),
    [
        (None, Reason.NO_LABELS, "labels: has no label, must have at least one with a value"),
        ({}, Reason.NO_LABELS, "labels: has no label, must have at least one with a value"),
        ({"a": ""}, Reason.NO_LABELS, "labels: has no label, must have at least one with a value"),
        ("a=1", Reason.MALFORMED, "labels: is 'a=1', must be an object of texts"),
        (["a"], Reason.MALFORMED, "labels: is a list, must be an object of texts"),
        ({"a": "x", "b": 1}, Reason.BAD_LABEL, "labels.b: is 1, must be a text"),
        (
            {"a": None},
            Reason.NO_LABELS,
            "labels: has no label, must have at least one with a value",
        ),
        ({"a": {"b": "c"}}, Reason.BAD_LABEL, "labels.a: is an object, must be a text"),
        ({"": "x"}, Reason.BAD_LABEL, "labels: a name has 0 bytes, must have 1 to 1024"),
        ({"é" * 513: "x"}, Reason.BAD_LABEL, "labels: a name has 1026 bytes, must have 1 to 1024"),
        (
            {"a": "x" * 2**20},
            Reason.TOO_LARGE,
            "labels: has 1048577 bytes, must have at most 65536",
        ),
        ({"a": "é" * 2**15}, Reason.TOO_LARGE, "labels: has 65537 bytes, must have at most 65536"),
        (
            {f"l{n}": "x" for n in range(65)},
            Reason.TOO_LARGE,
            "labels: has 65 labels, must have at most 64",
        ),
    ],
)
def test_refuses_labels(labels: Any, reason: Reason, message: str) -> None:
    """Labels that no alert can have are refused by path."""
    with pytest.raises(BadInput) as refusal:
        labels_of(labels, "labels")

    assert (reason, message) == (refusal.value.reason, refusal.value.message)


def test_takes_labels_up_to_their_bounds() -> None:
    """What is exactly as large as it may be is taken, counted in bytes."""
    most = {"é" * 512: "x"}
    largest = {"a": "é" * 32767, "b": ""}
    many = {f"l{n}": "x" for n in range(64)}

    assert [most, {"a": largest["a"]}, many] == [
        labels_of(one, "labels") for one in (most, largest, many)
    ]


def test_annotations_may_be_absent_and_empty() -> None:
    """Annotations are not an identity: none is fine, and an empty one is kept."""
    assert [texts_of(one, "annotations", 9) for one in (None, {}, {"a": ""})] == [{}, {}, {"a": ""}]


@pytest.mark.parametrize(
    ("url", "reason", "message"),
    [
        (7, Reason.MALFORMED, "url: is 7, must be a text"),
    ],
)
def test_refuses_urls(url: Any, reason: Reason, message: str) -> None:
    """A URL is any text."""
    with pytest.raises(BadInput) as refusal:
        url_of(url, "url")

    assert (reason, message) == (refusal.value.reason, refusal.value.message)


def test_a_large_url_is_cut() -> None:
    """And says so; one of the size that it may have is not."""
    cut = url_of("é" * 8193, "url")

    assert url_of("x" * 16384, "url") == "x" * 16384
    assert (len(cut.encode()) <= 16384, cut[-28:]) == (True, "é... (cut: it had 16386 bytes)"[-28:])


def test_large_annotations_are_cut() -> None:
    """No alert is refused for the length of its text: what is short stays whole, the rest says so."""
    texts = {"runbook_url": "https://x.example", "description": "é" * 200_000, "log": "x" * 300_000}
    cut = annotations_of(texts, "annotations")

    assert list(cut) == list(texts)
    assert cut["runbook_url"] == texts["runbook_url"]
    assert cut["description"].endswith("é... (cut: it had 400000 bytes)")
    assert cut["log"].endswith("x... (cut: it had 300000 bytes)")
    assert sum(len(text.encode()) for text in (*cut, *cut.values())) <= ANNOTATIONS_BYTES_MAX


def test_annotations_with_impossible_names_are_left_out() -> None:
    """And so are those beyond the number that are kept; how many is said."""
    long_names = {"x" * 1025: "a", "": "b", "summary": "c"}
    many = {f"n{number}": "x" * 5000 for number in range(100)}

    assert annotations_of(long_names, "annotations") == {
        "summary": "c",
        CUT_NAME: "2 annotations were too many, or had too long names",
    }
    assert len(annotations_of(many, "annotations")) == ANNOTATIONS_CUT_MAX + 1


@pytest.mark.parametrize("value", ["x", 7, [], {"a": 7}, {"a" * 2000: {}}])
def test_annotations_are_texts(value: Any) -> None:
    """What is none is refused."""
    with pytest.raises(BadInput):
        annotations_of(value, "annotations")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "by: is missing; Field required"),
        ({"by": 7}, "by: is 7; Input should be a valid string"),
        ({"by": ""}, "by: is ''; String should have at least 1 character"),
        ({"by": "x" * 257}, f"by: is '{'x' * 59}...'; String should have at most 256 characters"),
        ({"by": "me", "text": ["x"]}, "text: is a list; Input should be a valid string"),
        (
            ["me"],
            "the body: is a list; Input should be a valid dictionary or instance of CommandRequest",
        ),
    ],
)
def test_refuses_commands(document: Any, message: str) -> None:
    """A command says who gave it."""
    with pytest.raises(BadInput) as refusal:
        CommandRequest.of(document)

    assert (Reason.MALFORMED, message) == (refusal.value.reason, refusal.value.message)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "now_ms: is missing; Field required"),
        ({"now_ms": -1}, "now_ms: is -1; Input should be greater than or equal to 0"),
        (
            {"now_ms": 2**60},
            f"now_ms: is {2**60}; Input should be less than or equal to 253402300799999",
        ),
        ({"now_ms": True}, "now_ms: is True; Input should be a valid integer"),
        ({"now_ms": 1, "speed": -1}, "speed: is -1; Input should be greater than or equal to 0"),
    ],
)
def test_refuses_clocks(document: Any, message: str) -> None:
    """Time is a number of milliseconds that can be written as a date, and does not run backwards."""
    with pytest.raises(BadInput) as refusal:
        ClockRequest.of(document)

    assert (Reason.MALFORMED, message) == (refusal.value.reason, refusal.value.message)
