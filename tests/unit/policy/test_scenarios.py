"""`tocsin policy test`.

Scenarios on virtual time, what is said of those that fail, and what is refused.
"""

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from app.cli.main import main
from app.files.policy_file import default_path
from tests.support.changed_policy import changed, place
from tests.support.policy_test_files import FAILING

SHIPPED = default_path().parent / "tests"
SAID = """\
FAIL  {file}:2: The wrong order
      {file}:11:7: tests[0].expect.incidents: expected 2, found 1
        - component shop, severity P1, notified never
        + number 1, severity P0, title ServiceDown on shop, owner infrastructure, state open, component shop, notified 0s
            severity: expected P1, found P0
            notified: expected never, found 0s
        - component web
      {file}:8:7: tests[0].expect.escalations: expected 2, found 3
          at 2m, incident 1 (ServiceDown on shop), rule unacknowledged, to Lead SRE, step 2
        - at 7m, to CTO, step 4
        + at 7m, incident 1 (ServiceDown on shop), rule unacknowledged, to Engineering Manager, step 3
            to: expected CTO, found Engineering Manager
            step: expected 4, found 3
        + at 15m, incident 1 (ServiceDown on shop), rule p0-lasting, to CTO, step 4
      {file}:12:7: tests[0].expect.notifications: not found among 10:
        - at 2m, incident shop, kind opened, channel pager
        + at 0s, incident 1 (ServiceDown on shop), kind opened, channel pager, to On-call SRE
            at: expected 2m, found 0s
      not found among 10:
        - kind nothing
      must not be there: at 1m to 3m, channel pager, to what matches 'Lead.*'
        + at 2m, incident 1 (ServiceDown on shop), kind escalated, channel pager, to Lead SRE
      {file}:16:7: tests[0].expect.refused: expected 1, found 0
      {file}:7:7: tests[0].expect.pages: expected 3, found 4
        + at 0s, incident 1 (ServiceDown on shop), kind opened, channel pager, to On-call SRE
        + at 2m, incident 1 (ServiceDown on shop), kind escalated, channel pager, to Lead SRE
        + at 7m, incident 1 (ServiceDown on shop), kind escalated, channel pager, to Engineering Manager
        + at 15m, incident 1 (ServiceDown on shop), kind escalated, channel pager, to CTO
ok    {file}: It passes
1 passed, 1 failed
"""


def write(tmp_path: Path, text: str) -> Path:
    """A file of tests."""
    file = tmp_path / "some.yaml"
    file.write_text(text)
    return file


def steps(text: str) -> str:
    """A file with one test that has these steps."""
    return f"tests:\n  - name: x\n    do: [{text}]\n    expect: {{pages: 0}}\n"


def expecting(text: str) -> str:
    """A file with one test that expects this of a P2 that nobody takes for ten minutes."""
    fired = "{at: 0s, fire: {alertname: A, severity: warning, component: c}}, {at: 10m}"
    return f"tests:\n  - name: x\n    do: [{fired}]\n    expect: {text}\n"


def test_the_shipped_tests_pass(capsys: pytest.CaptureFixture[str]) -> None:
    """They say of the shipped policy what the procedure says, and are examples."""
    assert main(["policy", "test", str(SHIPPED)]) == 0

    *lines, last = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok    ") for line in lines)
    assert last == f"{len(lines)} passed, 0 failed"
    assert len(lines) > 50


def test_they_reach_every_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No entry of the shipped policy could be wrong unnoticed.

    Of one that is new it is told that no test reaches it.
    """
    whole = main(["policy", "test", str(SHIPPED), "--coverage"])
    lines = capsys.readouterr().out.splitlines()
    new = "  - {match: ['component=\"x\"'], team: ai}\ndefault_owner: inf"
    policy = changed(tmp_path, ("default_owner: inf", new))
    part = main(["policy", "test", str(SHIPPED), "--coverage", "--policy", str(policy)])
    more = capsys.readouterr().out.splitlines()
    main(["policy", "test", str(SHIPPED / "hours.yaml"), "--coverage", "--json"])
    said = json.loads(capsys.readouterr().out)

    assert (whole, part) == (0, 0)
    assert [line for line in lines[:-1] if not line.startswith("ok")] == []
    told = f"{place(policy, '{match: [' + chr(39) + 'component=' + chr(34) + 'x')}: ownership[19]: no test reaches it"
    assert [line for line in more[:-1] if not line.startswith("ok")] == [told]
    assert {"escalations[0]", "dependencies[2]", "correlations[1]"} <= {
        one["key"] for one in said["not_reached"]
    }
    assert "severities.rules[1]" not in {one["key"] for one in said["not_reached"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "failing"),
    [
        ("P0: [2m, 5m, 10m]", "P0: [3m, 5m, 10m]", "A P0 that nobody takes climbs the whole chain, after 2, 5 and 10 minutes"),
        ("lasting: 15m", "lasting: 20m", "Trigger 1, a P0 that lasts for 15 minutes climbs though somebody has taken it"),
        ("count: 2, by: [component]", "count: 3, by: [component]", "Trigger 2, two P1 of one component within 15 minutes"),
        ("class: security, always", "class: security, severity: [P3], always", "Trigger 3, security incidents escalate at onc"),
        ("  hours: [P3]\n", "  hours: []\n", "A P3 on a Saturday is told on Monday at nine in Berlin"),
        ("P1: [email, chat]", "P1: [chat]", "A P1 goes out at once by e-mail and chat, to the team and the critical channel;"),
        ("    also_notify: [ciso, legal]", "    also_notify: [ciso]", "A security incident has an id and a life of its own"),
        ("count: 3\n", "count: 4\n", "Three agents that are down within five minutes are one P1; the agents page nobody"),
        ("grace: 10m", "grace: 1h", "While Ollama is down its agents page nobody; one that outlives it does"),
        ("due: 48h", "due: 72h", "A P1 leaves three tasks; a P2 leaves none"),
        ("missing: 10m", "missing: 20m", "Alerting itself falls silent"),
        ("changes: 6", "changes: 60", "What comes and goes is told once"),
    ],
)  # fmt: skip
def test_they_notice_a_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, failing: str
) -> None:
    """Another policy can be tried on them, and what it does otherwise is told."""
    policy = changed(tmp_path, (before, after))

    status = main(["policy", "test", str(SHIPPED), "--policy", str(policy)])

    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert (status, [line for line in failed if failing in line]) == (
        1,
        failed[:1] if len(failed) == 1 else [*_with(failed, failing)],
    )
    assert _with(failed, failing)


def _with(lines: list[str], text: str) -> list[str]:
    return [line for line in lines if text in line]


def test_differences_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was expected, what was found instead, and where it stands in the file."""
    file = write(tmp_path, FAILING)

    assert main(["policy", "test", str(file)]) == 1
    assert capsys.readouterr().out == SAID.format(file=file)


def test_junit_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both have each test, with its file, line and what was not as expected."""
    file, xml = (
        write(tmp_path, FAILING.replace("The wrong order", '"The <wrong> & \\e[1m"')),
        tmp_path / "junit.xml",
    )

    assert main(["policy", "test", str(file), "--json", "--junit", str(xml)]) == 1

    answer = json.loads(capsys.readouterr().out)
    suites = ET.parse(xml).getroot()
    assert {name: suites.get(name) for name in ("tests", "failures")} == {
        "tests": "2",
        "failures": "1",
    }
    cases = [
        (case.get("name"), case.get("line"), [one.tag for one in case])
        for case in suites.iter("testcase")
    ]
    assert cases == [
        ("The <wrong> & \N{REPLACEMENT CHARACTER}[1m", "2", ["failure"]),
        ("It passes", "17", []),
    ]
    failure = suites.find(".//failure")
    assert failure is not None
    assert failure.get("message") == f"{file}:11:7: tests[0].expect.incidents: expected 2, found 1"
    assert (answer["passed"], answer["failed"]) == (1, 1)
    assert [(one["line"], one["passed"], len(one["problems"])) for one in answer["tests"]] == [
        (2, False, 5),
        (17, True, 0),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\ntests: [{name: x, do: [{at: 0s}], expect: {pages: 0}}]", ":1:1: a: is not a key that there is here, must be o"),
        ("tests: []", ":1:1: tests: is [], must have at least 1 item"),
        ("tests: [{name: x, do: [{at: 0s}]}]", ":1:9: tests[0]: expects nothing, has to have `expect`"),
        (steps("{at: 1 m}"), ":3:11: tests[0].do[0].at: is '1 m', must be a duration such as 90s, 15m, 1h30m or 2d"),
        (steps("{at: 401d}"), ":3:11: tests[0].do[0].at: is 401d, must be at most 400d"),
        (steps("{at: 2m}, {at: 1m}"), ":3:21: tests[0].do[1].at: is 1m, must not be before the step above, 2m"),
        (steps("{at: 2m, fier: {a: b}}"), ":3:19: tests[0].do[0].fier: is not a key that there is here; did you mean 'fire'?"),
        (steps("{at: 0s, fire: {code: 500}}"), ":3:26: tests[0].do[0].fire.code: is 500, must be a valid string"),
        (steps("{at: 0s, fire: {a: b}, ack: 1}"), ":3:10: tests[0].do[0]: does several things, has to do one"),
        (steps("{at: 0s, text: b}"), ":3:10: tests[0].do[0]: has text without a command, such as `ack: 1`"),
        (steps("{at: 0s, ack: 0}"), ":3:19: tests[0].do[0].ack: is 0, must be an incident: 1 for the first that opened"),
        (steps("{at: 0s, silence: [x]}"), ":3:29: tests[0].do[0].silence[0]: is 'x', must be a matcher such as"),
        (
            "tests: [{name: x, start: 2026-01-07, do: [{at: 0s}], expect: {pages: 0}}]",
            ":1:19: tests[0].start: is datetime.date(2026, 1, 7), must be a time such as 2026-01-07T09:00:00+01:00",
        ),
        (
            "tests: [{name: x, start: 2026-01-07 09:00:00, do: [{at: 0s}], expect: {pages: 0}}]",
            ":1:19: tests[0].start: is '2026-01-07 09:00:00', must say its zone, such as Z or +01:00",
        ),
        (
            "tests: [{name: x, do: [{at: 0s}], expect: {pages: 0}}, {name: x, do: [{at: 0s}], expect: {pages: 0}}]",
            ":1:57: tests[1].name: is 'x', must be unique, and another one is called so",
        ),
        (expecting("{}"), ":4:5: tests[0].expect: says nothing, has to have one of incidents, escalations"),
        (expecting("{incidents: [{sevrity: P1}]}"), ":4:27: tests[0].expect.incidents[0].sevrity: is not a key that there is"),
        (expecting("{incidents: [{severity: P9}]}"), ":4:27: tests[0].expect.incidents[0].severity: is 'P9', must be 'P0', 'P"),
        (expecting("{timeline: {}}"), ":4:14: tests[0].expect.timeline: says nothing, has to be a list, or to have contains"),
        (expecting("{timeline: {contians: []}}"), ":4:25: tests[0].expect.timeline.contians: is not a key that there is here;"),
        (expecting("{timeline: [{at: 5}]}"), ":4:26: tests[0].expect.timeline[0].at: is 5, must be a time since the start suc"),
        (expecting("{timeline: [{text: {matches: (}}]}"), ":4:26: tests[0].expect.timeline[0].text: missing )"),
        (expecting("{timeline: [{text: {a: b}}]}"), ":4:33: tests[0].expect.timeline[0].text.a: is not a key that there is he"),
        ("policy: none.yaml\ntests: [{name: x, do: [{at: 0s}], expect: {pages: 0}}]", "none.yaml: cannot be read: No such fil"),
        ("tests: [", ":1:9: is not YAML: "),
    ],
)  # fmt: skip
def test_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, expected: str
) -> None:
    """A file that is no test is refused with file, line, column, key, found and expected, and nothing is played."""
    file = write(tmp_path, text)

    assert main(["policy", "test", str(file)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(
        f"tocsin: {file}{expected}"
        if expected.startswith(":")
        else f"tocsin: {tmp_path}/{expected}"
    ), err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            steps("{at: 0s, ack: 1}"),
            "acknowledge: is 1, must be an incident that has opened by then: none has opened",
        ),
        (
            steps(
                "{at: 0s, fire: {alertname: A, component: c}}, {at: 1m, update: nobody, text: x}"
            ),
            "update: is 'nobody', must be an incident that has opened by then: 1 (A on c)",
        ),
        (
            steps("{at: 0s, fire: {alertname: A, component: c}}, {at: 1m, note: 1}"),
            "text: is missing; Field required",
        ),
        (
            steps("{at: 0s, fire: {alertname: A, component: c}}, {at: 1m, assign: c, team: it}"),
            "team: is 'it', must be one of the policy's teams (infrastructure, ai, data, security, platform)",
        ),
        (
            steps('{at: 0s, fire: {alertname: ""}}'),
            "fire: has no label, must have at least one with a value",
        ),
    ],
)
def test_steps_that_cannot_be_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, expected: str
) -> None:
    """Such a test fails, with the step's place."""
    file = write(tmp_path, text)

    assert main(["policy", "test", str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(f"      {file}:3:")
    assert lines[1].endswith(expected)
    assert lines[2:] == ["      what follows was not played", "0 passed, 1 failed"]


def test_commands_and_silences(tmp_path: Path) -> None:
    """Every command can be given; what operators cannot do is refused, as in a real journal."""
    text = """\
tests:
  - name: all of them
    do:
      - {at: 0s, fire: {alertname: HighErrorRate, component: shop}}
      - {at: 1m, assess: shop, verdict: genuine, scope: a tenth}
      - {at: 2m, assign: HighErrorRate on shop, to: on-call-dba}
      - {at: 3m, note: 1, text: hm}
      - {at: 4m, escalate: 1, step: 3, text: we need a decision}
      - {at: 5m, update: 1, text: soon, eta: 30m}
      - {at: 6m, resolve: 1, text: it is over}
      - {at: 7m, reopen: 1, text: it is not}
      - {at: 8m, end: {alertname: HighErrorRate, component: shop}}
      - {at: 9m, close: 1}
      - {at: 10m, ack: 1}
    expect:
      incidents: [{state: closed, assignee: on-call-dba, acknowledged: 1m, by: ann, step: 3, reopened: 1, closed: 9m}]
      refused: [{at: 10m, reason: unknown_incident}]
      timeline:
        contains:
          - {at: 1m, kind: Assessed, by: ann, text: {contains: affects a tenth}}
          - {at: 4m, kind: Escalated, text: {contains: Engineering Manager}}
"""
    assert main(["policy", "test", str(write(tmp_path, text))]) == 0


def test_the_example_of_the_docs(tmp_path: Path) -> None:
    """It is a test that passes, beside the shipped policy."""
    docs = (default_path().parent.parent / "docs" / "POLICY_TESTS.md").read_text()
    text = docs.partition("```yaml\n")[2].partition("```")[0]
    file = write(tmp_path, text.replace("../default.yaml", str(default_path())))

    assert main(["policy", "test", str(file)]) == 0


def test_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder stands for all files of tests in it and below, each played once.

    One without any is a mistake.
    """
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    shutil.copytree(SHIPPED, full / "inner")
    shutil.copy(default_path(), full)
    (full / "inner" / "README").write_text("no test")
    shutil.copy(default_path(), full / "default.yaml")

    one = main(["policy", "test", str(full / "inner"), str(full / "inner" / "hours.yaml")])
    passed = capsys.readouterr().out.splitlines()[-1]
    other = main(["policy", "test", str(empty)])

    assert main(["policy", "test", str(SHIPPED)]) == one == 0
    assert capsys.readouterr().out.splitlines()[-1] == passed
    assert other == 1
