"""What a scenario expects beside what came of it.

The differences, as lines that people can read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.policy.actual import Incident, Item, ScenarioOutcome
from models.policy.scenario import Expect, Expected, Group, TextExpectation, TimeExpectation
from models.policy.types import Where
from models.text.duration import write_ms

SHOWN_MAX = 40  # lines of a difference
TIMES = ("at", "opened", "notified", "acknowledged", "mitigated", "resolved", "closed", "due")
# What is always shown of a found item, so that its author knows it again.
_NAMED = {
    "incidents": ("number", "severity", "title", "owner", "state"),
    "escalations": ("at", "incident", "rule", "to", "step"),
    "notifications": ("at", "incident", "kind", "channel", "to"),
    "timeline": ("at", "incident", "kind", "text"),
    "tasks": ("incident", "task", "state", "due"),
    "refused": ("at", "reason", "message"),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One key of `expect` that was not met."""

    where: Where
    lines: list[str]


def compare_outcome(expect: Expect, outcome: ScenarioOutcome) -> list[Difference]:
    """The differences, in the order of the keys."""
    differences = []
    for kind in _NAMED:
        group = getattr(expect, kind)
        lines = list(_compare_group(group, kind, outcome.items(kind))) if group is not None else []
        if lines:
            more = len(lines) - SHOWN_MAX
            differences.append(
                Difference(
                    (kind,),
                    [*lines[:SHOWN_MAX], *([f"... and {more} lines more"] if more > 0 else [])],
                )
            )
    if expect.pages is not None:
        pages = [item for item in outcome.items("notifications") if item["channel"] == "pager"]
        if len(pages) != expect.pages:
            lines = [f"  + {_item_text('notifications', page)}" for page in pages]
            differences.append(
                Difference(("pages",), [f"expected {expect.pages}, found {len(pages)}", *lines])
            )
    return differences


def _compare_group(group: Group[Any], kind: str, items: Sequence[Item]) -> Iterator[str]:
    if group.exactly is not None:
        yield from _compare_lists(group.exactly, kind, items)
    yield from _compare_any(group.contains, kind, items)
    for lack in group.lacks:
        there = [item for item in items if _meets_expectation(lack, item)]
        if there:
            yield f"must not be there: {_expected_text(lack)}"
            yield from (f"  + {_item_text(kind, item, lack)}" for item in there)
    if group.count is not None and len(items) != group.count:
        yield f"expected {group.count}, found {len(items)}"
        yield from (f"  + {_item_text(kind, item)}" for item in items)
    if group.none and items:
        yield f"expected none, found {len(items)}"
        yield from (f"  + {_item_text(kind, item)}" for item in items)


def _compare_lists(expected: Sequence[Expected], kind: str, items: Sequence[Item]) -> list[str]:
    """The lines of two lists side by side, empty when they agree.

    What agrees stands there too, for orientation.
    """
    pairs = _align_lists(expected, items)
    if all(
        entry is not None and item is not None and _meets_expectation(entry, item)
        for entry, item in pairs
    ):
        return []
    number = f"expected {len(expected)}, found {len(items)}"
    return [
        number if len(expected) != len(items) else "is not as expected",
        *(line for entry, item in pairs for line in _compare_pair(kind, entry, item)),
    ]


def _compare_pair(kind: str, expected: Expected | None, item: Item | None) -> Iterator[str]:
    if expected is not None and item is not None and _meets_expectation(expected, item):
        yield f"    {_item_text(kind, item, expected)}"
        return
    if expected is not None:
        yield f"  - {_expected_text(expected)}"
    if item is not None:
        yield f"  + {_item_text(kind, item, expected)}"
    if expected is not None and item is not None:
        for name, value in expected.given().items():
            if not _equal_values(name, value, item):
                yield f"      {name}: expected {_value_text(value, name)}, found {_value_text(item[name], name)}"


def _align_lists(
    expected: Sequence[Expected], items: Sequence[Item]
) -> list[tuple[Expected | None, Item | None]]:
    """Both lists in order, with as many pairs that fit as there can be.

    Between them what does not, side by side.
    """
    best = _match_lengths(expected, items)
    pairs: list[tuple[Expected | None, Item | None]] = []
    ones: list[Expected] = []
    others: list[Item] = []
    left = right = 0
    while left < len(expected) or right < len(items):
        both = left < len(expected) and right < len(items)
        if (
            both
            and _meets_expectation(expected[left], items[right])
            and best[left][right] == 1 + best[left + 1][right + 1]
        ):
            pairs += [*_align_gap(ones, others), (expected[left], items[right])]
            ones, others = [], []
            left, right = left + 1, right + 1
        elif right == len(items) or (
            left < len(expected) and best[left + 1][right] >= best[left][right + 1]
        ):
            ones.append(expected[left])
            left += 1
        else:
            others.append(items[right])
            right += 1
    return [*pairs, *_align_gap(ones, others)]


def _align_gap(
    ones: Sequence[Expected], others: Sequence[Item]
) -> Iterator[tuple[Expected | None, Item | None]]:
    for number in range(max(len(ones), len(others))):
        expected = ones[number] if number < len(ones) else None
        other = others[number] if number < len(others) else None
        if expected is not None and other is not None and _agreement(expected, other) == 0:
            yield expected, None
            yield None, other
        else:
            yield expected, other


def _match_lengths(expected: Sequence[Expected], items: Sequence[Item]) -> list[list[int]]:
    """For each place in both lists, how many pairs that fit can follow in order."""
    best = [[0] * (len(items) + 1) for _ in range(len(expected) + 1)]
    for left in reversed(range(len(expected))):
        for right in reversed(range(len(items))):
            skipped = max(best[left + 1][right], best[left][right + 1])
            both = (
                1 + best[left + 1][right + 1]
                if _meets_expectation(expected[left], items[right])
                else 0
            )
            best[left][right] = max(skipped, both)
    return best


def _compare_any(expected: Sequence[Expected], kind: str, items: Sequence[Item]) -> Iterator[str]:
    """A line for each that is not found among the items; each item counts for one."""
    taken: dict[int, int] = {}  # item -> expected

    def take(wanted: int, tried: set[int]) -> bool:
        for number, item in enumerate(items):
            if number not in tried and _meets_expectation(expected[wanted], item):
                tried.add(number)
                if number not in taken or take(taken[number], tried):
                    taken[number] = wanted
                    return True
        return False

    for number, entry in enumerate(expected):
        if not take(number, set()):
            free = [item for place, item in enumerate(items) if place not in taken]
            nearest = max(free, key=lambda item: _agreement(entry, item), default=None)
            yield f"not found among {len(items)}:"
            yield from _compare_pair(
                kind, entry, nearest if nearest is not None and _agreement(entry, nearest) else None
            )


def _agreement(expected: Expected, item: Item) -> int:
    return sum(_equal_values(name, value, item) for name, value in expected.given().items())


def _meets_expectation(expected: Expected, item: Item) -> bool:
    return all(_equal_values(name, value, item) for name, value in expected.given().items())


def _equal_values(name: str, expected: Any, item: Item) -> bool:
    actual = item[name]
    if isinstance(expected, TextExpectation):
        return expected.fits(actual or "")
    if isinstance(expected, TimeExpectation):
        return actual is not None and expected.fits(actual)
    if isinstance(actual, Incident):
        return actual.fits(expected)
    return bool(actual == expected)


def _expected_text(expected: Expected) -> str:
    return (
        ", ".join(f"{name} {_value_text(value, name)}" for name, value in expected.given().items())
        or "anything"
    )


def _item_text(kind: str, item: Item, expected: Expected | None = None) -> str:
    names = list(
        dict.fromkeys([*_NAMED[kind], *(expected.given() if expected is not None else ())])
    )
    return ", ".join(f"{name} {_value_text(item[name], name)}" for name in names)


def _value_text(value: Any, name: str = "") -> str:
    if value is None:
        return "never" if name in TIMES else "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and name in TIMES:
        return write_ms(value)
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return str(value) or "''"
