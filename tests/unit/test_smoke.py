"""`make bench-smoke`: it counts alike each time, and tells what has grown."""

import json

import pytest

from bench.smoke import FILE, Counter, Kinds, grown

BEFORE: Kinds = {"repeat": {"bytecodes": 200.0, "calls": 6.0}}


def _sum_of(number: int) -> int:
    return sum([value * 2 for value in range(number)])


def _counts_of(number: int) -> Kinds:
    counter = Counter()
    with counter.counting() as end:
        _sum_of(number)
        end("sum")
    return counter.means()


def test_the_same_work_has_the_same_counts() -> None:
    """Two runs of one function count alike, and more work counts more."""
    first, again, more = _counts_of(10), _counts_of(10), _counts_of(11)

    assert again == first
    assert more["sum"]["bytecodes"] > first["sum"]["bytecodes"] > 10


@pytest.mark.parametrize(
    ("now", "lines"),
    [
        ({"repeat": {"bytecodes": 219.0, "calls": 6.0}}, []),
        ({"repeat": {"bytecodes": 90.0, "calls": 1.0}}, []),
        (
            {"repeat": {"bytecodes": 221.0, "calls": 6.0}},
            ["repeat: 221 bytecodes, were 200, may be a tenth more"],
        ),
        ({"ended": {"calls": 3.0}}, ["ended: 3 calls, were 0, may be a tenth more"]),
    ],
)
def test_a_count_may_grow_by_less_than_a_tenth(now: Kinds, lines: list[str]) -> None:
    """What has grown by more, or is new, is told; what has fallen is not."""
    assert grown(now, BEFORE) == lines


def test_each_kind_of_alert_has_its_counts() -> None:
    """The file has the kinds that the bench counts, each with its three counts."""
    kinds = json.loads(FILE.read_text())

    alerts = {"repeat", "copied repeat", "joining", "opening", "ended"}
    assert kinds.keys() == alerts | {"raw value, known", "raw value, new"}
    assert {tuple(sorted(counts)) for counts in kinds.values()} == {
        ("bytecodes", "c_calls", "calls")
    }
