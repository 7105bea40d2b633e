"""Regular expressions as Prometheus and Alertmanager mean them: RE2's, which have to match the whole value.

Their authors are operators, and one of theirs must not be able to stop a partition. Python's `re`
tries one way after another, for ever in the case of `(a+)+$`; RE2 tries all ways at once, in time
linear in the value. What is left to bound is the factor, which is the size of the compiled program:
a pattern at PROGRAM_MAX against a label value of 64 KiB, the longest there is, takes a second at
the worst (docs/decisions/0006-re2.md has the figures).

The answer depends on pattern and value only: RE2 keeps what it has seen in a cache of bounded size,
and goes on without it when that is too small.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2

PATTERN_BYTES_MAX = 4096  # UTF-8
PROGRAM_MAX = 2000  # instructions; of one pattern, and of those of a silence together
MEMORY_BYTES_MAX = 256 * 1024  # of one pattern: program and cache
ANSWERS_MAX = 128  # values whose answers a pattern remembers
ANSWER_CHARACTERS_MAX = 200  # of such a value
NOTHING = r"[^\x00-\x{10FFFF}]"  # a pattern that no value matches

_UNKNOWN = (
    "invalid perl operator",
    "invalid escape sequence",
    "invalid named capture group",
    "bad repetition operator",
)
_INSTEAD = (
    "RE2's syntax, as in Prometheus and Alertmanager: no lookaround (?=...), no backreferences \\1; what must not match is a "
    "matcher of its own with !~"
)
# Nothing but names to choose from, as in `(api|backend)`: needs no engine.
_NAMES = re.compile(r"\(([\w:/ -]*(?:\|[\w:/ -]*)*)\)|([\w:/ -]*(?:\|[\w:/ -]*)*)", re.ASCII)


def _options() -> Any:
    options = re2.Options()
    options.max_mem = MEMORY_BYTES_MAX
    options.never_capture = True
    options.log_errors = False
    return options


_OPTIONS = _options()


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """A function that tells whether a pattern matches the whole of a value. Raises ValueError."""
    regexp = _compiled(pattern)
    names = names_in(pattern)
    if names is not None:
        return frozenset(names).__contains__
    match = regexp.fullmatch

    def fits(value: str) -> bool:
        return match(value.encode()) is not None

    # A policy asks one pattern after another of each alert on a component that it has not seen, and
    # most of its labels have values that were asked about before.
    remembered = lru_cache(maxsize=ANSWERS_MAX)(fits)
    return lambda value: remembered(value) if len(value) <= ANSWER_CHARACTERS_MAX else fits(value)


def names_in(pattern: str) -> list[str] | None:
    """The values that a pattern matches where it is nothing but names to choose from, else None."""
    names = _NAMES.fullmatch(pattern)
    return (
        (names[1] if names[1] is not None else names[2]).split("|") if names is not None else None
    )


def program_size(pattern: str) -> int:
    """How many instructions a pattern compiles to.

    What a match may cost for each byte of a value. Raises ValueError.
    """
    return int(_compiled(pattern).programsize)


def _compiled(pattern: str) -> Any:
    try:
        size = len(pattern.encode())
    except UnicodeEncodeError:
        raise ValueError("has half of a surrogate pair, must be Unicode text") from None
    if size > PATTERN_BYTES_MAX:
        raise ValueError(
            f"has {size} bytes, must have at most {PATTERN_BYTES_MAX}: use several matchers or alternatives"
        )
    try:
        regexp = re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        raise ValueError(_refusal(error)) from None
    if regexp.programsize > PROGRAM_MAX:
        raise ValueError(_too_large())
    return regexp


def _refusal(error: Exception) -> str:
    reason = error.args[0]
    text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    if "too large" in text or "repetition size" in text:
        return _too_large()
    return f"{text:.80} ({_INSTEAD})" if text.startswith(_UNKNOWN) else f"{text:.80}"


def _too_large() -> str:
    return (
        f"compiles to more than {PROGRAM_MAX} instructions; repeat fewer times ({{n}} counts as n copies), "
        "or use several matchers or alternatives"
    )
