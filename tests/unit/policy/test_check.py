"""`tocsin policy check`: mistakes and doubts, as people and as programs read them."""

import json
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.main import main
from app.files.policy_file import default_path, load_policy
from app.policy.subsumption import never_first, selector_covers
from models.matcher import Matcher, parse_matcher
from models.matcher import test_of as selecting
from tests.support.changed_policy import changed, line_of, place
from tests.support.shipped_policy import shipped

VALUES = ("", "x", "y", "xx")
SIGNS = ('="{}"', '!="{}"', '=~"{}"', '!~"{}"', '=~"{}|y"', '=~"{}.*"', '=~".*"', '=~".+"')
MATCHERS = st.builds(
    lambda label, sign, value: parse_matcher(label + sign.format(value)),
    st.sampled_from("ab"),
    st.sampled_from(SIGNS),
    st.sampled_from(VALUES),
)
NEVER = "warning: never decides: {} comes first, and matches all that it matches"
NODE_DOWN = "['alertname=~\"NodeDown|HostDown|InstanceDown\"', 'instance=~\".+\"']\n"
UNREQUIRED = (
    "inhibit_rules[0].equal[0]: warning: is 'instance', which neither side requires: "
    'what lacks it on both sides is equal. Add instance=~".+" to one of them'
)
CHAIN = "chain: [on-call-dba, senior-dba, data-team-lead, engineering-manager]"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "default_owner: inf",
            "  - {match: ['team=\"ai\"', 'x=~\"y.*\"'], team: data}\ndefault_owner: inf",
            [("{match: ['team=\"", f"ownership[19]: {NEVER.format('ownership[1]')}")],
        ),
        (
            "  - name: other\n",
            "  - {name: all, steps: [Look]}\n  - name: other\n",
            [("name: other", f"runbooks[11]: {NEVER.format('runbooks[10]')}")],
        ),
        (
            "  ceo: {",
            "  cfo: {name: CFO, pager: cfo}\n  ceo: {",
            [
                (
                    "cfo:",
                    "contacts.cfo: warning: is told of nothing: no chain and no also_notify names it",
                )
            ],
        ),
        (
            'contact: {name: AI Team, email: ai-team@sutazai.com, chat: "#ai"}',
            "contact: {name: AI Team, email: ai-team@sutazai.com}",
            [
                (
                    "contact: {name: AI Team",
                    "teams.ai.contact: warning: is told of no P2: it has no address for chat",
                ),
                (
                    "contact: {name: AI Team",
                    "teams.ai.contact: warning: is told of no P3: it has no address for chat",
                ),
            ],
        ),
        (
            ", pager: data-senior}",
            "}",
            [
                (
                    "senior-dba, ",
                    "teams.data.chain[1]: warning: 'senior-dba' has no pager, and P0 goes by pager",
                )
            ],
        ),
        (
            "time_intervals:\n",
            'time_intervals:\n  nights: [{times: [{start_time: "00:00", end_time: "06:00"}]}]\n',
            [
                (
                    "nights:",
                    "time_intervals.nights: warning: is used by no team's hours and no mute rule",
                )
            ],
        ),
        (
            "P1: [15m, 30m, 1h]",
            "P1: [15m, 30m, 1h, 2h]",
            [
                (
                    "2h]",
                    "escalate_after.P1[3]: warning: is never waited for: the longest chain has 4 steps",
                )
            ],
        ),
        (
            CHAIN,
            f"{CHAIN}\n    escalate_after: {{P0: [2m, 5m, 10m, 20m]}}",
            [
                (
                    "20m]",
                    "teams.data.escalate_after.P0[3]: warning: is never waited for: the chain has 4 steps",
                )
            ],
        ),
    ],
)
def test_doubts(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    before: str,
    after: str,
    expected: list[tuple[str, str]],
) -> None:
    """Each is told with its place; it is an error only where that is asked for."""
    file = changed(tmp_path, (before, after))

    statuses = [
        main(["policy", "check", str(file)]),
        main(["policy", "check", "--strict", str(file)]),
    ]

    out, err = capsys.readouterr()
    told = [f"{place(file, start)}: {text}" for start, text in expected]
    warned = f"{len(told)} warning{'s' if len(told) > 1 else ''}"
    assert (statuses, out.splitlines()[:-1], err.splitlines()) == ([0, 1], told, told)
    assert out.splitlines()[-1].startswith(
        f"{file}: good (fingerprint {load_policy(file).fingerprint}): 5 teams, "
    )
    assert out.splitlines()[-1].endswith(warned)


def test_an_equal_label_that_nobody_requires(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two alerts without it are equal, so the rule would suppress strangers."""
    file = changed(
        tmp_path,
        (NODE_DOWN, NODE_DOWN.replace(", 'instance=~\".+\"'", "")),
        ("      - 'instance=~\".+\"'\n", ""),
    )

    assert main(["policy", "check", "--strict", str(file)]) == 1

    assert capsys.readouterr().err.strip().endswith(UNREQUIRED)


def test_rules_that_hide_too_much(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cycle of rules, an inhibition and a mute rule that can hide a P0 or P1 are doubtful."""
    rule = "{name: all, source_matchers: ['a=\"b\"'], target_matchers: ['alertname=\"D\"']}"
    mute = "{name: nights, match: ['c=\"d\"'], during: [business-hours]}"
    file = changed(
        tmp_path,
        ("root: ['alertname=\"RedisDown\"']", "root: ['alertname=~\"RedisDown|Timeout\"']"),
        ("root: ['alertname=~\"Postgre(s|SQL)Down\"']", "root: ['alertname=\"Timeout\"']"),
        ("    equal: [instance]", f"    equal: [instance]\n  - {rule}"),
        ("  hours: [P3]", f"  hours: [P3]\n  mute: [{mute}]"),
    )

    status = main(["policy", "check", "--strict", str(file)])

    hides = "can hide a P0 or P1: nobody is notified of it while the rule applies"
    told = [line.partition("warning: ")[2] for line in capsys.readouterr().err.splitlines()]
    cycle = "alerts can keep each other quiet by needs-postgres, needs-redis"
    assert (status, told) == (
        1,
        [f"{cycle}: then what has fired longest is notified", hides, hides],
    )


def test_hours_for_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hours of teams count for nothing where no severity is told in hours only."""
    assert main(["policy", "check", str(changed(tmp_path, ("  hours: [P3]\n", "")))]) == 0

    out = capsys.readouterr().out
    assert out.count("hours: warning: counts for nothing: notify.hours names no severity") == 5


def test_the_shipped_policy_has_no_doubts(capsys: pytest.CaptureFixture[str]) -> None:
    """It is good, by the strictest measure."""
    assert main(["policy", "check", "--strict"]) == 0
    counts = "5 teams, 8 escalations, 3 correlations, 11 runbooks"
    good = f"{default_path()}: good (fingerprint {shipped().fingerprint}): {counts}\n"
    assert capsys.readouterr() == (good, "")


def test_mistakes_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one message, with status 1; nothing of it drives the terminal."""
    file = changed(
        tmp_path,
        ("close_after: 5m", "close_after: 5 m"),
        ("retain_resolved: 1h", '"retain_\\eresolved": 1h'),
    )

    status = main(["policy", "check", str(file)])

    unknown = "is not a key that there is here"
    told = [
        f"tocsin: {place(file, 'incidents:')}: incidents.retain_resolved: is missing, must be there",
        f"{place(file, 'close_after')}: incidents.close_after: is '5 m', must be a duration such as 90s, 15m, 1h30m or 2d",
        (
            f"{place(file, chr(34) + 'retain_')}: "
            f"incidents.retain_\N{REPLACEMENT CHARACTER}resolved: {unknown}; did you mean 'retain_resolved'?"
        ),
    ]
    assert (status, capsys.readouterr().err.splitlines()) == (1, told)


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs: one object, whatever was found."""
    bad, doubtful = tmp_path / "bad", tmp_path / "doubtful"
    bad.mkdir()
    doubtful.mkdir()
    first = changed(bad, ("close_after: 5m", "close_after: 5 m"))
    second = changed(doubtful, (", pager: data-senior}", "}"))

    statuses = [main(["policy", "check", "--json", str(one)]) for one in (first, second)]

    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    problem = "is '5 m', must be a duration such as 90s, 15m, 1h30m or 2d"
    error = {
        "file": str(first),
        "line": line_of(first, "close_after"),
        "column": 3,
        "key": "incidents.close_after",
        "problem": problem,
    }
    warning = "warning: 'senior-dba' has no pager, and P0 goes by pager"
    line = line_of(second, "senior-dba, ")
    where = {
        "file": str(second),
        "line": line,
        "column": 26,
        "key": "teams.data.chain[1]",
        "problem": warning,
    }
    assert statuses == [1, 0]
    assert answers == [
        {"file": str(first), "good": False, "fingerprint": "", "errors": [error], "warnings": []},
        {
            "file": str(second),
            "good": True,
            "fingerprint": load_policy(second).fingerprint,
            "errors": [],
            "warnings": [where],
        },
    ]


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        (['a="x"'], ['a="x"', 'b="y"'], True),
        (['a="x"', 'b="y"'], ['a="x"'], False),
        (['a=~"x|y"'], ['a="y"'], True),
        (['a=~"x.*"'], ['a=~"x1|x2"'], True),
        (['a=~"x.*"'], ['a=~"x1|y"'], False),
        (['a=~"x.*"'], ['a=~"xy.*"'], False),  # true, but not certain by such simple means
        (['a!="x"'], ['a="y"'], True),
        (['a!="x"'], ['b="y"'], False),
        (['a=~".*"'], ['b="y"'], True),
        (['a=~".+"'], ['b="y"'], False),
        (['a!~"x|y"'], ['a="z"'], True),
        (['a=""'], ['a=~"|x"'], False),
    ],
)
def test_covers(wide: list[str], narrow: list[str], expected: bool) -> None:
    """One selector takes all of another only where that is certain."""
    one, other = ([parse_matcher(text) for text in texts] for texts in (wide, narrow))

    assert selector_covers([one], [other]) is expected
    assert selector_covers([], [other])
    assert not selector_covers([one], [])


@given(st.lists(st.lists(st.lists(MATCHERS, min_size=1, max_size=2), max_size=2), max_size=8))
def test_never_first(selectors: list[list[list[Matcher]]]) -> None:
    """It finds what comparing each with each finds, and what it finds is so for every alert."""
    slow = []
    for number, selector in enumerate(selectors):
        first = next(
            (one for one in range(number) if selector_covers(selectors[one], selector)), None
        )
        slow += [(number, first)] if first is not None else []

    assert list(never_first(selectors)) == slow
    tests = [selecting(selector) for selector in selectors]
    for number, first in slow:
        for one, other in product(VALUES, VALUES):
            labels = {name: value for name, value in (("a", one), ("b", other)) if value}
            assert tests[first](labels) or not tests[number](labels)


def test_severity_names_that_are_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two names that differ in case and punctuation only cannot be two severities."""
    file = changed(tmp_path, ("    warning: P2\n", "    warning: P2\n    Sev-1: P1\n"))

    status = main(["policy", "check", str(file)])

    assert status == 1
    assert "is P1, and 'sev1' is P0: case and punctuation do not count" in capsys.readouterr().err
