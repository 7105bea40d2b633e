"""Which rules that keep alerts quiet can lead back to each other.

A dependency, an inhibition or a correlation lets a cause keep others quiet. Where what one rule
keeps quiet can be the cause in another, and so on back to the first, alerts could keep each other
quiet and nobody would be notified. Alerts that can be part of such a cycle are kept quiet only by
what has fired longer than they have, so that what has fired longest is always notified.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from app.core.rules.overlap import Alternatives, overlaps
from models.alert import Labels
from models.matcher import Matcher, Operator
from models.policy.policy import Policy
from models.policy.rules import Correlation

RULE_LABEL = "rule"  # that only incidents have which a rule opened


class SuppressionGraph:
    """The rules of a policy by name, and which of them can lead to which.

    A rule leads to another when what it keeps quiet may be a cause in the other.
    """

    def __init__(self, policy: Policy) -> None:
        self._causes: dict[str, Alternatives] = {}
        self._targets: dict[str, Alternatives] = {}
        self.correlations: dict[str, Correlation] = {}  # those that open incidents
        for rule in policy.dependencies:
            self._causes[rule.name], self._targets[rule.name] = rule.root, rule.dependants
        for inhibition in policy.inhibit_rules:
            self._causes[inhibition.name] = inhibition.source_matchers
            self._targets[inhibition.name] = inhibition.target_matchers
        for correlation in policy.correlations:
            if correlation.open is not None:
                self.correlations[correlation.name] = correlation
                self._causes[correlation.name] = [_incident_of(correlation.name)]
                self._targets[correlation.name] = _members_of(correlation)

    @cached_property
    def leads_to(self) -> Mapping[str, frozenset[str]]:
        """The rules that each rule leads to, directly or through others."""
        direct = {name: self._direct(name) for name in self._causes}
        return {name: _reached(direct, name) for name in direct}

    def _direct(self, name: str) -> list[str]:
        targets = [_with_alertname(matchers) for matchers in self._targets[name] or [[]]]
        return [
            other
            for other, causes in self._causes.items()
            if other != name and overlaps(targets, causes)
        ]

    def in_cycle(
        self, labels: Labels, links: Iterable[tuple[str, str]], correlations: Iterable[str]
    ) -> bool:
        """Whether an alert may be part of a cycle.

        `links` are the rules that it takes part in, each with its side; `correlations` those that
        it can be a member of.
        """
        sides = list(links)
        causes = {name for name, side in sides if side != "target"}
        if labels.get(RULE_LABEL) in self.correlations:
            causes.add(labels[RULE_LABEL])
        targets = {name for name, side in sides if side != "source"}
        targets |= {name for name in correlations if name in self.correlations}
        return bool(causes and targets) and any(
            not self.leads_to[name].isdisjoint(targets) for name in causes
        )

    def cycles(self) -> list[list[str]]:
        """Groups of rules of which each leads to each, in the order of the policy."""
        groups: list[list[str]] = []
        for name, reached in self.leads_to.items():
            if name in reached and not any(name in group for group in groups):
                back = [other for other in reached if name in self.leads_to[other]]
                groups.append([other for other in self._causes if other in back])
        return groups


def _reached(direct: Mapping[str, Sequence[str]], name: str) -> frozenset[str]:
    reached: set[str] = set()
    waiting = list(direct[name])
    while waiting:
        other = waiting.pop()
        if other not in reached:
            reached.add(other)
            waiting += direct[other]
    return frozenset(reached)


def _with_alertname(matchers: Sequence[Matcher]) -> Sequence[Matcher]:
    """The matchers, and the alertname of an incident that a rule opened: the rule's name."""
    return [
        *matchers,
        *(
            Matcher("alertname", Operator.EQUAL, matcher.value)
            for matcher in matchers
            if matcher.label == "rule" and matcher.operator is Operator.EQUAL and matcher.value
        ),
    ]


def _incident_of(name: str) -> list[Matcher]:
    """What all incidents that a correlation opens have in common."""
    return [Matcher(label, Operator.EQUAL, name) for label in ("alertname", "rule")]


def _members_of(correlation: Correlation) -> Alternatives:
    steps = correlation.sequence or [correlation.match]
    no_incident = Matcher("rule", Operator.EQUAL, "")
    return [[*matchers, no_incident] for step in steps for matchers in (step or [[]])]
