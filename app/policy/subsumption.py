"""Whether one selector takes everything that another takes: said only where it is certain."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from models.matcher import Matcher, Operator, Test, test_of
from models.text.pattern import names_in

Alternatives = Sequence[Sequence[Matcher]]


def selector_covers(wide: Alternatives, narrow: Alternatives) -> bool:
    """Whether every alert that `narrow` matches is one that `wide` matches.

    An empty selector matches all.
    """
    return not wide or (
        bool(narrow)
        and all(any(_covers_alternative(matchers, other) for matchers in wide) for other in narrow)
    )


def never_first(selectors: Sequence[Alternatives]) -> Iterator[tuple[int, int]]:
    """Each place in a list whose first match decides that another place covers, and the first that does."""
    # What asks for a label that the other does not ask for cannot cover it, so only few have to be
    # compared.
    by_labels: dict[frozenset[str], list[int]] = {}
    for number, selector in enumerate(selectors):
        labels = {matcher.label for matchers in selector for matcher in matchers}
        near = sorted(
            place for asked, places in by_labels.items() if asked <= labels for place in places
        )
        first = next((item for item in near if selector_covers(selectors[item], selector)), None)
        if first is not None:
            yield number, first
        for asked in _required_labels(selector):
            by_labels.setdefault(asked, []).append(number)


def _required_labels(selector: Alternatives) -> set[frozenset[str]]:
    """The labels that each alternative of a selector asks for."""
    return {
        frozenset(matcher.label for matcher in matchers if not _matches_everything(matcher))
        for matchers in selector or [()]
    }


def _covers_alternative(wide: Sequence[Matcher], narrow: Sequence[Matcher]) -> bool:
    return all(
        _matches_everything(matcher) or any(_matcher_implies(other, matcher) for other in narrow)
        for matcher in wide
    )


def _matches_everything(matcher: Matcher) -> bool:
    return matcher.operator is Operator.REGEX and matcher.value == ".*"


def _matcher_implies(narrow: Matcher, wide: Matcher) -> bool:
    if narrow.label != wide.label:
        return False
    if narrow == wide:
        return True
    values = _enumerated_values(narrow)
    if values is None:
        return False
    test = _matcher_test(wide)
    return all(test({wide.label: value}) for value in values)


@lru_cache(maxsize=10_000)
def _matcher_test(matcher: Matcher) -> Test:
    return test_of([[matcher]])


@lru_cache(maxsize=10_000)
def _enumerated_values(matcher: Matcher) -> list[str] | None:
    """All the values that a matcher takes, if they can be counted."""
    match matcher.operator:
        case Operator.EQUAL:
            return [matcher.value]
        case Operator.REGEX:
            return names_in(matcher.value)
        case _:
            return None
