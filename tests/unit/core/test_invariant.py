"""No P0 or P1 is silent: the invariant holds over random journals and policies."""

from random import Random

import pytest

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from models.command import Command
from models.journal import TICK, encode_command, encode_silence
from models.matcher import parse_matcher
from models.silence import Silence
from tests.oracle.policies import POLICIES
from tests.support.example_counts import examples
from tests.support.invariant import Watched
from tests.support.scenario import START_MS, alert_record

NAMES = ("ServiceDown", "HighErrorRate", "AgentDown", "Odd", "Slow", "DataLoss")
SEVERITIES = ("critical", "high", "warning", "info")
COMPONENTS = ("a", "b", "c")
WAITS = (0, 0, 1000, 7000, 20_000, 60_000, 120_000, 240_000, 310_000, 700_000)
KINDS = (
    "fire",
    "fire",
    "fire",
    "fire",
    "again",
    "end",
    "end",
    "flap",
    "command",
    "silence",
    "tick",
)
MATCHERS = ('component="a"', 'alertname="Odd"', 'severity="critical"')
COMMANDS = (Command.ACKNOWLEDGE, Command.ACKNOWLEDGE, Command.UPDATE, Command.NOTE, Command.RESOLVE)
FLAPPING = {"changes": 4, "within": "20m", "stable_after": "7m"}
RULES = {
    "default": POLICIES["default"],
    "linked": POLICIES["linked"],
    "relinked": POLICIES["relinked"],
    "patient": POLICIES["patient"],
    "patient storms": POLICIES["patient storms"],
    "flapping": CompiledPolicy(POLICIES["linked"].document | {"flapping": FLAPPING}),
    "odd roots": CompiledPolicy(
        POLICIES["default"].document
        | {
            "dependencies": [
                {
                    "name": "needs-odd",
                    "root": ['alertname="Odd"'],
                    "dependants": ['alertname=~"ServiceDown|HighErrorRate"'],
                    "within": "10m",
                    "correlation_wait": "10s",
                    "grace": "10m",
                }
            ]
        }
    ),
    "urgent agents": CompiledPolicy(
        POLICIES["linked"].document
        | {
            "correlations": [
                {
                    "name": "agents-down",
                    "match": ['alertname=~"AgentDown|ServiceDown|HighErrorRate"'],
                    "count": 2,
                    "by": [],
                    "within": "5m",
                    "correlation_wait": "1m",
                    "open": {"severity": "P1", "owner": "ai", "title": "{count} down"},
                }
            ]
        }
    ),
}


class Story:
    """A random story that an engine is told."""

    def __init__(self, of: Random, rules: CompiledPolicy) -> None:
        self.of = of
        self.watched = Watched(Engine(0, rules), START_MS)
        self.rules = rules
        self.told: list[dict[str, str]] = []

    def step(self) -> None:
        """Let something happen after a while."""
        self.watched.pass_time(self.of.choice(WAITS))
        at_ms = self.watched.now_ms
        match self.of.choice(KINDS):
            case "fire":
                names = (NAMES, COMPONENTS, SEVERITIES, ("h1", "h2"))
                values = [self.of.choice(one) for one in names]
                labels = ("alertname", "component", "severity", "instance")
                self.told.append(dict(zip(labels, values, strict=True)))
                self._alert(self.told[-1], firing=True)
            case "again" | "end" | "flap" as kind if self.told:
                labels_of = self.of.choice(self.told[-4:])
                self._alert(labels_of, firing=kind == "again")
                if kind == "flap":
                    self._alert(labels_of, firing=True)
            case "command":
                incidents = sorted(self.watched.engine.state.incidents)
                if incidents:
                    command = self.of.choice(COMMANDS)
                    value = encode_command(command, self.of.choice(incidents), "ann", text="hm")
                    self.watched.feed(value, b"", at_ms)
            case "silence":
                matchers = (parse_matcher(self.of.choice(MATCHERS)),)
                ends_ms = at_ms + self.of.choice((60_000, 300_000))
                silence = Silence(f"s{len(self.told)}", matchers, at_ms, ends_ms, "ann", "known")
                self.watched.feed(encode_silence(silence), None, at_ms)
            case _:
                self.watched.feed(TICK, None, at_ms)

    def end(self) -> list[str]:
        """Let time pass, end all alerts, and return what was wrong."""
        self.watched.pass_time(900_000)
        for labels in self.told:
            self._alert(labels, firing=False)
        self.watched.pass_time(2_400_000)
        over = [f"{alert.name}: over, and not named" for alert in self.watched.over.values()]
        return [*self.watched.violations, *over]

    def _alert(self, labels: dict[str, str], *, firing: bool) -> None:
        at_ms, component = self.watched.now_ms, labels["component"]
        record = alert_record(at_ms, labels, component, firing=firing, ttl_ms=7_200_000)
        self.watched.feed(record.value or b"", record.key, at_ms)


@pytest.mark.sampled
@pytest.mark.parametrize("policy", RULES)
def test_no_p0_or_p1_is_silent(policy: str) -> None:
    """Each that begins to fire is named in a waking message within group_interval, or is excused.

    What is over before that is named later.
    """
    found = []
    for number in range(examples(12)):
        story = Story(Random(f"invariant/{policy}/{number}"), RULES[policy])
        for _ in range(40):
            story.step()
        found += [f"story {number}: {text}" for text in story.end()]

    assert found == []
