"""Random journals.

What may happen, and the records that it means for the engine and for the oracle.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from random import Random
from typing import Any

import orjson

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.policy.simulator import signal_record
from app.transport.log import StoredRecord
from models.alert import fingerprint
from models.command import Command
from models.effect import Effect, Stream
from models.journal import TICK, encode_alerts, encode_command, encode_policy, encode_silence
from models.matcher import parse_matcher
from models.silence import Silence
from tests.oracle.oracle import Naive
from tests.support.scenario import START_MS, alert_record

Step = tuple[Any, ...]
Alert = tuple[str, str, str]  # name, component, severity
STEPS_MAX = 50
SHOWN_MS = 1000  # after so long the newest snapshot shows everything
HOURLY_MS = 36_000_000  # an alert begins eleven times in these
NOBODYS = "INC-20240101T000000Z-000"  # an incident that never was

NAMES = ("AgentDown", "ServiceDown", "HighErrorRate", "Slow", "Odd", "BruteForce", "DataLoss")
MATCHERS = (
    'component=~"a|b"',
    'alertname="AgentDown"',
    'alertname=~"Slow|HighErrorRate"',
    'severity="warning"',
    'alertname!="ServiceDown"',
)
WAITS = (0, 0, 0, 1, 20_000, 60_000, 119_999, 240_000, 300_000, 900_000, 5_000_000, -60_000)
SHORT = (0, 0, 1, 7_000, 20_000, 60_000, 119_999, 240_000, 660_000)
ROUND = (0, 0, 60_000, 60_000, 120_000)  # what is due falls into the same moments
COMPONENTS = ("a", "b", "c", "c@here", "")  # the last but one is of a namespace
SEVERITIES = ("warning", "critical", "high", "info", "bespoke", "OK", "")
ALL = tuple(product(NAMES, COMPONENTS, SEVERITIES))
# Those of which rules are about one or the other: each is a root, a dependant, a step or a source
# of something.
FEW = (
    ("ServiceDown", "a", "warning"),
    ("ServiceDown", "b", "warning"),
    *(("AgentDown", component, "warning") for component in "abcabcabc"),
    ("HighErrorRate", "b", "warning"),
    ("HighErrorRate", "c", "info"),
    ("Slow", "b", "warning"),
    ("Slow", "c", "info"),
    ("Odd", "a", "warning"),
    ("Odd", "b", "warning"),
    ("Odd", "", "high"),
    ("AgentDown", "b@here", "warning"),
    ("Slow", "b@there", "warning"),
    ("DataLoss", "c", ""),
)
# Those that are near each other: in place, in kind, or in neither.
NEAR = (
    ("Slow", "a%h1.example.org:80", "warning"),
    ("Slow", "b%h1.example.org:81", "warning"),
    ("Slow", "c%h2", "warning"),
    ("Slow", "e%h3.example.org", "info"),
    ("Odd", "a%h1.example.org:80", "info"),
    ("Odd", "b%h1.example.org:81", "info"),
    ("Odd", "ollama%h2", "warning"),
    ("Errors", "c%h2", "warning"),
    ("Errors", "d%h2", "warning"),
    ("HighErrorRate", "b%h1.example.org", "warning"),
    ("ServiceDown", "d%h2", "warning"),
    ("BruteForce", "a%h1.example.org:80", "warning"),
)
AGENTS = FEW[2:5]  # three that are one incident of a rule
URGENT = tuple((name, "c", "high") for name in NAMES)  # several P1 of one component
ONE = tuple((name, "b", "warning") for name in ("AgentDown", "Slow"))  # of one incident
HOLDS = (0, 60_000, 300_000, 7_200_000)
LONG = (300_000, 7_200_000, 7_200_000, 7_200_000)
GARBAGE = (b"", b"[]", b"{}", b'{"alert":1}', b'{"command":[]}', b"\xff", b'{"x":1}')


@dataclass(frozen=True)
class Kinds:
    """What happens in a family of journals, of which alerts and at which distances.

    A kind named twice comes twice as often.
    """

    names: str
    alerts: Sequence[Alert] = ALL
    waits: Sequence[int] = WAITS
    holds: Sequence[int] = HOLDS
    policies: Sequence[str] = ("default",)
    commands: Sequence[Command] = tuple(Command)
    silences: int = 3
    matchers: Sequence[str] = MATCHERS
    begins: Sequence[int] = (-60_000, 0, 0, 60_000, 300_000)  # of silences, from when they are made
    ends: Sequence[int] = (-1, 60_000, 300_000, 4_000_000)

    def journal(self, of: Random) -> list[Step]:
        """A journal of 20 to 50 steps."""
        return [self._step(of) for _ in range(of.randint(20, STEPS_MAX))]

    def _step(self, of: Random) -> Step:
        kind, wait_ms = of.choice(self.names.split()), of.choice(self.waits)
        return kind, wait_ms, *self._details(of, kind)

    def _details(self, of: Random, kind: str) -> tuple[Any, ...]:
        match kind:
            case "fire" | "hourly":
                return of.choice(self.alerts), of.choice(self.holds)
            case "request":
                return tuple(self._part(of) for _ in range(of.randint(2, 4)))
            case "again":
                return of.randrange(10), of.random() < 0.5, of.choice(self.holds)
            case "end" | "flap":
                return (of.randrange(3),)
            case "command":
                return of.randrange(6), of.choice(self.commands)
            case "garbage":
                return (of.choice(GARBAGE),)
            case "beat":
                return of.choice("ad"), of.random() < 0.75
            case "done":
                return of.randrange(6), of.choice(["root-cause", "review"])
            case "silence":
                begins, ends = of.choice(self.begins), of.choice(self.ends)
                return of.randrange(self.silences), of.choice(self.matchers), begins, ends
            case "policy":
                return (of.choice(self.policies),)
            case _:
                return ()

    def _part(self, of: Random) -> tuple[Alert, int, bool]:
        """An alert of a request, and whether it ends if it fires."""
        return of.choice(self.alerts), of.choice(self.holds), of.random() < 0.4


def where(body: dict[str, Any]) -> str:
    """The component of a snapshot and its scope, as the oracle has them."""
    return f"{body['component']} ({body['scope']})" if body["scope"] else str(body["component"])


def cut_down(steps: list[Step], fails: Callable[[list[Step]], bool]) -> list[Step]:
    """As few of the steps as fail still, each at its old time where that matters."""
    place = len(steps) - 1
    while place >= 0:
        without = steps[:place] + steps[place + 1 :]
        later = list(without)
        if place < len(without):
            kind, wait_ms, *rest = without[place]
            later[place] = (kind, wait_ms + steps[place][1], *rest)
        steps, again = next(((one, True) for one in (without, later) if fails(one)), (steps, False))
        place = len(steps) - 1 if again else place - 1
    return steps


@dataclass
class Told:
    """A journal that both were told.

    What the engine made of it, one record after the other, and the oracle.
    """

    policy: CompiledPolicy
    naive: Naive
    engine: Engine
    records: list[StoredRecord] = field(default_factory=list)  # with what actors said to each other
    outside: list[int] = field(
        default_factory=list
    )  # for each of these, the number of the one from outside that caused it
    effects: list[Effect] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # the engine's incidents -> the oracle's
    heard: list[dict[str, str]] = field(default_factory=list)

    def feed(
        self, value: Callable[[str], bytes], key: bytes | None, at_ms: int, incident: str = ""
    ) -> None:
        """Tell both. A record is about an incident that each knows by another name."""
        ids = {name: known for known, name in self.names.items()}
        self.naive.feed(value(incident), at_ms)
        number = self.naive.number
        waiting = [StoredRecord(-1, at_ms, key, value(ids.get(incident, incident)))]
        while waiting:
            record = waiting.pop(0)
            record.offset = len(self.records)
            self.records.append(record)
            self.outside.append(number)
            effects = self.engine.apply([record])
            self.effects += effects
            waiting += [
                signal_record(effect, at_ms)
                for effect in effects
                if effect.stream is Stream.JOURNAL
            ]
            self._learn_names(effects)
        self.naive.order = {name: known for known, name in self.names.items()}

    def _learn_names(self, effects: list[Effect]) -> None:
        for effect in effects:
            if effect.stream is Stream.INCIDENTS:
                body = orjson.loads(effect.value)
                about = f"{where(body)}|{body['class']}"
                if body["incident"] not in self.names:
                    alike = sum(name.rpartition("|")[0] == about for name in self.names.values())
                    self.names[body["incident"]] = f"{about}|{alike}"


def told(policy: CompiledPolicy, rulebooks: dict[str, CompiledPolicy], steps: list[Step]) -> Told:
    """What the steps mean. A command is about an incident that the oracle knows by then."""
    one = Told(policy, Naive(policy.document), Engine(0, policy))
    at_ms = START_MS
    for kind, wait_ms, *rest in steps:
        at_ms += wait_ms
        _tell(one, rulebooks, kind, at_ms, rest)
        at_ms += HOURLY_MS if kind == "hourly" else 0
    _tell(one, rulebooks, "tick", at_ms + SHOWN_MS, [])  # the snapshots that waited
    return one


def _tell(
    one: Told, rulebooks: dict[str, CompiledPolicy], kind: str, at_ms: int, rest: list[Any]
) -> None:
    match kind:
        case "fire":
            alert, ttl_ms = rest
            _fire(one, at_ms, alert, ttl_ms)
        case "request":
            _request(one, at_ms, rest)
        case "hourly":
            (name, component, severity), _ = rest
            alert = (name, component.partition("%")[0], severity)
            for hour in range(11):
                _fire(one, at_ms + hour * HOURLY_MS // 10, alert, 300_001)
        case "again":
            number, firing, ttl_ms = rest
            labels = one.heard[-1 - number % len(one.heard)] if one.heard else {"alertname": "Slow"}
            _alert(one, at_ms, labels, firing=firing, ttl_ms=ttl_ms)
        case "flap":
            labels = (
                one.heard[-1 - rest[0] % len(one.heard)] if one.heard else {"alertname": "Slow"}
            )
            firing = any(
                alert.firing
                for alert in one.naive.alerts
                if alert.fingerprint == fingerprint(labels)
            )
            _alert(one, at_ms, labels, firing=not firing, ttl_ms=7_200_000)
        case "end":
            fires = [alert for alert in one.naive.alerts if alert.firing]
            if fires:
                labels = dict(fires[-1 - rest[0] % len(fires)].labels)
                _alert(one, at_ms, labels, firing=False, ttl_ms=0)
        case "command":
            _command(one, at_ms, *rest)
        case "beat":
            component, firing = rest
            _alert(
                one,
                at_ms,
                {"alertname": "Watchdog", "component": component},
                firing=firing,
                ttl_ms=600_000,
            )
        case "done":
            number, task = rest
            tasks = one.naive.tasks
            whose = tasks[-1 - number % len(tasks)].incident.id if tasks else NOBODYS
            one.feed(
                lambda name: encode_command(Command.DONE, name, "ann", task=task), b"", at_ms, whose
            )
        case "silence":
            number, matcher, starts_ms, lasts_ms = rest
            matchers = (parse_matcher(matcher),)
            begins_ms, ends_ms = (
                at_ms // 20_000 * 20_000 + after_ms for after_ms in (starts_ms, lasts_ms)
            )
            comment = ("Investigating", "ACK! known", "known")[(begins_ms // 20_000 + number) % 3]
            silence = Silence(
                f"s{number}", matchers, begins_ms, max(begins_ms, ends_ms), "ann", comment
            )
            one.feed(lambda _: encode_silence(silence), None, at_ms)
        case "policy":
            changed = rulebooks[rest[0]]
            one.feed(lambda _: encode_policy(changed.fingerprint, changed.document), None, at_ms)
        case _:
            one.feed(lambda _: rest[0] if rest else TICK, None, at_ms)


def _fire(one: Told, at_ms: int, alert: Alert, ttl_ms: int) -> None:
    labels = _labels_of(alert)
    one.heard.append(labels)
    _alert(one, at_ms, labels, firing=True, ttl_ms=ttl_ms)


def _labels_of(alert: Alert) -> dict[str, str]:
    name, component, severity = alert
    component, _, instance = component.partition("%")
    component, _, namespace = component.partition("@")
    labels = {"alertname": name, "component": component, "severity": severity}
    labels |= {"namespace": namespace, "instance": instance}
    return {label: value for label, value in labels.items() if value}


def _command(one: Told, at_ms: int, number: int, command: Command) -> None:
    known = one.naive.incidents
    whose = known[-1 - number % len(known)].id if known else NOBODYS
    to, step = ("on-call-sre", "nobody")[number % 2], (1, 2, 9)[number % 3]
    details: dict[str, Any] = {"to": to, "verdict": "genuine", "task": "review"}
    if command is Command.ESCALATE and number > 2:
        details |= {"step": step}
    if number == 5:
        details |= {"through": "link", "key": ("k1", "k2")[at_ms % 2]}
    ids = {name: engines for engines, name in one.names.items()}
    into = known[-1 - (number + 1) % len(known)].id if known else NOBODYS

    def value(name: str) -> bytes:
        other = into if name == whose else ids.get(into, into)
        return encode_command(command, name, "ann", text="hm", **details, into=other)

    one.feed(
        value,
        b"",
        at_ms,
        whose,
    )


def _request(one: Told, at_ms: int, alerts: list[tuple[Alert, int, bool]]) -> None:
    """Alerts of one request: those of the first one's component are one record, the others are left out."""
    fires = {known.fingerprint for known in one.naive.alerts if known.firing}
    parts, key = dict[str, bytes](), b""
    for alert, ttl_ms, over in alerts:
        labels = _labels_of(alert)
        firing = not over or fingerprint(labels) not in fires
        record = _record(one, at_ms, labels, firing=firing, ttl_ms=ttl_ms)
        key = key or record.key or b""
        if record.key == key and fingerprint(labels) not in parts:
            one.heard.append(labels)
            parts[fingerprint(labels)] = record.value or b""
    values = list(parts.values())
    one.feed(lambda _: encode_alerts(values), key, at_ms)


def _alert(one: Told, at_ms: int, labels: dict[str, str], *, firing: bool, ttl_ms: int) -> None:
    record = _record(one, at_ms, labels, firing=firing, ttl_ms=ttl_ms)
    one.feed(lambda _: record.value or b"", record.key, at_ms)


def _record(
    one: Told, at_ms: int, labels: dict[str, str], *, firing: bool, ttl_ms: int
) -> StoredRecord:
    component = one.policy.place(labels, fingerprint(labels)).key
    until_resolved = ttl_ms % 120_000 == 0
    more = {"ttl_ms": ttl_ms, "until_resolved": until_resolved}
    return alert_record(at_ms, labels, component, firing=firing, **more)
