"""Label matchers in Alertmanager's notation: `alertname=~"Ollama.*"`, `team="ai"`, `severity!="info"`.

The meaning is Alertmanager's: an absent label matches as the empty string, and a regular expression
has to match the whole value.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, assert_never

from models.text import pattern

# Fitted to text without spaces around it, part by part: two greedy parts that can both take the
# same spaces take quadratic time to find out that nothing fits.
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:.-]*")
# A name needs no quotes unless it has one of the characters that Alertmanager's UTF-8 parser reserves.
_SHAPE = re.compile(
    r"""([^\s{}!=~,\\"'`]+|"(?:[^"\\]|\\.)+")\s*(=~|!~|!=|=)(.*)""",
    re.DOTALL,
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t"}

Test = Callable[[Mapping[str, str]], bool]


class Operator(StrEnum):
    """How a matcher compares."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"

    @property
    def has_pattern(self) -> bool:
        """Whether the matcher's value is a regular expression."""
        return self in (Operator.REGEX, Operator.NOT_REGEX)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One comparison of one label."""

    label: str
    operator: Operator
    value: str

    def __str__(self) -> str:
        """As people read it: nothing in the value is escaped."""
        return f'{label_text(self.label)}{self.operator}"{self.value}"'


def parse_matcher(text: str, *, kept: bool = False) -> Matcher:
    """The matcher that the text says. Raises ValueError that says what was found and what is expected.

    For a regular expression that is not valid, one that matches nothing instead if the text was
    `kept` by an older version.
    """
    match = _SHAPE.fullmatch(text.strip())
    label, sign, operand = match.groups() if match else ("", "", '"')
    operand = operand.lstrip()
    quoted = _QUOTED.fullmatch(operand)
    plain = label.startswith('"') or label.isprintable()  # a control character needs quotes
    if not plain or (quoted is None and '"' in operand):
        raise ValueError(
            f'is {text!r:.200}, must be a matcher such as alertname=~"Ollama.*" or team="ai"'
        )
    if label.startswith('"'):
        label = _unescaped(label[1:-1])
    operator = Operator(sign)
    if operator.has_pattern:
        # In a regular expression a backslash belongs to the expression; only an escaped quote is
        # ours.
        value = quoted[1].replace('\\"', '"') if quoted else operand
        try:
            pattern.compile_pattern(value)
        except ValueError as error:
            if kept:
                return Matcher(label, Operator.REGEX, pattern.NOTHING)
            raise ValueError(
                f"is {text!r:.200}, whose regular expression is not valid: {error}"
            ) from None
        return Matcher(label, operator, value)
    return Matcher(label, operator, _unescaped(quoted[1]) if quoted else operand)


def label_text(label: str) -> str:
    """A label's name as a matcher has it: in quotes unless it is a plain name, as Alertmanager's."""
    if _NAME.fullmatch(label):
        return label
    escaped = label.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unescaped(text: str) -> str:
    return re.sub(
        r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), text, flags=re.DOTALL
    )


def matcher_document(matcher: Matcher) -> dict[str, Any]:
    """A matcher as Alertmanager's API has it, and as a silence's request has it."""
    return {
        "name": matcher.label,
        "value": matcher.value,
        "isRegex": matcher.operator.has_pattern,
        "isEqual": matcher.operator in (Operator.EQUAL, Operator.REGEX),
    }


def program_size(matchers: Sequence[Matcher]) -> int:
    """How many instructions the regular expressions of matchers compile to, together.

    Raises ValueError.
    """
    return sum(
        pattern.program_size(matcher.value) for matcher in matchers if matcher.operator.has_pattern
    )


def test_of(alternatives: Sequence[Sequence[Matcher]]) -> Test:
    """A function that tells whether labels satisfy all matchers of any alternative.

    None at all is satisfied by all.
    """
    tests = [_all(matchers) for matchers in alternatives]
    if not tests:
        return _everything
    if len(tests) == 1:
        return tests[0]
    return lambda labels: any(test(labels) for test in tests)


def _everything(_: Mapping[str, str]) -> bool:
    return True


def _all(matchers: Sequence[Matcher]) -> Test:
    cheapest_first = sorted(matchers, key=lambda matcher: matcher.operator.has_pattern)
    tests = [_single(matcher) for matcher in cheapest_first]
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
            compiled = pattern.compile_pattern(value)
            return lambda labels: compiled(labels.get(label, ""))
        case Operator.NOT_REGEX:
            compiled = pattern.compile_pattern(value)
            return lambda labels: not compiled(labels.get(label, ""))
        case _:
            assert_never(matcher.operator)
