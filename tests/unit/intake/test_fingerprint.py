"""An alert's identity is the one that Prometheus and Alertmanager compute."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.intake import normalise
from app.intake.normalise import fingerprint_of
from models.alert import fingerprint

# What Alertmanager 0.25 answered to GET /api/v2/alerts after it had been sent these labels.
ALERTMANAGERS = [
    ({"alertname": "A"}, "d2c6efc389df0927"),
    (
        {
            "alertname": "OllamaServiceDown",
            "severity": "critical",
            "team": "ai",
            "component": "ollama",
            "instance": "localhost:11434",
        },
        "cf8f834020d9e714",
    ),
    ({"a": "b\x00c\x00d"}, "4614f0f155ae85e9"),
    ({"a": "b", "c": "d"}, "53997eba86e1c7f5"),
    ({"a": "\xff"}, "ffcdcb2f240803c4"),
    ({"A": "1", "a": "2", "_": "3"}, "5aaaf919b777e422"),
    ({"XdaX": "\\\U0001f4be", "c0Zca": "\xff\u200d\U0001d54f\U0001d54f\ufeff"}, "6e1b12e355be0fea"),
    ({"XX9cdY9_cc": "\U0001f4be", "bbbcXZXa": "\u200d"}, "f61b6022be949e1a"),
    ({"YbcY9aZd": "\u043a", "a9d_XbcZb9d9": "\u0440"}, "95b0fe77d0e78905"),
    (
        {
            "bab0bY9": "\U0001d54f",
            "aZ": '\xf6\xe9\u0639\xf69\u0639\U0001f525\U0001d54f"\u30fc\xe9\\\u65e5\U0001f6a8\xe9\xe99\U0001f6a8\u200d\u0446',
            "YYXdcdb9": "\u200d\u0446\\\xe4\u200d",
        },
        "39e8d17ef99cd9bf",
    ),
    (
        {
            "alertname": "Gr\xf6\xdfe",
            "job": "\u65e5\u672c\u8a9e \U0001f525",
            "instance": "[::1]:9090",
        },
        "ec4c68d24e4500b8",
    ),
    (
        {"alertname": "Watchdog", "severity": "none", "prometheus": "monitoring/k8s"},
        "e1749c6acab64267",
    ),
    ({"c0YZZab9Zb": "\U0001d54f\u0628a \ufeff"}, "3b3e3a7cf33b9d28"),
]


def fnv_1a_64(data: bytes) -> int:
    """The hash as its authors describe it (draft-eastlake-fnv), with no thought of speed."""
    state = 0xCBF29CE484222325
    for byte in data:
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return state


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0xCBF29CE484222325), (b"a", 0xAF63DC4C8601EC8C), (b"foobar", 0x85944171F73967E8)],
)
def test_the_yardstick_is_right(data: bytes, expected: int) -> None:
    """The hash that the next test compares with gives the published test vectors."""
    assert expected == fnv_1a_64(data)


@given(st.dictionaries(st.text(), st.text(), max_size=5))
def test_is_the_hash_of_names_and_values(labels: dict[str, str]) -> None:
    """Both ways to compute it give FNV-1a over name, 0xff, value, 0xff in the order of names."""
    data = b"".join(
        text.encode() + b"\xff" for name in sorted(labels) for text in (name, labels[name])
    )
    expected = f"{fnv_1a_64(data):016x}"

    assert (expected, expected, expected) == (
        fingerprint(labels),
        fingerprint_of(labels),
        fingerprint_of(labels),
    )


@pytest.mark.parametrize(("labels", "expected"), ALERTMANAGERS)
def test_is_alertmanagers(labels: dict[str, str], expected: str) -> None:
    """The same labels have the same fingerprint in a real Alertmanager."""
    assert (expected, expected) == (fingerprint(labels), fingerprint_of(labels))


def test_no_label_set_is_taken_for_another() -> None:
    """A NUL in a value does not lead to what is remembered of a label set that joins to the same text."""
    apart, together = {"a": "b", "c": "d"}, {"a": "b\0c\0d"}
    expected = [fingerprint(apart), fingerprint(together)]

    assert expected == [fingerprint_of(apart), fingerprint_of(together)]


def test_a_huge_label_set_is_not_remembered() -> None:
    """One alert with large labels must not push out thousands of others."""
    before = len(normalise._known)
    fingerprint_of({"a": "x" * normalise.CACHED_CHARACTERS_MAX})

    assert before == len(normalise._known)
