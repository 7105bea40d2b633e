"""Whether one selector takes everything that another takes: said only where it is certain."""

from collections.abc import Sequence

from models.matcher import Matcher, Operator, test_of
from models.pattern import names_in

Alternatives = Sequence[Sequence[Matcher]]


def covers(wide: Alternatives, narrow: Alternatives) -> bool:
    """Whether every alert that `narrow` matches is one that `wide` matches. An empty selector matches all."""
    return not wide or (bool(narrow) and all(any(_all(one, other) for one in wide) for other in narrow))


def _all(wide: Sequence[Matcher], narrow: Sequence[Matcher]) -> bool:
    return all(_everything(one) or any(_implies(other, one) for other in narrow) for one in wide)


def _everything(matcher: Matcher) -> bool:
    return matcher.operator is Operator.REGEX and matcher.value == ".*"


def _implies(narrow: Matcher, wide: Matcher) -> bool:
    if narrow == wide:
        return True
    values = _values(narrow)
    if narrow.label != wide.label or values is None:
        return False
    test = test_of([[wide]])
    return all(test({wide.label: value}) for value in values)


def _values(matcher: Matcher) -> list[str] | None:
    """All the values that a matcher takes, if they can be counted."""
    match matcher.operator:
        case Operator.EQUAL:
            return [matcher.value]
        case Operator.REGEX:
            return names_in(matcher.value)
        case _:
            return None
