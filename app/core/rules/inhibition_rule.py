"""Dependencies and inhibitions, compiled: in both, targets keep quiet while a source fires."""

from dataclasses import dataclass
from typing import Literal

import orjson

from app.core.rules.rule_id import rule_id_of
from models.alert import Labels
from models.matcher import Test, test_of
from models.policy.policy import Policy
from models.policy.rules import Dependency, InhibitRule

Side = Literal["source", "target", "both"]

# How long the target of an inhibition waits for its source: it fires already, so all that is waited
# for is two hops through the journal. They take tens of milliseconds; a second is some room, and
# costs nobody his sleep or his service.
SIGNAL_WAIT_MS = 1000


@dataclass(frozen=True, slots=True)
class InhibitionRule:
    """One of them."""

    policy: Dependency | InhibitRule
    source: Test
    target: Test
    equal: tuple[str, ...]
    membership: bool  # targets become members of the source's incident: a dependency
    within_ms: int | None  # how long before its source a target may have fired; None is any time
    grace_ms: int  # how long a target may outlive its source before somebody is told of it
    correlation_wait_ms: int  # how long a target waits for its source before somebody is told of it
    rule_id: str  # which rule of this name it is (`app.core.rules.rule_id`)

    def side(self, labels: Labels) -> Side | None:
        """What an alert with these labels is in this rule.

        A root depends on nothing of its own rule.
        """
        source, target = self.source(labels), self.target(labels)
        if source and target:
            return "source" if self.membership else "both"
        return "source" if source else "target" if target else None

    def group(self, labels: Labels) -> str:
        """The values that have to be equal, in one string. An absent label is an empty one."""
        return orjson.dumps([labels.get(name, "") for name in self.equal]).decode()


def compile_inhibitions(policy: Policy) -> dict[str, InhibitionRule]:
    """The rules of a policy by name."""
    rules = [_compile_dependency(rule) for rule in policy.dependencies] + [
        _compile_inhibit_rule(rule) for rule in policy.inhibit_rules
    ]
    return {rule.policy.name: rule for rule in rules}


def _compile_dependency(rule: Dependency) -> InhibitionRule:
    source, target = test_of(rule.root), test_of(rule.dependants)
    rule_id = rule_id_of("dependency", rule, rule.name)
    return InhibitionRule(
        rule,
        source,
        target,
        tuple(rule.by),
        True,  # noqa: FBT003
        rule.within,
        rule.grace,
        rule.correlation_wait,
        rule_id,
    )


def _compile_inhibit_rule(rule: InhibitRule) -> InhibitionRule:
    source, target = test_of(rule.source_matchers), test_of(rule.target_matchers)
    rule_id = rule_id_of("inhibition", rule, rule.name)
    return InhibitionRule(
        policy=rule,
        source=source,
        target=target,
        equal=tuple(rule.equal),
        membership=False,
        within_ms=None,
        grace_ms=0,
        correlation_wait_ms=SIGNAL_WAIT_MS,
        rule_id=rule_id,
    )
