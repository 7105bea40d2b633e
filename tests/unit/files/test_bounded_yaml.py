"""YAML of strangers.

What is too much is refused with its line, soon, and what passes is plain data.
"""

from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.files.bounded_yaml import (
    ALIASES_MAX,
    CHARACTERS_MAX,
    DEPTH_MAX,
    NODES_MAX,
    YamlRefused,
    read_document,
)
from app.files.policy_file import BadPolicy, default_path, load_policy
from app.files.yaml_file import MAX_BYTES, PROBLEMS_MAX
from tests.support.bounded_time import in_time

MILLION = 1024 * 1024


def refusal(text: str) -> tuple[int, int, str]:
    """Line, column and problem."""
    with in_time(), pytest.raises(YamlRefused) as refused:
        read_document(text)
    return refused.value.line, refused.value.column, refused.value.problem


def laughs(first: str, more: str) -> str:
    """The billion laughs: each line is nine times the one before."""
    letters = "abcdefghi"
    lines = [more.format(c, ",".join([f"*{before}"] * 9)) for before, c in pairwise(letters)]
    return "\n".join([first, *lines])


_TYPES = "must be text, number, true, false, null, date, list or map"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            laughs("a: &a [x,x,x,x,x,x,x,x,x]", "{0}: &{0} [{1}]"),
            (
                5,
                4,
                "has 66430 keys and values of 59049 characters here when its aliases are written out, must have at most",
            ),
        ),
        (
            laughs("a: &a {x: 1, y: 2, z: 3}", "{0}: &{0} {{<<: [{1}]}}"),
            (
                6,
                12,
                "has 435484 keys and values of 369054 characters here when its aliases are written out, must have at most",
            ),
        ),
        (
            f"a: &a {'x' * 600_000}\nb: [*a, *a]",
            (
                2,
                4,
                "has 3 keys and values of 1200000 characters here when its aliases are written out, must have at most",
            ),
        ),
        ("a: &a [*a]", (1, 8, "has an alias of what the alias is part of")),
        ("a: &a {b: [{c: *a}]}", (1, 16, "has an alias of what the alias is part of")),
        ("a: " + "[" * MILLION, (1, 35, f"is nested more than {DEPTH_MAX} deep")),
        ("a: " + "{a: " * (MILLION // 4), (1, 125, f"is nested more than {DEPTH_MAX} deep")),
        ("- " * (MILLION // 2), (1, 65, f"is nested more than {DEPTH_MAX} deep")),
        ("? " * (MILLION // 2), (1, 65, f"is nested more than {DEPTH_MAX} deep")),
        ("[" + "x," * (MILLION // 2), (1, 100_000, f"has more than {NODES_MAX} keys and values")),
        (
            "a: " + ":".join(["59"] * 300_000),
            (1, 4, "has a number or date of 899999 characters, must have at most 64"),
        ),
        (
            "a: " + "1_" * 500_000 + ".",
            (1, 4, "has a number or date of 1000001 characters, must have at most 64"),
        ),
        (
            "a: !!python/object/apply:os.system [x]",
            (1, 4, f"has a value of the type !!python/object/apply:os.system, {_TYPES}"),
        ),
        ("a: !!binary aGVsbG8=", (1, 4, f"has a value of the type !!binary, {_TYPES}")),
        ("a: !!set {a, b}", (1, 4, f"has a value of the type !!set, {_TYPES}")),
        ("a: !x b", (1, 4, f"has a value of the type !x, {_TYPES}")),
        ("a: =", (1, 4, f"has a value of the type !!value, {_TYPES}")),
        ("a: !!bool maybe", (1, 4, "is 'maybe', which is not what it says it is")),
        ("a: !!timestamp now", (1, 4, "is 'now', which is not what it says it is")),
        ("a: !!int x", (1, 4, "is 'x', which is not what it says it is")),
        ("a: 2026-02-30", (1, 4, "is '2026-02-30', which is not what it looks like: ")),
        ("a: 9223372036854775808", (1, 4, "is '9223372036854775808', must be a number of 64 bits")),
        ("a: .inf", (1, 4, "is '.inf', must be a number of 64 bits")),
        ("a: .nan", (1, 4, "is '.nan', must be a number of 64 bits")),
        ('a: "\\ud800"', (1, 4, "has half of a surrogate pair, must be Unicode text")),
        ('"\\udfff": a', (1, 1, "has half of a surrogate pair, must be Unicode text")),
        ("? [a]\n: b", (1, 3, "has a list or a map for a key, must be a text")),
        ("a: 1\n--- b", (2, 1, "is not YAML: but found another document")),
        ("a: *b", (1, 4, "is not YAML: found undefined alias 'b'")),
        ("a: !!map [b]", (1, 4, "is not YAML: expected a mapping node, but found sequence")),
        (
            "a: \x1b[2J",
            (0, 0, "is not YAML: special characters are not allowed (27) at character 3"),
        ),
    ],
)
def test_what_is_refused(text: str, expected: tuple[int, int, str]) -> None:
    """With line and column of what is too much, or is no data, and before it costs anything."""
    line, column, problem = refusal(text)

    assert (line, column, problem[: len(expected[2])]) == expected


@pytest.mark.parametrize(
    ("at", "above", "problem"),
    [
        (
            "[" * DEPTH_MAX + "]" * DEPTH_MAX,
            "[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1),
            "nested",
        ),
        (f"[{'x,' * (NODES_MAX - 1)}]", f"[{'x,' * NODES_MAX}]", "keys and values"),
        (f"[&a x{',*a' * ALIASES_MAX}]", f"[&a x{',*a' * (ALIASES_MAX + 1)}]", "aliases"),
        ("x" * CHARACTERS_MAX, f"[{'x' * CHARACTERS_MAX}, y]", "written out"),
        (str(2**63 - 1), str(2**63), "64 bits"),
        (str(-(2**63)), str(-(2**63) - 1), "64 bits"),
    ],
)
def test_the_bounds(at: str, above: str, problem: str) -> None:
    """At a bound it is read, above it refused."""
    assert read_document(at).data is not None
    assert problem in refusal(above)[2]


def test_merged_mappings() -> None:
    """A key of one's own stands instead of a merged one, and is no repetition.

    The places are those of the file.
    """
    document = read_document("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  x: 3\n  z: *a\n  z: 4")

    assert document.data == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2, "z": 4}}
    assert document.repeated == [(("b", "z"), (6, 3))]
    assert {where: document.places[where] for where in (("a", "y"), ("b",), ("b", "x"))} == {
        ("a", "y"): (1, 14),
        ("b",): (2, 1),
        ("b", "x"): (4, 3),
    }


_DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]))
    | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(alphabet="ab:#-", max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_DATA)
def test_plain_data_is_read_as_it_was_written(data: Any) -> None:
    """What PyYAML writes of plain data is read back, by us as by PyYAML itself."""
    text = yaml.safe_dump(data, allow_unicode=True)

    assert read_document(text).data == yaml.safe_load(text) == data


@given(
    st.text(alphabet="ab:,- \n[]{}&*!<>?|'\"#%@0159.~=x_eTZ\\u\x00\x85\ufeff\u2028é", max_size=60)
)
def test_any_text_is_plain_data_or_refused(text: str) -> None:
    """Nothing else is ever raised, and what comes out can be kept as JSON."""
    try:
        document = read_document(text)
    except YamlRefused:
        return

    assert isinstance(document.data, dict | list | str | int | float | date | datetime | None)
    orjson.dumps(document.data, option=orjson.OPT_NON_STR_KEYS)


def test_a_policy_file_of_strangers(tmp_path: Path) -> None:
    """The mistake is told with file, line and column.

    A file that never ends is not read to its end.
    """
    file = tmp_path / "policy.yaml"
    told = []
    contents = (
        laughs("a: &a [x,x,x,x,x,x,x,x,x]", "{0}: &{0} [{1}]").encode(),
        b"x" * (MAX_BYTES + 1),
        b"a: \xff",
    )
    for content in contents:
        file.write_bytes(content)
        with in_time(), pytest.raises(BadPolicy) as refused:
            load_policy(file)
        told += refused.value.problems
    with in_time(), pytest.raises(BadPolicy) as refused:
        load_policy("/dev/zero")
    told += refused.value.problems

    assert told[0].startswith(
        f"{file}:5:4: has 66430 keys and values of 59049 characters here when its aliases are written"
    )
    assert told[1:] == [
        f"{file}: has more than {MAX_BYTES} bytes, must have at most so many",
        f"{file}: is not UTF-8 at byte 3",
        f"/dev/zero: has more than {MAX_BYTES} bytes, must have at most so many",
    ]


def test_so_many_mistakes_are_told(tmp_path: Path) -> None:
    """A file that is something else altogether does not fill the terminal."""
    file = tmp_path / "policy.yaml"
    file.write_text("".join(f"k{number}: x\n" for number in range(20_000)))

    with in_time(), pytest.raises(BadPolicy) as refused:
        load_policy(file)

    assert len(refused.value.problems) == PROBLEMS_MAX + 1
    assert refused.value.problems[-1].startswith("and 199")


@pytest.mark.parametrize(
    ("instead", "of", "expected"),
    [
        ("settle: 5201w", "settle: 5m", "incidents.settle: is '5201w', must be at most 5200w"),
        (
            "weekdays: 5",
            'weekdays: ["monday:friday"]',
            "time_intervals.business-hours[0].weekdays: is 5, must be a list",
        ),
    ],
)
def test_values_that_would_stop_something(
    tmp_path: Path, instead: str, of: str, expected: str
) -> None:
    """A deadline after the last date, and a value that made the check itself fail."""
    file = tmp_path / "policy.yaml"
    file.write_text(default_path().read_text().replace(of, instead, 1))

    with pytest.raises(BadPolicy) as refused:
        load_policy(file)

    assert [problem.partition(": ")[2] for problem in refused.value.problems] == [expected]
