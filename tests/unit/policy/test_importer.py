"""Alertmanager configurations become policies.

What is carried over, what is said, what is refused.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.main import main
from app.cli.policy_import import import_policy
from app.core.rules.compiled_policy import CompiledPolicy
from app.files import bounded_yaml, policy_file
from app.files.yaml_file import MAX_BYTES, BadFile
from app.policy.importer import label_matchers, nodes, notices, reader
from app.policy.importer.nodes import Node
from app.policy.importer.reader import _split_weekdays
from app.policy.importer.writer import format_duration, quote_yaml
from app.transport.log import StoredRecord
from models.effect import Stream
from models.journal import TICK
from models.matcher import Matcher, Operator, parse_matcher
from models.matcher import test_of as fits
from models.policy.time_interval import TimeSpan
from models.text.duration import parse_ms
from tests.support.alertmanager_routes import configuration, label_sets, policy_of, routes_of, told
from tests.support.example_counts import FACTOR, examples
from tests.support.scenario import START_MS, alert_record, in_one_batch, play

DATA = Path(__file__).parents[2] / "data" / "alertmanager"
FILES = ("everything", "newer")


@pytest.mark.parametrize("name", FILES)
def test_golden(name: str) -> None:
    """The whole policy, with its comments and what could not be carried over."""
    text, _, _ = import_policy(DATA / f"{name}.yml")

    assert (DATA / f"{name}.yaml").read_text() == text


@pytest.mark.parametrize("name", FILES)
def test_the_policy_is_good(name: str) -> None:
    """`tocsin policy check` takes it, and it is the policy that was said to be made."""
    assert (
        policy_file.load_policy(DATA / f"{name}.yaml").fingerprint
        == import_policy(DATA / f"{name}.yml")[2]
    )


@pytest.mark.parametrize("name", FILES)
def test_no_secret_is_told(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys, passwords, URLs and the files that have them are in no output."""
    assert "SECRET-1" in (DATA / f"{name}.yml").read_text()
    for more in ([], ["--json"]):
        assert main(["policy", "import", str(DATA / f"{name}.yml"), *more]) == 0

    out, err = capsys.readouterr()

    assert "SECRET" not in out + err
    assert len(out) > 10_000


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_dropped_silently(name: str) -> None:
    """Each key of `global` and of a receiver is carried over with its line, or a finding says what becomes of it."""
    text, findings, _ = import_policy(DATA / f"{name}.yml")
    said = {line for finding in findings for line in finding.lines}
    said |= {int(line) for lines in re.findall(r"  # ([\d, ]+)", text) for line in lines.split(",")}
    top = nodes.read_top_node(DATA / f"{name}.yml", "").parts()

    deferred_notification = [
        node
        for key in ("global", "receivers")
        for node in _settings(top[key])
        if node.line not in said
    ]

    # The end of an incident is told anyway, and of receivers that nothing reaches it is said that
    # they are left out.
    left_out = [finding.key for finding in findings if finding.kind == "left out"]
    names = [f"receiver {node.parts()['name'].text()}" for node in top["receivers"].items()]
    kept = [
        node.where
        for node in deferred_notification
        if node.where[0] != "receivers" or names[int(node.where[1])] not in left_out
    ]
    assert [where for where in kept if where[-1] != "send_resolved"] == []


def _settings(node: Node) -> Iterator[Node]:
    """Keys down to those of an integration."""
    if isinstance(node.value, list):
        for one in node.items():
            yield from _settings(one)
    elif isinstance(node.value, dict) and len(node.where) < (
        4 if node.where[0] == "receivers" else 2
    ):
        for one in node.parts().values():
            yield from _settings(one)
    else:
        yield node


@pytest.mark.sampled
@pytest.mark.parametrize("seed", range(0, 100, 10))
def test_routes(tmp_path: Path, seed: int) -> None:
    """Whatever the tree, those are told whose routes notify.

    Hours and mute times are theirs where they agree in them.
    """
    for one in range(seed * FACTOR, seed * FACTOR + examples(2)):
        path = tmp_path / "alertmanager.yml"
        path.write_text(configuration(one))
        text, findings, _ = import_policy(path)
        policy, root = (
            CompiledPolicy(bounded_yaml.read_document(text).data),
            reader.read_configuration(path).route,
        )
        too_many = any("alternatives" in finding.why for finding in findings)

        for labels in label_sets(one, 20):
            routes = routes_of(root, labels)
            verdict = policy.evaluate(labels)

            assert told(policy, labels) == {route.receiver for route in routes}, labels
            assert bool(verdict.mutes) == all(route.mute for route in routes) or too_many, labels
            assert bool(policy.policy.teams[verdict.owner].hours) == all(
                route.active for route in routes
            ), labels


def test_a_component_does_not_hide_an_alert_of_others() -> None:
    """Alerts of one component that go to different receivers are of different classes.

    None joins the other's incident.
    """
    policy = policy_of(DATA / "everything.yml")
    alerts = [
        {"service": "web", "severity": severity, "alertname": "Slow"}
        for severity in ("info", "page", "critical")
    ]

    classes = [policy.evaluate(labels).incident_class for labels in alerts]

    assert len(set(classes)) == 3


def test_the_engine_tells_them() -> None:
    """Under the policy the engine tells those of the routes, through what they have.

    Not while they are muted.
    """
    policy = policy_of(DATA / "everything.yml")
    alerts = [
        {"service": "web", "severity": severity, "alertname": "Slow"}
        for severity in ("info", "critical")
    ]
    records = [alert_record(START_MS, labels, "web") for labels in alerts]
    records.append(StoredRecord(-1, START_MS + parse_ms("1h"), None, TICK))

    _, effects = play(policy, records, in_one_batch)

    bodies = [
        orjson.loads(effect.value) for effect in effects if effect.stream is Stream.NOTIFICATIONS
    ]
    opened = {(body["channel"], body["address"]) for body in bodies if body["kind"] == "opened"}
    # The one of severity info waits: on the 15th of the month the route to `web` is muted.
    assert opened == {
        ("pager", "pagerduty/on call"),
        ("pager", "opsgenie/on call"),
        ("chat", "webhook/audit"),
    }


def test_many_routes_with_continue(tmp_path: Path) -> None:
    """Routes that multiply beyond what a policy should have are carried over without `continue`, and that is said of each."""
    routes = [
        {"receiver": "r", "matchers": [f'l{number}="x"'], "continue": True} for number in range(20)
    ]
    path = tmp_path / "alertmanager.yml"
    path.write_text(
        json.dumps(
            {
                "route": {"receiver": "d", "routes": routes},
                "receivers": [{"name": "d"}, {"name": "r"}],
            }
        )
    )

    _, findings, _ = import_policy(path)

    assert [len(finding.lines) for finding in findings if finding.key == "continue"] == [
        1
    ]  # JSON is one line
    assert {"d", "r"} == {
        name for labels in ({"l3": "x"}, {}) for name in told(policy_of(path), labels)
    }


_RECEIVERS = "receivers: [{name: a}, {name: b}]\n"
_NONE = ":1: is no Alertmanager configuration, which has a route and receivers"
_INTERVAL = f"route: {{receiver: a}}\n{_RECEIVERS}time_intervals:\n- name: t\n  time_intervals:\n"
_ROUTES = "route:\n  receiver: a\n  routes:\n"
_SPAN = ":6: time_intervals[0].time_intervals[0]"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a: [", [":1:5: is not YAML: expected the node content, but found '<stream end>'"]),
        ("[]", [": is list, must be a mapping of an Alertmanager configuration: route, receivers"]),
        (
            "",
            [": is NoneType, must be a mapping of an Alertmanager configuration: route, receivers"],
        ),
        (
            "groups: []",
            [f"{_NONE}; it looks like a file of Prometheus rules"],
        ),
        (
            f"route: {{receiver: c}}\n{_RECEIVERS}",
            [":1: route.receiver: is 'c', must be one of the receivers (a, b)"],
        ),
        (
            f"{_ROUTES}  - receiver: zzz\n    mute_time_intervals: [night]\n{_RECEIVERS}",
            [
                ":4: route.routes[0].receiver: is 'zzz', must be one of the receivers (a, b)",
                ":5: route.routes[0].mute_time_intervals[0]: is 'night', must be one of the time intervals (there are none)",
            ],
        ),
        (
            f"{_ROUTES}  - match_re: {{x: }}\n    receiver: b\n{_RECEIVERS}",
            [":4: route.routes[0].match_re.x: is empty, must be a text"],
        ),
        (
            f"route: {{}}\n{_RECEIVERS}",
            [":1: route: has no receiver, and the first route has to have one"],
        ),
        (f"route:\n{_RECEIVERS}", [":1: has an empty route, must have one with a receiver"]),
        (
            f"route: {{receiver: a, match: {{x: y}}}}\n{_RECEIVERS}",
            [
                ":1: route.match: stands in the first route, which has to take every alert at all times"
            ],
        ),
        (
            f"route: {{receiver: a, repeat: 1h}}\n{_RECEIVERS}",
            [":1: route.repeat: is not a key that a route of Alertmanager 0.34 has"],
        ),
        (
            f"route: {{receiver: a, group_wait: soon}}\n{_RECEIVERS}",
            [":1: route.group_wait: is 'soon', must be a duration such as 90s, 15m, 1h30m or 2d"],
        ),
        (
            f"{_ROUTES}  - matchers: ['x=~\"(\"']\n  - match_re: {{x: '(?=a)'}}\n  - matchers: [x]\n{_RECEIVERS}",
            [
                ":4: route.routes[0].matchers[0]: is '(', which is no regular expression: missing ): (",
                ":5: route.routes[1].match_re.x: is '(?=a)', which is no regular expression: invalid perl operator",
                ":6: route.routes[2].matchers[0]: is 'x', must be a matcher such as alertname=~",
            ],
        ),
        (
            "route: {receiver: a}\nreceivers:\n- name: a\n- name: a\n",
            [":4: receivers[1]: is called 'a', as another of the receivers is"],
        ),
        (
            _INTERVAL + "  - times: [{start_time: 22:00, end_time: 06:00}]\n",
            [f"{_SPAN}: times: begins when it ends, or later; a range past midnight is two"],
        ),
        (
            _INTERVAL + "  - {weekdays: [mo:fr], location: Mars}\n",
            [
                f"{_SPAN}: weekdays: is 'mo:fr', must be a day or a range",
                f"{_SPAN}: location: is 'Mars', must be a time zone",
            ],
        ),
        (
            f"route: {{receiver: a,\n receiver: b}}\n{_RECEIVERS}",
            [":2: route.receiver: stands twice, must stand once"],
        ),
    ],
)
def test_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, problems: list[str]
) -> None:
    """What is no Alertmanager configuration, or one that it would refuse, is told with its line, and nothing is written."""
    path, output = tmp_path / "alertmanager.yml", tmp_path / "policy.yaml"
    path.write_text(text)

    status = main(["policy", "import", str(path), "--output", str(output)])

    lines = capsys.readouterr().err.removeprefix("tocsin: ").splitlines()
    assert (status, output.exists(), len(lines)) == (1, False, len(problems))
    for line, problem in zip(lines, problems, strict=True):
        without_column = re.sub(rf"^{re.escape(str(path))}(:\d+):\d+", r"\1", line)
        assert without_column.startswith(problem) or line.startswith(f"{path}{problem}")


@pytest.mark.slow
def test_too_large(tmp_path: Path) -> None:
    """A file, or a policy of it, that is larger than a policy may be is refused."""
    path = tmp_path / "alertmanager.yml"
    path.write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(BadFile, match="has more than 1048576 bytes"):
        import_policy(path)

    path.write_text(f"a: {'[' * 1000}")
    with pytest.raises(BadFile, match="is nested more than 32 deep"):
        import_policy(path)

    routes = [{"receiver": "r", "matchers": [f'a="{number}{"x" * 3000}"']} for number in range(300)]
    path.write_text(
        json.dumps({"route": {"receiver": "r", "routes": routes}, "receivers": [{"name": "r"}]})
    )
    assert path.stat().st_size < MAX_BYTES
    import_policy(path)  # it fits

    twice = {"receiver": "r", "matchers": ["severity=critical"], "continue": True}
    path.write_text(
        json.dumps(
            {"route": {"receiver": "r", "routes": [twice, *routes]}, "receivers": [{"name": "r"}]}
        )
    )
    with pytest.raises(
        BadFile, match=r"makes a policy of 1[0-9]{6} bytes, and one has at most 1048576"
    ):
        import_policy(path)


def test_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is there is left alone without --force.

    Programs get one JSON object, people the findings.
    """
    source, output = DATA / "everything.yml", tmp_path / "policy.yaml"
    output.write_text("mine")

    assert main(["policy", "import", str(source), "--output", str(output)]) == 1
    assert (
        capsys.readouterr().err == f"tocsin: {output}: is there already; --force writes over it\n"
    )
    assert output.read_text() == "mine"

    assert (
        main(["policy", "import", str(source), "--output", str(output), "--force", "--json"]) == 0
    )
    document = json.loads(capsys.readouterr().out)
    assert (document["policy"], document["output"]) == (None, str(output))
    assert document["findings"] == [finding.document() for finding in import_policy(source)[1]]
    assert output.read_text() == (DATA / "everything.yaml").read_text()

    assert main(["policy", "import", str(source)]) == 0
    out, err = capsys.readouterr()
    assert out == output.read_text()
    assert err.splitlines()[:-1] == notices.finding_lines(import_policy(source)[1])


def test_what_others_wrote_drives_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names with control characters, quotes and line ends stay inside comments, texts and the terminal."""
    evil = "x\x1b[31m\nversion: 2 # \u202e'\"\\"
    document = {
        "route": {"receiver": evil, "routes": [{"receiver": evil, "match": {"a": evil}}]},
        "receivers": [{"name": evil}],
    }
    path = tmp_path / "alertmanager.yml"
    path.write_text(json.dumps(document))

    assert main(["policy", "import", str(path), "--output", str(tmp_path / "p.yaml")]) == 0

    policy = policy_file.load_policy(tmp_path / "p.yaml")
    assert {team.contact.name for team in policy.policy.teams.values()} == {evil}
    assert policy.policy.classes[0].match == [[Matcher("a", Operator.EQUAL, evil)]]
    said = capsys.readouterr().err + (tmp_path / "p.yaml").read_text()
    assert [sign for sign in said if not sign.isprintable() and sign != "\n"] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a="b"', [("a", "=", "b")]),
        (" a = b ", [("a", "=", "b")]),
        ("{a=b,}", [("a", "=", "b")]),
        ("a=", [("a", "=", "")]),
        ("{}", []),
        ("", []),
        (r'a="b,c",d=~"\\d+",e!~f|g', [("a", "=", "b,c"), ("d", "=~", r"\d+"), ("e", "!~", "f|g")]),
        (r'a="\"x\"\n\y"', [("a", "=", '"x"\n\\y')]),
        (r"a=b\d", [("a", "=", r"b\d")]),
        ("a==b", [("a", "=", "=b")]),
        ('"a b"="c"', [("a b", "=", "c")]),
        ('"a"=~"b|c"', [("a", "=~", "b|c")]),
        ("zürich=eu", [("zürich", "=", "eu")]),
    ],
)
def test_matchers(text: str, expected: list[tuple[str, str, str]]) -> None:
    """Alertmanager's notations, the classic one and the one of 0.27."""
    assert [
        (one.label, str(one.operator), one.value) for one in label_matchers.read_matchers(text)
    ] == expected


@pytest.mark.parametrize("text", ["a", "=b", 'a="b', 'a="b"c', 'a=b"', "a b=c", '"a"="\\q"', "{a"])
def test_no_matchers(text: str) -> None:
    """What is no matcher is refused."""
    with pytest.raises(ValueError, match=r"^is "):
        label_matchers.read_matchers(text)


_SIGNS = st.text(alphabet='ab"\\n \n.+d|()[]?', max_size=8)


@given(_SIGNS, st.sampled_from(Operator), st.lists(_SIGNS, max_size=5))
def test_written_matchers(value: str, operator: Operator, values: list[str]) -> None:
    """In a policy's notation a matcher fits the same values."""
    try:
        matcher = label_matchers.make_matcher("a", operator, value)
        text = label_matchers.format_matcher(matcher)
    except (ValueError, label_matchers.NotExpressible):
        return

    before, after = fits([[matcher]]), fits([[parse_matcher(text)]])
    assert [before({"a": one}) for one in (*values, value)] == [
        after({"a": one}) for one in (*values, value)
    ]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_quoted_texts(text: str) -> None:
    """A text is read back from YAML as it was."""
    assert bounded_yaml.read_document(f"a: {quote_yaml(text)}  # 1").data == {"a": text}


@given(st.integers(min_value=0, max_value=10**12))
def test_durations(duration_ms: int) -> None:
    """A duration is written exactly."""
    assert parse_ms(format_duration(duration_ms)) == duration_ms


def test_weekdays() -> None:
    """Alertmanager's week begins on Sunday: a range from there is the same days here."""
    days = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
    for first in range(7):
        for last in range(first, 7):
            span = TimeSpan.model_validate(
                {"weekdays": _split_weekdays(f"{days[first].title()}:{days[last]}")}
            )
            fitting = {number for begin, end in span.weekdays for number in range(begin, end + 1)}
            assert fitting == {day or 7 for day in range(first, last + 1)}
