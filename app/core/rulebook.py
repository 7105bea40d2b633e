"""The policy, compiled: the same decisions as functions, so that the engine asks and never interprets."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from models.alert import Labels
from models.matcher import Test, test_of
from models.policy import Contact, Correlation, Escalation, Guide, Policy
from models.severity import Severity

VERDICTS_MAX = 10_000  # that are remembered
OPERATIONS = "operations"  # the class of every incident that no class of the policy claims


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says about an alert's labels."""

    severity: Severity
    severity_found: str  # the label's value when the policy does not know it, else empty
    owner: str
    incident_class: str


@dataclass(frozen=True, slots=True)
class EscalationRule:
    """An automatic escalation and its test."""

    policy: Escalation
    test: Test

    def applies(self, severity: Severity, incident_class: str, labels: Labels) -> bool:
        """Whether an alert of this severity and class, with these labels, is one that the rule is about."""
        rule = self.policy
        if rule.severity and severity not in rule.severity:
            return False
        if rule.incident_class is not None and rule.incident_class != incident_class:
            return False
        return self.test(labels)


@dataclass(frozen=True, slots=True)
class CorrelationRule:
    """A windowed correlation and its test."""

    policy: Correlation
    test: Test

    @property
    def local(self) -> bool:
        """Whether one component's own records are all that it needs."""
        return self.policy.open is None

    def group(self, severity: Severity, component: str, owner: str, labels: Labels) -> str | None:
        """The values of `by` in one string, or None when the alert takes no part."""
        rule = self.policy
        if (rule.severity and severity not in rule.severity) or not self.test(labels):
            return None
        known = {"component": component, "owner": owner, "severity": str(severity)}
        values = [known.get(name) or labels.get(name, "") for name in rule.by]
        return ", ".join(values) if all(values) else None


class Rulebook:
    """A compiled policy. `document` is the policy as it was written, `fingerprint` its identity: 12 hex digits."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Compile a policy document. Raises pydantic's ValidationError."""
        policy = Policy.model_validate(document)
        self.policy = policy
        self.document = dict(document)
        canonical = orjson.dumps(self.document, option=orjson.OPT_SORT_KEYS)
        self.fingerprint = hashlib.sha256(canonical).hexdigest()[:12]
        self.component = _component_of(policy)
        self.lasting = [_compiled(rule) for rule in policy.escalations if rule.lasting is not None]
        self.always = [_compiled(rule) for rule in policy.escalations if rule.always]
        self.correlations = [CorrelationRule(rule, test_of(rule.match)) for rule in policy.correlations]
        self._severity_rules = [(test_of(rule.match), rule.severity) for rule in policy.severities.rules]
        self._owners = [(test_of(entry.match), entry.team) for entry in policy.ownership]
        self._classes = [(test_of(one.match), one) for one in policy.classes]
        self._judged_by = _judged_by(policy)
        self._verdicts: dict[tuple[str | None, ...], Verdict] = {}
        self._guides = [(test_of(guide.match), guide) for guide in policy.guides]
        self._class_by_name = {one.name: one for one in policy.classes}
        self._escalations = {rule.policy.name: rule for rule in [*self.lasting, *self.always]}
        self._correlations = {rule.policy.name: rule for rule in self.correlations}

    def judge(self, labels: Labels) -> Verdict:
        """Severity, owner and class of an alert with these labels."""
        seen = tuple([labels.get(name) for name in self._judged_by])
        verdict = self._verdicts.get(seen)
        if verdict is None:
            if len(self._verdicts) >= VERDICTS_MAX:
                self._verdicts.clear()
            verdict = self._verdicts[seen] = self._judge(labels)
        return verdict

    def _judge(self, labels: Labels) -> Verdict:
        severity, found = self._severity(labels)
        owner = next((team for test, team in self._owners if test(labels)), self.policy.default_owner)
        for test, one in self._classes:
            if test(labels):
                severity = min(severity, one.severity or severity)
                return Verdict(severity, found, one.owner or owner, one.name)
        return Verdict(severity, found, owner, OPERATIONS)

    def _severity(self, labels: Labels) -> tuple[Severity, str]:
        for test, severity in self._severity_rules:
            if test(labels):
                return severity, ""
        severities = self.policy.severities
        for name in severities.labels:
            found = labels.get(name, "")
            if found:
                known = severities.names.get(found) or severities.names.get(found.lower())
                return (known, "") if known else (severities.unknown, found)
        return severities.missing, ""

    def prefix(self, incident_class: str) -> str:
        """The prefix of an incident id of this class."""
        one = self._class_by_name.get(incident_class)
        return one.prefix if one else "INC"

    def also_tell(self, incident_class: str) -> list[Contact]:
        """Who is told of every incident of this class besides its owner."""
        one = self._class_by_name.get(incident_class)
        return [self.policy.contacts[name] for name in one.also_tell] if one else []

    def chain(self, owner: str) -> list[Contact]:
        """The contacts that are called for a team, first on call first."""
        return [self.policy.contacts[role] for role in self.policy.teams[owner].chain]

    def team_contact(self, owner: str) -> Contact:
        """The team's own address."""
        return self.policy.teams[owner].contact

    def owner_known(self, owner: str) -> str:
        """The owner if this policy has that team, else the default owner: a policy change may drop a team."""
        return owner if owner in self.policy.teams else self.policy.default_owner

    def guide(self, labels: Labels) -> Guide | None:
        """The response guide for an alert with these labels."""
        return next((guide for test, guide in self._guides if test(labels)), None)

    def escalation(self, name: str) -> EscalationRule | None:
        """The automatic escalation of that name, if this policy has it."""
        return self._escalations.get(name)

    def correlation(self, name: str) -> CorrelationRule | None:
        """The correlation of that name, if this policy has it."""
        return self._correlations.get(name)


def _judged_by(policy: Policy) -> list[str]:
    """The labels that a verdict depends on: alerts that agree in these have one verdict, which need be found once."""
    selectors = [rule.match for rule in policy.severities.rules] + [entry.match for entry in policy.ownership]
    selectors += [one.match for one in policy.classes]
    names = {matcher.label for selector in selectors for matchers in selector for matcher in matchers}
    return sorted(names | set(policy.severities.labels))


def _compiled(rule: Escalation) -> EscalationRule:
    return EscalationRule(rule, test_of(rule.match))


def _component_of(policy: Policy) -> Callable[[Labels, str], str]:
    """A function from labels and their fingerprint to a component.

    When no label says anything, the alert is a component of its own: strangers are never lumped into one incident.
    """
    names, absent = policy.components.labels, frozenset(policy.components.absent) | {""}

    def component(labels: Labels, identity: str) -> str:
        for name in names:
            value = labels.get(name, "")
            if value not in absent:
                return value
        return f"{labels.get('alertname', 'unnamed')}/{identity}"

    return component
