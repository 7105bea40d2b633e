"""Fingerprints, times, durations, matchers and ids."""

import pytest

from models.alert import fingerprint
from models.effect import Position, position_from
from models.incident import incident_id, partition_from_id
from models.matcher import parse_matcher
from models.matcher import test_of as matches
from models.text.duration import format_ms, parse_ms
from models.wire import instant_ms


def test_fingerprint_of_nothing() -> None:
    """No labels give the hash's own start value."""
    assert fingerprint({}) == "cbf29ce484222325"


def test_fingerprint_is_of_sorted_labels() -> None:
    """The order in which labels come does not matter; where a name ends and a value begins does."""
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"ab": "c"}) != fingerprint({"a": "bc"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1000),
        ("2026-04-12T03:15:02.007654321Z", 1775963702007),
        ("2026-04-12T05:15:02+02:00", 1775963702000),
        ("2026-04-11T21:45:02-05:30", 1775963702000),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        (None, None),
    ],
)
def test_instants(text: str | None, expected: int | None) -> None:
    """RFC 3339 with any fraction and offset; the year 1 is Go's "not set"."""
    assert instant_ms(text, "x") == expected


@pytest.mark.parametrize(
    ("text", "ms"), [("0", 0), ("90s", 90_000), ("1h30m", 5_400_000), ("2d", 172_800_000)]
)
def test_durations(text: str, ms: int) -> None:
    """Durations as Prometheus writes them."""
    assert parse_ms(text) == ms


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0s"), (45_000, "45s"), (5_400_000, "1h30m"), (90_061_000, "1d1h")]
)
def test_durations_for_people(ms: int, text: str) -> None:
    """The two largest units are enough at three in the morning."""
    assert format_ms(ms) == text


@pytest.mark.parametrize(
    ("matcher", "labels", "expected"),
    [
        ('a="x"', {"a": "x"}, True),
        ('a="x"', {}, False),
        ('a=""', {}, True),
        ('a!="x"', {}, True),
        ('a=~"x.*"', {"a": "xy"}, True),
        ('a=~"x"', {"a": "xy"}, False),
        ('a!~"x"', {"a": "xy"}, True),
        ("a=x", {"a": "x"}, True),
        ('a="q\\"q"', {"a": 'q"q'}, True),
    ],
)
def test_matchers(matcher: str, labels: dict[str, str], *, expected: bool) -> None:
    """Matchers mean what they mean in Alertmanager."""
    assert matches([[parse_matcher(matcher)]])(labels) is expected


@pytest.mark.parametrize(
    ("text", "label", "value"),
    [
        ("foo\u03a3=bar\U0001f642", "foo\u03a3", "bar\U0001f642"),
        ("\U0001f642 = x", "\U0001f642", "x"),
        ("00=b", "00", "b"),
        ('a/b="c"', "a/b", "c"),
        ('"a,b"=c', "a,b", "c"),
    ],
)
def test_a_name_needs_quotes_only_for_reserved_signs(text: str, label: str, value: str) -> None:
    """As Alertmanager's UTF-8 parser has it."""
    matcher = parse_matcher(text)

    assert (matcher.label, matcher.value) == (label, value)


@pytest.mark.parametrize("sign", "{}!~,\\\"'` \x1b\u202e\x00")
def test_a_reserved_sign_is_no_part_of_a_plain_name(sign: str) -> None:
    """Nor is one that drives a terminal."""
    with pytest.raises(ValueError, match="must be a matcher"):
        parse_matcher(f"a{sign}b=x")


def test_incident_ids_tell_their_partition() -> None:
    """An id is time and cause, and a command finds the partition in it."""
    identity = incident_id("SEC", 1775963702007, 71, 123456, 1)

    assert identity == "SEC-20260412T031502Z-1Z2N9C-1"
    assert partition_from_id(identity) == 71


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"1",
        b"1-",
        b"-1-2",
        b"1-2-3",
        b"x-1",
        b"\xff",
        "\u0661-\u0661".encode(),
        b"1" * 20 + b"-1",
    ],
)
def test_a_stranger_s_position_is_none(header: bytes) -> None:
    """Whoever else writes to an effects topic stops nobody who reads it."""
    assert position_from((("position", header), ("other", b"1-2"))) is None
    assert position_from((("position", b"7-2"),)) == Position(7, 2)
