"""Label matchers in Alertmanager's notation: `alertname=~"Ollama.*"`, `team="ai"`, `severity!="info"`.

The meaning is Alertmanager's: an absent label matches as the empty string, and a regular expression has to match the
whole value.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

_SHAPE = re.compile(
    r"""\s*([A-Za-z_:][A-Za-z0-9_:.-]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^"\s][^"]*?)|)\s*""", re.DOTALL
)
_ESCAPES = {"n": "\n", "t": "\t"}

Test = Callable[[Mapping[str, str]], bool]


class Operator(StrEnum):
    """How a matcher compares."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One comparison of one label."""

    label: str
    operator: Operator
    value: str


def parse_matcher(text: str) -> Matcher:
    """The matcher that the text says. Raises ValueError that says what was found and what is expected."""
    found = _SHAPE.fullmatch(text)
    if found is None:
        raise ValueError(f'is {text!r}, must be a matcher such as alertname=~"Ollama.*" or team="ai"')
    label, operator, quoted, bare = found.groups()
    value = re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), quoted) if quoted else bare or ""
    if operator in (Operator.REGEX, Operator.NOT_REGEX):
        # In a regular expression a backslash belongs to the expression; only an escaped quote is ours.
        value = quoted.replace('\\"', '"') if quoted else bare or ""
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"is {text!r}, whose regular expression is not valid: {error}") from None
    return Matcher(label, Operator(operator), value)


def test_of(alternatives: Sequence[Sequence[Matcher]]) -> Test:
    """A function that tells whether labels satisfy all matchers of any alternative; none at all is satisfied by all."""
    tests = [_all(matchers) for matchers in alternatives]
    if not tests:
        return _everything
    if len(tests) == 1:
        return tests[0]
    return lambda labels: any(test(labels) for test in tests)


def _everything(_: Mapping[str, str]) -> bool:
    return True


def _all(matchers: Sequence[Matcher]) -> Test:
    tests = [_single(matcher) for matcher in matchers]
    if len(tests) == 1:
        return tests[0]
    return lambda labels: all(test(labels) for test in tests)


def _single(matcher: Matcher) -> Test:
    label, value = matcher.label, matcher.value
    match matcher.operator:
        case Operator.EQUAL:
            return lambda labels: labels.get(label, "") == value
        case Operator.NOT_EQUAL:
            return lambda labels: labels.get(label, "") != value
        case Operator.REGEX:
            found = re.compile(value).fullmatch
            return lambda labels: found(labels.get(label, "")) is not None
        case Operator.NOT_REGEX:
            found = re.compile(value).fullmatch
            return lambda labels: found(labels.get(label, "")) is None
        case _:
            assert_never(matcher.operator)
