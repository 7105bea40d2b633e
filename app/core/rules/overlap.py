"""Whether some alert can match two selectors at once.

`False` is certain. `True` may be wrong, where only a full analysis of regular expressions would
tell.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from models.matcher import Matcher, Operator, test_of

Alternatives = Sequence[Sequence[Matcher]]

VALUES_MAX = 100  # of a regular expression that are counted
_SPECIAL = frozenset("\\.[]{}^$*+")


def overlaps(selector: Alternatives, other: Alternatives) -> bool:
    """Whether some labels may match both selectors. An empty selector matches everything."""
    return any(
        _satisfiable([*matchers, *more]) for matchers in selector or [()] for more in other or [()]
    )


def _satisfiable(matchers: Sequence[Matcher]) -> bool:
    by_label: dict[str, list[Matcher]] = {}
    for matcher in matchers:
        by_label.setdefault(matcher.label, []).append(matcher)
    return all(_value_exists(tuple(same_label)) for same_label in by_label.values())


@lru_cache(maxsize=10_000)
def _value_exists(matchers: tuple[Matcher, ...]) -> bool:
    """Whether some value of one label may match all of these."""
    for matcher in matchers:
        values = _values(matcher)
        if values is not None:
            test = test_of([matchers])
            return any(test({matcher.label: value}) for value in values)
    wanted = {matcher.value for matcher in matchers if matcher.operator is Operator.REGEX}
    unwanted = {matcher.value for matcher in matchers if matcher.operator is Operator.NOT_REGEX}
    return not wanted & unwanted


def _values(matcher: Matcher) -> list[str] | None:
    """The values that a matcher takes, or None when they cannot be counted."""
    match matcher.operator:
        case Operator.EQUAL:
            return [matcher.value]
        case Operator.REGEX:
            return values_in(matcher.value)
        case _:
            return None


def values_in(pattern: str) -> list[str] | None:
    """The values of a pattern made of letters, `|`, groups and `?`; None of any other pattern."""
    if _SPECIAL & set(pattern) or "(?" in pattern.replace("(?:", "("):
        return None
    symbols = iter(pattern.replace("(?:", "("))
    values = _alternation(symbols)
    rest = next(symbols, None)
    return values if rest is None else None


def _alternation(symbols: Iterator[str]) -> list[str] | None:
    """The values up to the bracket that closes the group, or to the end."""
    finished: list[str] = []
    before, last = [""], [""]  # the values of a branch but for its last part, and of that part
    for symbol in symbols:
        if symbol == ")":
            break
        if symbol == "?":
            last = [*last, ""]
            continue
        before = _joined(before, last)
        last = [symbol]
        if symbol == "(":
            group = _alternation(symbols)
            if group is None:
                return None
            last = group
        elif symbol == "|":
            finished += before
            before, last = [""], [""]
        if len(before) * len(last) + len(finished) > VALUES_MAX:
            return None
    return [*finished, *_joined(before, last)]


def _joined(heads: list[str], tails: list[str]) -> list[str]:
    return [head + tail for head in heads for tail in tails]
