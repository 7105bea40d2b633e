"""Alertmanager's notations of matchers, read, and written as a policy has them.

Source of the notations: Alertmanager's documentation, "Label matchers": the classic one of up to
0.26, which later versions prefer where both fit, and the UTF-8 one since 0.27.
"""

import json
import re

from models.matcher import Matcher, Operator, label_text, parse_matcher
from models.text import pattern

_CLASSIC = re.compile(r"\s*([A-Za-z_:][A-Za-z0-9_:]*)\s*(=~|!=|!~|=)\s*(.*?)\s*", re.DOTALL)
_WORD = r"""(?:"(?:[^"\\]|\\.)*"|[^\s{}!=~,\\"'`]+)"""
_UTF8 = re.compile(rf"\s*({_WORD})\s*(=~|!=|!~|=)\s*({_WORD})\s*", re.DOTALL)
# Commas within quotes belong to the value.
_PARTS = re.compile(r'(?:[^",\\]|\\.|\\$|"(?:[^"\\]|\\.)*"?)+', re.DOTALL)
_ESCAPE = re.compile(r'\\([n"\\])')
_PATTERN_QUOTE = re.compile(r'\\.|"', re.DOTALL)
_EXAMPLE = 'alertname=~"Ollama.*" or team="ai"'


class NotExpressible(Exception):
    """A matcher that Alertmanager takes and a policy does not have. The message says why."""


def read_matchers(text: str) -> list[Matcher]:
    """The matchers of one line of `matchers`. Raises ValueError."""
    inner = text.strip().removeprefix("{").removesuffix("}")
    parts = [part for part in _PARTS.findall(inner) if part.strip()]
    if not parts and inner.strip(", \t\n"):
        raise ValueError(f"is {text!r:.100}, must be a matcher such as {_EXAMPLE}")
    return [_read_matcher(part) for part in parts]


def _read_matcher(text: str) -> Matcher:
    match = _CLASSIC.fullmatch(text)
    value = _classic_value(match[3]) if match else None
    if match and value is not None:
        return make_matcher(match[1], Operator(match[2]), value)
    match = _UTF8.fullmatch(text)
    if not match:
        raise ValueError(f"is {text.strip()!r:.100}, must be a matcher such as {_EXAMPLE}")
    return make_matcher(_unquote(match[1]), Operator(match[2]), _unquote(match[3]))


def _classic_value(written: str) -> str | None:
    """The value, or None when it has a quote where none may be."""
    quoted = written.startswith('"')
    inner = written[1:] if quoted else written
    bare = _ESCAPE.sub("", inner)
    if quoted:
        if not bare.endswith('"'):
            return None
        inner, bare = inner[:-1], bare[:-1]
    if '"' in bare:
        return None
    return _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], inner)


def _unquote(word: str) -> str:
    if not word.startswith('"'):
        return word
    try:
        return str(json.loads(word, strict=False))
    except ValueError:
        raise ValueError(f"is {word!r:.100}, which has an escape that is not read") from None


def make_matcher(label: str, operator: Operator, value: str) -> Matcher:
    """A matcher.

    Raises ValueError where Alertmanager would refuse its regular expression as well.
    """
    if operator.has_pattern:
        try:
            pattern.compile_pattern(value)
        except ValueError as error:
            if "must have at most" not in str(error) and "compiles to more" not in str(error):
                raise ValueError(
                    f"is {value!r:.100}, which is no regular expression: {error}"
                ) from None
    return Matcher(label, operator, value)


def format_matcher(matcher: Matcher) -> str:
    """The matcher in a policy's notation. Raises NotExpressible."""
    if matcher.operator.has_pattern:
        if '"' in matcher.value and r"\Q" in matcher.value:
            raise NotExpressible(
                r"a regular expression with \Q and a double quote has no notation in a policy"
            )
        value = _PATTERN_QUOTE.sub(
            lambda found: r"\x22" if found[0].endswith('"') else found[0], matcher.value
        )
    else:
        value = matcher.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    text = f'{label_text(matcher.label)}{matcher.operator}"{value}"'
    try:
        read_back = parse_matcher(text)
    except ValueError as error:
        raise NotExpressible(f"Tocsin does not take one of its matchers, which {error}") from None
    if read_back.label != matcher.label:
        raise NotExpressible(f"Tocsin has no notation for the label {matcher.label!r:.60}")
    if not matcher.operator.has_pattern and read_back.value != matcher.value:
        raise NotExpressible(f"Tocsin has no notation for its value, {matcher.value!r:.60}")
    return text


def listed_values(matcher: Matcher) -> list[str] | None:
    """The values that a matcher lets through, where they are few; else None."""
    if matcher.operator is Operator.EQUAL:
        return [matcher.value]
    if matcher.operator is Operator.REGEX:
        inner = matcher.value.removeprefix("^").removesuffix("$")
        inner = inner[1:-1] if re.fullmatch(r"\([^()]*\)", inner) else inner
        if re.fullmatch(r"[\w:/ -]*(\|[\w:/ -]*)*", inner, re.ASCII):
            return list(dict.fromkeys(inner.split("|")))
    return None


def negate_matcher(matcher: Matcher) -> Matcher:
    """The matcher that fits exactly where this one does not."""
    return Matcher(matcher.label, _OPPOSITE[matcher.operator], matcher.value)


_OPPOSITE = {
    Operator.EQUAL: Operator.NOT_EQUAL,
    Operator.NOT_EQUAL: Operator.EQUAL,
    Operator.REGEX: Operator.NOT_REGEX,
    Operator.NOT_REGEX: Operator.REGEX,
}


def named_values(matcher: Matcher) -> list[str]:
    """The values that a matcher names, whether it wants them or not."""
    return (
        listed_values(negate_matcher(matcher) if matcher.operator in _NEGATIVE else matcher) or []
    )


_NEGATIVE = (Operator.NOT_EQUAL, Operator.NOT_REGEX)
