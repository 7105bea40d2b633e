"""`tocsin policy explain`, `diff` and `routes`.

What a policy says, as people and as programs read it.
"""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from app.cli.main import main
from app.core.rules.compiled_policy import CompiledPolicy
from app.files.policy_file import default_path, load_policy
from app.policy.labels import parse_labels
from app.policy.readable import readable_policy
from app.policy.semantic_diff import policy_changes
from models.policy.policy import Policy
from tests.support.changed_policy import CHANGES, changed, line_of
from tests.support.shipped_policy import shipped

AT = "2026-12-25T03:00:00+01:00"
DEFAULT = default_path()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Status, and what was said."""
    try:
        status = main(["policy", *arguments])
    except SystemExit as end:
        status = int(end.code or 0)
    out, err = capsys.readouterr()
    return status, out, err


OWNER = 'alertname=~"(.*Agent.*|.*Ollama.*|.*Model.*|.*Inference.*|.*GPU.*)"'
EXPLAINED = f"""\
severity    P2: matches alertname=~".*AgentDown"  [severities.rules[3]]
component   planner: the label agent_name  [components.labels[2]]
owner       ai (AI Team): matches {OWNER}  [ownership[7]]
class       operations, INC-...
notified    after 5m   chat   AI Team (#ai)
            again every 4h while nobody takes it; of more alerts after 5m
chain       On-call AI Engineer > Lead AI Engineer > AI Team Lead > CTO
            after 1h5m step 2, Lead AI Engineer: Not acknowledged for 1h5m
            after 5h5m step 3, AI Team Lead: Not acknowledged for 5h5m
            after 13h5m step 4, CTO: Not acknowledged for 13h5m
escalates   scope-grew: becomes worse, or larger, after somebody took it  [escalations[5]]
            complaints: 3 complaints  [escalations[6]]
            sla-near: the clock to resolve it is near its end  [escalations[7]]
clocks      acknowledge within 1h, resolve within 1d
updates     every 15m; forgotten after 2 reminders
runbook     agent: The agent is {{component}}; see whether others are down: tocsin incidents list, and 5 more  [runbooks[4]]
services    ai-agents: down while it fires
rules       correlation agents-down: one of 3 within 5m, group ai  [correlations[1]]
            dependency needs-ollama: dependant  [dependencies[0]]
policy      {DEFAULT}, fingerprint {shipped().fingerprint}, at 2026-12-25T02:00:00.000Z
"""


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that an alert meets."""
    labels = "alertname=AgentDown,severity=critical,agent_name=planner"

    status, out, _ = run(capsys, "explain", "--labels", labels, "--at", AT)

    assert (status, re.sub(r", line \d+\]", "]", out)) == (0, EXPLAINED)


def test_explain_names_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Each decision is on the line that is named."""
    labels = "alertname=AgentDown,severity=critical,agent_name=planner"
    _, out, _ = run(capsys, "explain", "--labels", labels, "--json")
    said = json.loads(out)

    lines = DEFAULT.read_text().splitlines()
    starts = {
        "severity": "- {match: ['alertname=~\".*AgentDown\"'], severity: P2}",
        "component": "labels: [component, service, agent_name, ",
        "owner": f"- {{match: ['{OWNER}'], team: ai}}",
        "runbook": "- name: agent",
    }
    for name, start in starts.items():
        assert lines[said[name]["line"] - 1].strip().startswith(start)
    for one in [*said["escalations"], *said["rules"], *said["followups"]]:
        assert f"name: {one['name']}" in lines[one["line"] - 1]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (
            "severity=odd,x=y",
            "P2: the label severity is 'odd', which nobody declared  [severities.unknown, line",
        ),
        ("x=y", "P2: it has none of the labels severity, priority  [severities.missing, line"),
        ("priority=High,x=y", "P1: the label priority is 'High'  [severities.names.high, line"),
        ("x=y", "x: no label names one, so it is one of its own"),
        ("x=y", "infrastructure (Ops Team): no entry of ownership matches  [default_owner, line"),
        (
            "alertname=Intrusion",
            "P0: every incident of class security is at least P0  [classes[0].severity, line",
        ),
        (
            "alertname=Intrusion",
            "security (Security Team): every incident of class security is theirs  [classes[0].owner",
        ),
        ("alertname=Intrusion", "security, SEC-..."),
        ("alertname=Intrusion", "at once    email  Legal team (legal@sutazai.com)"),
        ("alertname=Intrusion", "at once    step 2, Security Team Lead: Intrusion on "),
        (
            "alertname=Intrusion",
            "correlation intrusion-then-data-loss: step 1 of 2 within 6h, group all",
        ),
        ("severity=P1,component=c", "correlation several-p1: one of 2 within 15m, group c"),
        ("alertname=NodeDown,severity=P0,instance=n", "inhibition node-down: source"),
        ("severity=info", "after 3d6h chat   Ops Team (#ops)"),
        ("alertname=Watchdog", "nobody: it is a heartbeat"),
        (
            "alertname=Watchdog",
            "heartbeat alerting-silent: heartbeat: P1 when it is not heard of for 10m",
        ),
        (
            "alertname=ServiceDown,component=c",
            "after 15m  step 4, CTO: ServiceDown on c has been firing for 15m",
        ),
        (
            "alertname=ServiceDown,component=c",
            "review, due 2d after it is resolved  [followups[1], line",
        ),
    ],
)
def test_why(capsys: pytest.CaptureFixture[str], labels: str, expected: str) -> None:
    """Each reason that there can be."""
    status, out, _ = run(capsys, "explain", "--labels", labels, "--at", "2026-12-25T03:00:00+01:00")

    assert status == 0
    assert [text for text in out.splitlines() if expected.removeprefix("x: ") in text], out


def test_explain_a_mute(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Mute rules are named, and what they do to the first message is played."""
    mute = (
        "  mute:\n    - {name: holidays, match: ['component=\"shop\"'], during: [business-hours]}\n"
    )
    file = changed(tmp_path, ("  hours: [P3]\n", f"  hours: [P3]\n{mute}"))
    asked = ("--labels", "alertname=A,component=shop,severity=P2", "--policy", str(file), "--json")

    status, out, _ = run(capsys, "explain", *asked, "--at", "2026-11-24T10:00:00+01:00")

    said = json.loads(out)
    assert status == 0
    assert [(one["kind"], one["name"], one["role"]) for one in said["rules"]] == [
        ("nearness", "near", "asked when its incident opens: what opened near it within 15m?"),
        ("mute", "holidays", "not told during business-hours"),
    ]
    assert said["notified"] == [
        {"after": "7h", "channel": "chat", "to": "Ops Team", "address": "#ops"}
    ]
    assert said["severity"] == {
        "is": "P2",
        "because": "the label severity is 'P2'",
        "key": "severities.names.p2",
        "line": line_of(file, "p2: P2"),
    }


@pytest.mark.parametrize(
    "text",
    [
        '{"alertname": "A", "severity": "P1"}',
        '{"labels": {"alertname": "A", "severity": "P1"}, "annotations": {}}',
        '[{"labels": {"alertname": "A", "severity": "P1"}}, {"labels": {"b": "c"}}]',
        '{"version": "4", "alerts": [{"labels": {"alertname": "A", "severity": "P1", "empty": ""}}]}',
    ],
)
def test_explain_an_alert(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    """In any of the shapes that it has elsewhere."""
    file = tmp_path / "alert.json"
    file.write_text(text)

    status, out, _ = run(capsys, "explain", "--alert", str(file), "--json")

    assert (status, json.loads(out)["labels"]) == (0, {"alertname": "A", "severity": "P1"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=b", {"a": "b"}),
        (' a = "b,c" , d=e=f', {"a": "b,c", "d": "e=f"}),
        (r'a="say \"x\""', {"a": 'say "x"'}),
        ("a=b,c=", {"a": "b"}),
    ],
)
def test_labels(text: str, expected: dict[str, str]) -> None:
    """As people write them; an empty one counts as absent."""
    assert parse_labels(text) == expected


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (
            ["--labels", "x"],
            2,
            "argument --labels: is 'x', must be labels such as severity=critical,component=postgres",
        ),
        (["--labels", "a=b,a=c"], 2, "argument --labels: is 'a=b,a=c', which has 'a' twice"),
        (
            ["--labels", ""],
            2,
            "argument --labels: has no label, must have at least one with a value",
        ),
        (
            ["--labels", "a=b", "--at", "noon"],
            2,
            "argument --at: is 'noon', must be a time such as 2026-12-25T03:00:00Z",
        ),
        (
            ["--labels", "a=b", "--at", "9999-12-31T23:59:59Z"],
            2,
            "argument --at: is '9999-12-31T23:59:59Z', must be before the year 9000",
        ),
        ([], 2, "one of the arguments --labels --alert is required"),
        (["--alert", "FILE"], 1, "FILE: has no label, must have at least one with a value"),
        (["--alert", "/none"], 1, "/none: cannot be read: No such file or directory"),
        (
            ["--labels", "a=b", "--policy", "/none"],
            1,
            "/none: cannot be read: No such file or directory",
        ),
    ],
)
def test_explain_refuses(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    expected: str,
) -> None:
    """What is found, and what is expected."""
    file = tmp_path / "alert.json"
    file.write_text("[{}]")
    asked = [str(file) if one == "FILE" else one for one in arguments]

    got, out, err = run(capsys, "explain", *asked)

    assert (got, out) == (status, "")
    assert expected.replace("FILE", str(file)) in err


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES)
def test_diff(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, expected: str
) -> None:
    """What means the same is the same; each change is told once, by name."""
    file = changed(tmp_path, (before, after))

    status, out, _ = run(capsys, "diff", str(DEFAULT), str(file))

    if expected:
        assert (status, [one for one in out.splitlines() if one.startswith(expected)] != []) == (
            1,
            True,
        ), out
        assert len(out.splitlines()) == (2 if expected.startswith("+") else 1)
    else:
        said = f"the same, though the files differ (fingerprints {shipped().fingerprint}, {load_policy(file).fingerprint})\n"
        assert (status, out) == (0, said)


def test_diff_of_the_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the first that matches decides, a place is part of the meaning; elsewhere it is not."""
    lines = DEFAULT.read_text().splitlines(keepends=True)
    for start, to in (("  - {match: ['team=~\"(ops", -4), ("  - {name: complaints,", -3)):
        place = next(number for number, text in enumerate(lines) if text.startswith(start))
        lines.insert(place + to, lines.pop(place))
    file = tmp_path / "policy.yaml"
    file.write_text("".join(lines))

    moved = '> ownership.[team=~"(ops|ops-team|sre|infra|infrastructure)"]: place 5 -> place 1\n'
    assert run(capsys, "diff", str(DEFAULT), str(file)) == (1, moved, "")


def test_diff_of_alerts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which alerts are judged otherwise: of a file of label sets, or of a file of tests."""
    file = changed(
        tmp_path,
        ("    critical: P0", "    critical: P1"),
        ("labels: [component, service", "labels: [site, component, service"),
        ("default_owner: infrastructure", "default_owner: ai"),
    )
    alerts = tmp_path / "alerts.jsonl"
    one = '{"severity": "critical", "component": "c", "site": "x"}'
    alerts.write_text(
        f'{one}\n\n{{"labels": {one}}}\n{{"alertname": "RedisDown", "component": "redis"}}\n'
    )

    status, out, _ = run(capsys, "diff", str(DEFAULT), str(file), "--alerts", str(alerts))
    tests = run(
        capsys,
        "diff",
        str(DEFAULT),
        str(file),
        "--alerts",
        str(DEFAULT.parent / "tests" / "severities.yaml"),
        "--json",
    )

    assert status == 1
    assert out.splitlines()[-2:] == [
        "1 of 2 alerts are judged otherwise:",
        "  severity=critical, component=c, site=x: severity P0 -> P1; owner infrastructure -> ai; component c -> x",
    ]
    said = json.loads(tests[1])
    assert {
        "kind": "changed",
        "key": "default_owner",
        "old": "infrastructure",
        "new": "ai",
    } in said["changes"]
    assert said["alerts"] == 24
    assert {
        "labels": {"alertname": "A", "severity": "critical", "component": "a"},
        "changed": {
            "severity": {"old": "P0", "new": "P1"},
            "owner": {"old": "infrastructure", "new": "ai"},
        },
    } in said["alerts_changed"]


@pytest.mark.parametrize(
    ("old", "new", "alerts", "expected"),
    [
        ("/none", "GOOD", None, "/none: cannot be read: No such file or directory"),
        ("GOOD", "BAD", None, "BAD:1:1: version: is missing, must be there"),
        (
            "GOOD",
            "GOOD",
            "BAD",
            "BAD:1:1: x: is not a key that there is here, must be one of policy, tests",
        ),
        ("GOOD", "GOOD", "LINES", "LINES:2:1: is not JSON: unexpected"),
    ],
)
def test_diff_in_trouble(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    alerts: str | None,
    expected: str,
) -> None:
    """Status 2, so that 1 means that they differ, as of diff."""
    files = {
        "GOOD": str(DEFAULT),
        "BAD": str(tmp_path / "bad.yaml"),
        "LINES": str(tmp_path / "alerts.jsonl"),
    }
    Path(files["BAD"]).write_text("x: 1")
    Path(files["LINES"]).write_text('{"a": "b"}\nx')
    asked = [] if alerts is None else ["--alerts", files[alerts]]

    status, out, err = run(capsys, "diff", files.get(old, old), files[new], *asked)

    name, _, rest = expected.partition(":")
    assert (status, out) == (2, "")
    assert f"{files.get(name, name)}:{rest}" in err


def test_everything_readable_is_a_policy() -> None:
    """What `diff` compares is the policy as it is: read again, it is the same one."""
    policy = shipped().policy
    document = readable_policy(policy)
    assert Policy.model_validate(_without_nothing(document)) == policy
    assert policy_changes(shipped(), CompiledPolicy(_without_nothing(document))) == []


def _without_nothing(value: Any) -> Any:
    """A document without the keys that are not set."""
    if isinstance(value, dict):
        return {name: _without_nothing(one) for name, one in value.items() if one is not None}
    return [_without_nothing(one) for one in value] if isinstance(value, list) else value


ROUTES = """\
├── how bad it is: through which channels, and when
│   ├── P0  pager, email, chat; also All hands, Critical alerts; notified at once; again every 30m; acknowledge within 2m; resolve within 1h
│   ├── P1  email, chat; also Critical alerts; notified at once; again every 1h; acknowledge within 15m; resolve within 4h
│   ├── P2  chat; notified after 30s; again every 4h; acknowledge within 1h; resolve within 1d
│   └── P3  chat; notified after 30s, in the hours of the team; again every 1d; acknowledge within 4h; resolve within 3d
└── whose it is: the first that matches decides
    ├── infrastructure  Ops Team: ops-team@sutazai.com, #ops; hours business-hours
    │   ├── what is theirs
    │   │   ├── 5. team=~"(ops|ops-team|sre|infra|infrastructure)"
    │   │   ├── rule alerting-silent
    │   │   └── whatever else there is
    │   └── who is called
    │       ├── 1  On-call SRE: pager ops-primary, ops-team@sutazai.com, #ops
    │       ├── 2  Lead SRE (after P0 2m, P1 15m, P2 1h): pager ops-lead, ops-team@sutazai.com, #ops
    │       ├── 3  Engineering Manager (after P0 5m, P1 30m, P2 4h): pager engineering-manager, engineering-manager@sutazai.com
    │       └── 4  CTO (after P0 10m, P1 1h, P2 8h): pager cto, cto@sutazai.com
    ├── ai  AI Team: ai-team@sutazai.com, #ai; hours business-hours
"""  # noqa: E501  as it is printed


def test_routes(capsys: pytest.CaptureFixture[str]) -> None:
    """The picture for a terminal; whoever pipes it on gets whole lines."""
    status, out, _ = run(capsys, "routes")

    assert (status, out.startswith(f"{DEFAULT}\n{ROUTES}")) == (0, True), out


def test_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that need nothing else, in which nothing of a policy is obeyed."""
    evil = '<script>alert("x")</script>&\\e[1m'
    file = changed(
        tmp_path, ("name: Ops Team,", f"name: '{evil}',"), ("name: CTO,", '"name": "\\e]0;x\\a",')
    )
    svg, page = tmp_path / "routes.svg", tmp_path / "routes.html"

    status, out, _ = run(capsys, "routes", str(file), "--svg", str(svg), "--html", str(page))

    drawn = ET.fromstring(svg.read_text())
    texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert (status, out) == (0, f"{svg}: written\n{page}: written\n")
    assert {
        "P0",
        "by pager, email, chat",
        "On-call DBA",
        "P0 after 2m",
        "pager data-primary",
        "whatever else there is",
    } <= set(texts)
    assert any(text and text.startswith('<script>alert("x') for text in texts)
    assert "\N{REPLACEMENT CHARACTER}]0;x\N{REPLACEMENT CHARACTER}" in texts
    for text in (svg.read_text(), page.read_text()):
        assert "<script" not in text
        assert "\x1b" not in text
        links = text.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
        assert "http" not in links
    assert "Content-Security-Policy\" content=\"default-src 'none';" in page.read_text()
