"""What an imported policy means: how it groups, how long it waits by route, and what was around the file."""

import base64
import gzip
import itertools
from pathlib import Path

import orjson
import pytest

from app.cli.policy_import import import_policy
from app.core.rules.compiled_policy import CompiledPolicy
from app.files import bounded_yaml
from app.files.yaml_file import BadFile
from app.policy.importer.notices import Finding
from app.transport.log import StoredRecord
from models.effect import Stream
from models.journal import TICK
from models.severity import Severity
from models.text.duration import parse_ms
from tests.support.scenario import START_MS, alert_record, in_one_batch, play

RECEIVERS = "receivers: [{name: a, webhook_configs: [{url: http://x}]}, {name: b}]\n"
LABELS = ("alertname", "namespace", "service", "job", "instance", "pod", "cluster", "team")


def imported(tmp_path: Path, text: str) -> tuple[CompiledPolicy, list[Finding]]:
    """The policy that a configuration becomes, and what is said of it."""
    path = tmp_path / "alertmanager.yml"
    path.write_text(text)
    written, findings, _ = import_policy(path)
    return CompiledPolicy(bounded_yaml.read_document(written).data), findings


@pytest.mark.parametrize(
    "group_by",
    [
        ["namespace"],
        ["alertname", "cluster", "service"],
        ["alertname"],
        ["job", "instance"],
        ["pod"],
        ["team", "alertname"],
        ["..."],
    ],
)
def test_groups_that_were_apart_stay_apart(tmp_path: Path, group_by: list[str]) -> None:
    """Alerts of two groups are in two places, and those of one group in one, but for what is always apart."""
    policy, _ = imported(
        tmp_path, f"route: {{receiver: a, group_by: {group_by}}}\n{RECEIVERS}".replace("'", '"')
    )
    always = {"cluster", "namespace"}
    sets = [
        {name: f"{name}-{'xy'[bit]}aa" for name, bit in zip(LABELS, bits, strict=True)}
        for bits in itertools.product((0, 1), repeat=len(LABELS))
    ]

    places: dict[object, set[tuple[str, ...]]] = {}
    for number, labels in enumerate(sets):
        told_apart = LABELS if group_by == ["..."] else LABELS and (*group_by, *always)
        group = tuple(labels[name] for name in LABELS if name in told_apart)
        places.setdefault(policy.place(labels, f"{number:016x}").key, set()).add(group)

    assert [groups for groups in places.values() if len(groups) != 1] == []
    assert len(places) == len({group for groups in places.values() for group in groups})


def test_a_severity_does_not_group(tmp_path: Path) -> None:
    """An alert whose severity changes stays in its incident, and that is said."""
    policy, findings = imported(
        tmp_path, f"route: {{receiver: a, group_by: [service, severity, replica]}}\n{RECEIVERS}"
    )

    places = {
        policy.place({"service": "s", "severity": severity}, "0").key
        for severity in ("critical", "warning")
    }
    assert len(places) == 1
    assert any("severity, replica" in finding.why for finding in findings)


def test_each_route_has_its_own_waits(tmp_path: Path) -> None:
    """Alerts of a route wait as the route says, whatever their severity."""
    policy, findings = imported(
        tmp_path,
        f"""
route:
  receiver: a
  group_wait: 45s
  group_interval: 2m
  repeat_interval: 4h
  routes:
  - {{matchers: [team="quick"], group_wait: 0s, repeat_interval: 10m}}
  - {{matchers: [team="slow"], group_interval: 1h, repeat_interval: 61m}}
  - {{matchers: [service="db"], receiver: b, group_wait: 1m}}
{RECEIVERS}""",
    )

    waits: dict[str, set[tuple[int, int, int]]] = {}
    for labels in ({"team": "quick"}, {"team": "slow"}, {"service": "db"}, {"team": "other"}):
        for severity in Severity:
            name = policy.evaluate(labels).incident_class
            waits.setdefault(str(labels), set()).add(
                (
                    policy.group_wait_ms(severity, name),
                    policy.group_interval_ms(name),
                    policy.repeat_interval_ms(severity, name),
                )
            )

    assert list(waits.values()) == [
        {tuple(map(parse_ms, times))}
        for times in (
            ("0", "2m", "10m"),
            ("45s", "1h", "2h"),
            ("1m", "2m", "4h"),
            ("45s", "2m", "4h"),
        )
    ]
    assert [finding.key for finding in findings if "times of the last" in finding.why] == []


PINGED = """
route:
  receiver: b
  routes:
  - {matchers: [alertname="Watchdog"], receiver: a, group_interval: 1m, repeat_interval: 50s}
"""


def test_a_receiver_that_is_pinged_becomes_a_heartbeat(tmp_path: Path) -> None:
    """Its alert opens nothing while it is received, its absence does, and it is said that Tocsin itself is not watched."""
    policy, findings = imported(tmp_path, PINGED + RECEIVERS)

    (rule,) = policy.policy.heartbeats
    assert policy.evaluate({"alertname": "Watchdog"}).heartbeat == rule.name == "heartbeat-a"
    assert policy.evaluate({"alertname": "Other"}).heartbeat == ""
    assert (rule.missing, rule.owner, rule.severity) == (parse_ms("5m"), "b", Severity.P0)
    assert any("Tocsin cannot tell you that it is down" in finding.instead for finding in findings)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("repeat_interval: 50s", "repeat_interval: 1h"),
        ('alertname="Watchdog"', 'severity="none"'),
        ('alertname="Watchdog"', 'alertname!="Watchdog"'),
        ("receiver: a, ", ""),
    ],
)
def test_other_receivers_become_no_heartbeat(tmp_path: Path, old: str, new: str) -> None:
    """What is repeated rarely, names no alert, or reaches people is a route like others."""
    policy, _ = imported(tmp_path, PINGED.replace(old, new) + RECEIVERS)

    assert policy.policy.heartbeats == []


PLAIN = f"route: {{receiver: a}}\n{RECEIVERS}"
_ENCODED = base64.b64encode(PLAIN.encode()).decode()
_PACKED = base64.b64encode(gzip.compress(PLAIN.encode())).decode()
_INDENTED = PLAIN.replace("\n", "\n    ")


@pytest.mark.parametrize(
    "text",
    [
        f"kind: Secret\nstringData:\n  alertmanager.yaml: |\n    {_INDENTED}\n",
        f"kind: Secret\ndata:\n  alertmanager.yml: {_ENCODED}\n",
        f"kind: Secret\ndata:\n  alertmanager.yaml.gz: {_PACKED}\n",
        f"kind: ConfigMap\ndata:\n  config.yml: |\n    {_INDENTED}\n",
        f"kind: ConfigMap\nbinaryData:\n  alertmanager.yaml: {_ENCODED}\n",
    ],
)
def test_a_kubernetes_object_is_opened(tmp_path: Path, text: str) -> None:
    """The policy is that of the configuration in it, and its head names both."""
    path = tmp_path / "secret.yaml"
    path.write_text(text)

    written, _, fingerprint = import_policy(path)

    plain = tmp_path / "alertmanager.yml"
    plain.write_text(PLAIN)
    assert fingerprint == import_policy(plain)[2]
    assert written.startswith("# Made from secret.yaml(")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kind: Secret\ndata: {}\n", "is a Secret without a configuration, must have one of"),
        ("kind: Secret\ndata: {alertmanager.yaml: '%'}\n", "which is not base64"),
        ("kind: Secret\ndata: {alertmanager.yaml.gz: aGk=}\n", "which is not gzip in base64"),
        (
            f"kind: Secret\ndata: {{alertmanager.yaml: {base64.b64encode(b'route: {}').decode()}}}\n",
            "(alertmanager.yaml):1:1: route: has no receiver",
        ),
        (
            "# a chart\nroute:\n  receiver: {{ .Values.receiver }}\n",
            ":3:1: begins an action of a template here",
        ),
        ("{% if x %}\nroute: {receiver: a}\n", ":1:1: begins an action of a template here"),
        ("route:\n  receiver: a\n  {{- with .x }}\n", ":3:1: begins an action of a template here"),
    ],
)
def test_what_is_around_it_is_named(tmp_path: Path, text: str, problem: str) -> None:
    """An object without a configuration is refused; a template of one gets a hint at the line where it begins."""
    path = tmp_path / "x.yaml"
    path.write_text(text)

    with pytest.raises(BadFile) as refusal:
        import_policy(path)

    assert problem in refusal.value.problems[0]


def test_one_sentence_a_kind(tmp_path: Path) -> None:
    """What is true of forty receivers, routes and severities is said once, with all their lines."""
    names = [f"r{number}" for number in range(40)]
    receivers = "".join(
        f"- {{name: {name}, webhook_configs: [{{url: 'http://x', send_resolved: false}}], "
        f"slack_configs: [{{channel: '{{{{ .x }}}}'}}]}}\n"
        for name in names
    )
    routes = "".join(f"  - {{receiver: {name}, matchers: [severity={name}]}}\n" for name in names)

    _, findings = imported(
        tmp_path, f"route:\n  receiver: r0\n  routes:\n{routes}receivers:\n{receivers}"
    )

    sentences = [(finding.why, finding.instead) for finding in findings]
    assert max(sentences.count(sentence) for sentence in sentences) > 30  # of one key each
    assert len(set(sentences)) < 12
    assert [len(finding.lines) for finding in findings if finding.key == "webhook_configs"] == [40]


def test_labels_in_utf_8(tmp_path: Path) -> None:
    """A route may ask for any label that Alertmanager's UTF-8 notation can name."""
    policy, _ = imported(
        tmp_path,
        'route: {receiver: b, routes: [{receiver: a, matchers: [\'{"service.näme"=~"x|🙂","🔥"!="no"}\']}]}\n'
        + RECEIVERS,
    )

    assert policy.evaluate({"service.näme": "🙂", "🔥": "yes"}).owner == "a"
    assert policy.evaluate({"service.näme": "🙂", "🔥": "no"}).owner == "b"


def test_the_engine_waits_by_route(tmp_path: Path) -> None:
    """Each incident is notified when its route says, and again when its route says."""
    policy, _ = imported(
        tmp_path,
        f"""
route:
  receiver: a
  group_wait: 1m
  repeat_interval: 4h
  routes: [{{matchers: [team="quick"], group_wait: 5s, group_interval: 1m, repeat_interval: 3m}}]
{RECEIVERS}""",
    )
    alerts = [
        {"service": team, "team": team, "severity": "critical", "alertname": "Slow"}
        for team in ("quick", "other")
    ]
    records = [alert_record(START_MS, labels, labels["service"]) for labels in alerts]
    records.append(StoredRecord(-1, START_MS + parse_ms("4m"), None, TICK))

    _, effects = play(policy, records, in_one_batch)

    bodies = [
        orjson.loads(effect.value) for effect in effects if effect.stream is Stream.NOTIFICATIONS
    ]
    said = [(body["at"][14:19], body["kind"], body["title"][-5:]) for body in bodies]
    assert said == [
        ("06:45", "opened", "quick"),
        ("07:40", "opened", "other"),
        ("09:45", "repeated", "quick"),
    ]
