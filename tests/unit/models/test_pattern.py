"""Regular expressions of matchers.

Alertmanager's, and none of them can keep a partition from its work.
"""

import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.changelog import POLICY
from app.transport.log import StoredRecord
from models.journal import TICK, encode_policy
from models.matcher import Matcher, Operator, parse_matcher
from models.matcher import test_of as matches
from models.policy.policy import LINE_CHARACTERS_MAX, Step
from models.reason import BadInput, Reason
from models.text.pattern import (
    ANSWER_CHARACTERS_MAX,
    ANSWERS_MAX,
    NOTHING,
    PATTERN_BYTES_MAX,
    PROGRAM_MAX,
    compile_pattern,
    program_size,
)
from models.wire import SilenceRequest
from tests.support.bounded_time import in_time
from tests.support.scenario import START_MS, alert_record, keep, tell
from tests.support.shipped_policy import shipped

VALUE_MAX = 64 * 1024  # bytes; of all labels of an alert together
LOOKAHEAD = "(?!Slow).*"  # what Python took until 0.1.0, and RE2 refuses


@pytest.mark.parametrize(
    "pattern", [r"(a+)+$", r"(a|aa)+", r"(a|a)*b", r"(.*)*x", r"(a*)*(a*)*b", r"^(\w+\s?)*$"]
)
def test_no_pattern_explodes(pattern: str) -> None:
    """What would take Python's `re` longer than the world has been there is answered for the longest value there is."""
    with in_time():
        found = compile_pattern(pattern)("a" * (VALUE_MAX - 1) + "!")

    assert found is False


@pytest.mark.parametrize(
    "pattern", ["([ab]*a[ab]{990})*([ab]*a[ab]{990})*c", "[ab]*a[ab]{1000}[ab]{900}c"]
)
def test_the_worst_pattern_that_is_taken_ends(pattern: str) -> None:
    """Near the bound of the program, with more states than the cache holds, the longest value takes a second or two."""
    assert PROGRAM_MAX * 0.95 < program_size(pattern) <= PROGRAM_MAX
    with in_time():
        found = compile_pattern(pattern)("ab" * (VALUE_MAX // 2))

    assert found is False


_ATOMS = st.sampled_from(["a", "b", "-", "ab", ".", "[ab]", "[^a]", "\\.", "\\w", "a b", "é", "/"])
_PATTERNS = st.recursive(
    _ATOMS | st.just(""),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=4).map("|".join),
        inner.map(lambda one: f"({one})"),
        st.tuples(inner, st.sampled_from(["*", "?", "+", "{2}", "*?"])).map(
            lambda one: f"(?:{one[0]}){one[1]}"
        ),
    ),
    max_leaves=8,
)


@given(_PATTERNS, st.text(alphabet="ab-. é/\n", max_size=8))
def test_means_what_pythons_did(pattern: str, value: str) -> None:
    """Where both have a pattern, RE2 and our shortcut for plain names agree with Python's `re`, whose classes are ASCII."""
    assert compile_pattern(pattern)(value) is (re.fullmatch(pattern, value, re.ASCII) is not None)


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("api|backend", "backend", True),
        ("(api|backend)", "(api", False),
        ("api|", "", True),
        ("web/(api|backend)", "web/api", True),
        ("[[:alpha:]]+", "abc", True),
        ("(?i)nodedown", "NodeDown", True),
        ("^node$", "node", True),
        ("a.b", "a\nb", False),
        (r"\d", "\N{ARABIC-INDIC DIGIT ONE}", False),
        (NOTHING, "", False),
        (NOTHING, "a", False),
    ],
)
def test_means_what_it_means_in_alertmanager(pattern: str, value: str, *, expected: bool) -> None:
    """The whole value has to match.

    A point is no line end; classes are ASCII unless they say otherwise.
    """
    assert compile_pattern(pattern)(value) is expected


_INSTEAD = (
    "(RE2's syntax, as in Prometheus and Alertmanager: no lookaround (?=...), no backreferences \\1; "
    "what must not match is a matcher of its own with !~)"
)
_SMALLER = (
    "compiles to more than 2000 instructions; repeat fewer times ({n} counts as n copies), or use several matchers or "
    "alternatives"
)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (LOOKAHEAD, f"invalid perl operator: (?! {_INSTEAD}"),
        (r"(a)\1", f"invalid escape sequence: \\1 {_INSTEAD}"),
        ("a++", f"bad repetition operator: ++ {_INSTEAD}"),
        ("(", "missing ): ("),
        ("a)|(b", "unexpected ): a)|(b"),
        ("a{1001}", _SMALLER),
        ("(a{1000}){1000}", _SMALLER),
        (r"(\pL{500}){2}", _SMALLER),
        ("\ud800", "has half of a surrogate pair, must be Unicode text"),
        (
            "a" * (PATTERN_BYTES_MAX + 1),
            "has 4097 bytes, must have at most 4096: use several matchers or alternatives",
        ),
    ],
)
def test_refuses_patterns(pattern: str, expected: str) -> None:
    """The message says what was found, and what can be used instead."""
    with pytest.raises(ValueError, match=r".") as refused:
        compile_pattern(pattern)

    assert str(refused.value) == expected


def test_the_bounds_of_a_pattern() -> None:
    """At the bound it is taken, above it refused: bytes, and instructions of the program."""
    overhead = program_size("a{1000}") - 1000
    at = f"a{{1000}}b{{{PROGRAM_MAX - 1000 - overhead}}}"

    assert program_size(at) == PROGRAM_MAX
    assert compile_pattern(at)("a") is False
    with pytest.raises(ValueError, match="more than 2000 instructions"):
        compile_pattern(f"{at}b")
    assert compile_pattern("|".join(["a" * 1023] * 4) + "a")("a" * 1024)


def test_the_patterns_of_a_silence_are_bounded_together() -> None:
    """Every new alert is compared with each silence, so 64 matchers must not have 64 times the program of one."""

    def request(second: str) -> SilenceRequest:
        matchers = [{"name": "a", "value": one, "isRegex": True} for one in ("a{1000}", second)]
        return SilenceRequest.of({"matchers": matchers, "endsAt": "1h"})

    at = PROGRAM_MAX - program_size("a{1000}") - (program_size("b{900}") - 900)
    request(f"b{{{at}}}").parts()
    with pytest.raises(BadInput) as refused:
        request(f"b{{{at + 1}}}").parts()

    assert (refused.value.reason, refused.value.message) == (
        Reason.TOO_LARGE,
        (
            "matchers: their regular expressions compile to 2001 instructions, must be at most 2000 together: "
            "make several silences"
        ),
    )


@pytest.mark.parametrize(
    "text",
    ["a=" + " " * 200_000 + '"', "a=x" + " " * 200_000 + '"', " " * 200_000, '"' + '\\"' * 100_000],
)
def test_what_is_no_matcher_is_refused_in_time(text: str) -> None:
    """However many spaces there are to share."""
    with in_time(), pytest.raises(ValueError, match="must be a matcher such as"):
        parse_matcher(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (' a = "x y" ', Matcher("a", Operator.EQUAL, "x y")),
        ("a= x y ", Matcher("a", Operator.EQUAL, "x y")),
        ("a=", Matcher("a", Operator.EQUAL, "")),
        ('a=""', Matcher("a", Operator.EQUAL, "")),
        (r'a="\\\n\"\x"', Matcher("a", Operator.EQUAL, '\\\n"x')),
        (r'a=~"\"\\d"', Matcher("a", Operator.REGEX, r'"\\d')),
        ("a!~x|y", Matcher("a", Operator.NOT_REGEX, "x|y")),
        ('"größe in m"="x"', Matcher("größe in m", Operator.EQUAL, "x")),
        (r'"a\"\\b" !~ y', Matcher('a"\\b', Operator.NOT_REGEX, "y")),
    ],
)
def test_how_matchers_are_written(text: str, expected: Matcher) -> None:
    """With and without quotes and spaces; in a regular expression a backslash is its own."""
    assert parse_matcher(text) == expected


@pytest.mark.parametrize("label", ["a", "größe in m", 'a"\\b\n'])
def test_a_matcher_as_text_is_the_matcher(label: str) -> None:
    """A name that is not plain is written in quotes, and read back."""
    matcher = Matcher(label, Operator.EQUAL, "x")

    assert parse_matcher(str(matcher)) == matcher


def test_a_command_full_of_quotes_is_refused_in_time() -> None:
    """Each quote of a runbook's command could begin something that never ends."""
    with (
        in_time(),
        pytest.raises(ValueError, match="which has a quote or a bracket that does not end"),
    ):
        Step.model_validate({"say": "x", "run": '"' + '\\"' * (LINE_CHARACTERS_MAX // 2 - 1)})
    with in_time(), pytest.raises(ValueError, match=f"at most {LINE_CHARACTERS_MAX} characters"):
        Step.model_validate({"say": "x", "run": '"' + '\\"' * 100_000})


def silence_record(
    at_ms: int, operator: str, pattern: str, lasts_ms: int = 3_600_000
) -> StoredRecord:
    """A silence of alertnames, as any version may have written it."""
    document = {
        "silence": "s1",
        "matchers": [["alertname", operator, pattern]],
        "starts_ms": at_ms,
        "ends_ms": at_ms + lasts_ms,
        "by": "ann",
        "comment": "",
    }
    return StoredRecord(-1, at_ms, None, orjson.dumps(document))


def numbered(*records: StoredRecord) -> list[StoredRecord]:
    """The records with their offsets."""
    for offset, record in enumerate(records):
        record.offset = offset
    return list(records)


def alert(at_ms: int, name: str) -> StoredRecord:
    """An alert of the component db."""
    return alert_record(at_ms, {"alertname": name, "severity": "critical", "component": "db"}, "db")


def test_a_silence_cannot_stall_a_partition() -> None:
    """The pattern that the issue fears, in a silence, and an alert that it almost matches."""
    records = numbered(
        silence_record(START_MS, "=~", "(a+)+$"), alert(START_MS, "a" * 60_000 + "!")
    )
    engine = Engine(0, shipped())

    with in_time():
        engine.apply(records)

    assert engine.counts["incidents"] == 1


def test_a_refused_pattern_of_an_old_journal_is_a_dead_letter() -> None:
    """A silence and a policy that RE2 cannot read are refused with the reason, and the engine goes on."""
    policy = with_lookahead(shipped().document)
    records = numbered(
        silence_record(START_MS, "=~", LOOKAHEAD),
        StoredRecord(-1, START_MS, None, encode_policy("0123456789ab", policy)),
        alert(START_MS, "NodeDown"),
    )
    engine = Engine(0, shipped())

    told = tell(engine.apply(records))

    assert (
        "malformed: silence s1 has a regular expression that is not valid: invalid perl operator: (?!"
        in told
    )
    assert (
        "malformed: the policy is not valid: 1 validation error for Policy\nownership.0.match"
        in told
    )
    assert (engine.counts["deadletters"], engine.counts["incidents"]) == (2, 1)


def test_a_refused_pattern_of_an_old_silence_does_not_keep_it_from_ending() -> None:
    """Ending it is taken, so that an operator who sees it in the list can end it."""
    engine = Engine(0, shipped())

    effects = engine.apply(numbered(silence_record(START_MS, "=~", LOOKAHEAD, lasts_ms=0)))

    assert engine.counts.get("deadletters", 0) == 0
    assert "silences s1 by ann" in tell(effects)


def with_lookahead(document: Any) -> Any:
    """A policy as 0.1.0 took it."""
    first, *rest = document["ownership"]
    return document | {"ownership": [first | {"match": [f'team=~"{LOOKAHEAD}"']}, *rest]}


def test_state_with_a_refused_pattern_is_taken_over() -> None:
    """A policy and a silence that an older version kept.

    What cannot be read matches nothing, and the rest is as it was.
    """
    at_ms, items = START_MS, dict[bytes, bytes]()
    before = Engine(0, shipped())
    before.apply(numbered(silence_record(at_ms, "=~", "Slow.*"), alert(at_ms, "SlowDisk")))
    keep(items, before)
    items[b"z/s1"] = items[b"z/s1"].replace(b"Slow.*", b"(?=Slow).*")
    items[POLICY] = orjson.dumps(with_lookahead(shipped().document))

    engine = Engine.restore(0, shipped(), items)

    held = next(iter(engine.state.alerts.values())).suppressions
    assert held is not None
    assert list(held) == ["silence/s1"]
    records = [alert(at_ms + 1, "SlowNet"), StoredRecord(0, at_ms + 3_600_000, None, TICK)]
    for offset, record in enumerate(records, start=2):
        record.offset = offset
    engine.apply(records)
    assert [one.suppressions for one in engine.state.alerts.values()] == [None, None]
    assert engine.policy.fingerprint != shipped().fingerprint  # so the worker announces its own


def test_what_was_kept_is_read_leniently_only_there() -> None:
    """A policy with a refused pattern does not compile, and as one that was kept it matches nothing."""
    document = with_lookahead(shipped().document)

    with pytest.raises(
        ValueError, match="whose regular expression is not valid: invalid perl operator"
    ):
        CompiledPolicy(document)
    assert (
        CompiledPolicy(document, kept=True).evaluate({"team": "x"}).owner
        == shipped().evaluate({"team": "x"}).owner
    )
    never = parse_matcher(f'team!~"{LOOKAHEAD}"', kept=True)
    assert [matches([[never]])(labels) for labels in ({}, {"team": "x"})] == [False, False]


def test_a_matcher_in_a_policy_is_a_text() -> None:
    """An object with the fields of a matcher is none: its pattern would not have been checked."""
    first, *rest = shipped().document["ownership"]
    matcher = {"label": "team", "operator": "=~", "value": "("}

    with pytest.raises(ValueError, match="must be a matcher such as"):
        CompiledPolicy(shipped().document | {"ownership": [first | {"match": [matcher]}, *rest]})


def test_what_was_asked_before_has_the_same_answer() -> None:
    """A value gets one answer, whether it is remembered, was forgotten since, or is too long for that."""
    fits = compile_pattern("a.*b")
    values = [
        *(f"a{number}b" for number in range(2 * ANSWERS_MAX)),
        *(f"a{number}" for number in range(10)),
        *("a" * ANSWER_CHARACTERS_MAX + end for end in "bc"),
    ]

    assert [fits(value) for value in values * 2] == [value.endswith("b") for value in values * 2]
