"""The policy, compiled: the same decisions as functions, so that the engine asks and never interprets.

What a policy says about an alert depends on its labels only, so it is found once for all alerts
whose labels the policy cannot tell apart (`app.core.rules.label_classes`).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import orjson

from app.core.rules.inhibition_rule import InhibitionRule, compile_inhibitions
from app.core.rules.label_classes import LabelClasses
from app.core.rules.nearness_rule import NearnessRule, compile_nearness
from app.core.rules.places import Places
from app.core.rules.rule_id import rule_id_of
from app.core.rules.suppression_graph import RULE_LABEL, SuppressionGraph
from models.alert import Labels
from models.matcher import Matcher, Test, test_of
from models.place import Place
from models.policy.policy import Contact, Policy, Runbook
from models.policy.rules import Correlation, Escalation, Heartbeat
from models.policy.time_interval import TimeSpan
from models.policy.types import KEPT, Where
from models.severity import Severity, severity_word

COMPILED_MAX = 8  # policies that are remembered: as many as are in force at once, a few
DECISIONS_MAX = 10_000  # that are remembered
SEEN_CHARACTERS_MAX = 1000  # of the labels of one that is remembered
OPERATIONS = "operations"  # the class of every incident that no class of the policy claims
EVERYTHING = "all"  # the group of a rule that groups by nothing


@dataclass(frozen=True, slots=True)
class PolicyDecision:
    """What the policy says about an alert's labels."""

    severity: Severity
    severity_label: str  # the label's value when the policy does not know it, else empty
    owner: str
    incident_class: str
    runbook: str
    mutes: tuple[str, ...]
    services: tuple[str, ...]  # of availability targets, which are down while the alert fires
    heartbeat: str  # the rule that the alert is a heartbeat of
    always: bool  # it escalates always
    correlation_wait_ms: int  # how long an alert waits for a rule to explain it
    nearness: str  # the rule of nearness that is asked of its incident; empty is none
    first_wait_ms: int  # how long its incident's first message waits for either, unless urgent
    correlations: tuple[
        tuple[str, tuple[int, ...]], ...
    ]  # rule, and the steps of its sequence that it can be
    inhibitions: tuple[tuple[str, str], ...]  # rule, and the side of it: source, target or both
    in_cycle: bool  # only what has fired longer keeps it quiet (`app.core.rules.suppression_graph`)


@dataclass(frozen=True, slots=True)
class DecisionPlaces:
    """The places of a policy document that a verdict comes from.

    The keys and numbers that lead there.
    """

    severity: Where
    owner: Where
    incident_class: Where | None  # None where no class claims it
    runbook: Where | None


@dataclass(frozen=True, slots=True)
class EscalationRule:
    """An automatic escalation and its test."""

    policy: Escalation
    test: Test

    def applies(self, severity: Severity, incident_class: str, labels: Labels) -> bool:
        """Whether an alert of this severity and class, with these labels, is one that the rule is about."""
        return self.policy.covers(severity, incident_class) and self.test(labels)


@dataclass(frozen=True, slots=True)
class CorrelationRule:
    """A windowed correlation and its tests: one, or one for each step of a sequence."""

    policy: Correlation
    tests: tuple[Test, ...]
    # Which rule of this name it is (`app.core.rules.rule_id`). Its form is its sequence, and
    # whether it looks across.
    rule_id: str

    @property
    def local(self) -> bool:
        """Whether one component's own records are all that it needs."""
        return self.policy.open is None

    @property
    def count(self) -> int:
        """How many alerts it takes."""
        return self.policy.count or len(self.tests)

    def steps(self, labels: Labels) -> tuple[int, ...]:
        """What an alert with these labels can be in it; empty when it takes no part."""
        return tuple(number for number, test in enumerate(self.tests) if test(labels))

    def group(self, severity: Severity, place: Place, owner: str, labels: Labels) -> str | None:
        """The values of `by` in one string, or None when the alert takes no part."""
        rule = self.policy
        if rule.severity and severity not in rule.severity:
            return None
        known = {"component": place.group, "owner": owner, "severity": str(severity)}
        values = [known.get(name) or labels.get(name, "") for name in rule.by]
        return (", ".join(values) or EVERYTHING) if all(values) else None


class CompiledPolicy:
    """A compiled policy.

    `document` is the policy as it was written, `fingerprint` its identity: 12 hex digits.
    """

    def __init__(self, document: Mapping[str, Any], *, kept: bool = False) -> None:
        """Compile a policy document. Raises pydantic's ValidationError.

        In one that a changelog `kept`, a matcher whose regular expression an older version took and
        this one refuses matches nothing: its partition goes on, and the worker's own policy, which
        has none such, is under way to it.
        """
        policy = Policy.model_validate(document, context={KEPT: kept})
        self.policy = policy
        # As it comes back out of the journal: YAML's dates are texts there.
        self.document: dict[str, Any] = orjson.loads(orjson.dumps(document))
        canonical = orjson.dumps(self.document, option=orjson.OPT_SORT_KEYS)
        self.fingerprint = hashlib.sha256(canonical).hexdigest()[:12]
        uncounted = (*policy.identity.ignore, *policy.identity.ignore_if_alike)
        self.places = Places(policy.components, (*uncounted, *policy.severities.labels))
        self.place = self.places.place
        self.escalations = [
            EscalationRule(rule, test_of(rule.match)) for rule in policy.escalations
        ]
        self.lasting = [rule for rule in self.escalations if rule.policy.lasting is not None]
        self.always = [rule for rule in self.escalations if rule.policy.always]
        self.correlations = {rule.name: _compile_correlation(rule) for rule in policy.correlations}
        self.nearness = {rule.name: compile_nearness(rule) for rule in policy.nearness}
        self.inhibitions = compile_inhibitions(policy)
        self._graph = SuppressionGraph(policy)
        self._escalation_by_name = {rule.policy.name: rule for rule in self.escalations}
        self._severity_rules = [
            (test_of(rule.match), rule.severity) for rule in policy.severities.rules
        ]
        self._severity_names = {severity_word(name): name for name in policy.severities.names}
        self._ended = {severity_word(name) for name in policy.severities.ended}
        self._ended -= self._severity_names.keys()
        # Labels by which two records of one alert may differ.
        self.uncounted = frozenset(
            [*policy.identity.ignore, *policy.identity.ignore_if_alike, *policy.severities.labels]
        )
        self._owners = [(test_of(entry.match), entry.team) for entry in policy.ownership]
        self._classes = [(test_of(class_.match), class_) for class_ in policy.classes]
        self._runbooks = [(test_of(runbook.match), runbook) for runbook in policy.runbooks]
        self._mutes = [(test_of(mute.match), mute) for mute in policy.notify.mute]
        self._services = [
            (test_of(availability.match), availability.name)
            for availability in policy.targets.availability
        ]
        self._heartbeats = [(test_of(rule.match), rule) for rule in policy.heartbeats]
        self._class_by_name = {class_.name: class_ for class_ in policy.classes}
        self._runbook_by_name = {runbook.name: runbook for runbook in policy.runbooks}
        self._heartbeat_by_name = {rule.name: rule for rule in policy.heartbeats}
        asked = _matchers_asked(policy)
        # Their values stand in decisions, or choose them without a matcher.
        self._by_value = sorted({*policy.severities.labels, RULE_LABEL})
        told_apart = {matcher.label for matcher in asked if not _asks_whether_there(matcher)}
        self._label_classes = [
            LabelClasses(label, [matcher for matcher in asked if matcher.label == label])
            for label in sorted(told_apart.difference(self._by_value))
        ]
        known = told_apart.union(self._by_value)
        self._asked_whether_there = sorted({matcher.label for matcher in asked} - known)
        # What a silence may ask of an incident that a rule opened: its members are known by no
        # more.
        places = [policy.components.labels, *policy.components.scope]
        asked_for = {
            *known,
            *self._asked_whether_there,
            *chain.from_iterable(places),
        }
        self.labels_asked_for = frozenset(asked_for)
        self._decisions: dict[tuple[str | int | None, ...], PolicyDecision] = {}
        self._judged: tuple[Labels | None, PolicyDecision | None] = None, None  # the newest

    def evaluate(self, labels: Labels) -> PolicyDecision:
        """What the policy says about an alert with these labels.

        A record asks for it several times, of the very same labels.
        """
        known, decision = self._judged
        if known is labels and decision is not None:
            return decision
        decision = self._verdict(labels)
        self._judged = labels, decision
        return decision

    def _verdict(self, labels: Labels) -> PolicyDecision:
        texts = [*map(labels.get, self._by_value)]
        texts += [_presence(labels.get(name, "")) for name in self._asked_whether_there]
        seen = (
            *texts,
            *[class_.class_of(labels.get(class_.label, "")) for class_ in self._label_classes],
        )
        decision = self._decisions.get(seen)
        if decision is None:
            if len(self._decisions) >= DECISIONS_MAX:
                self._decisions.clear()
            decision = self._evaluate(labels)
            if sum(len(text) for text in texts if text) <= SEEN_CHARACTERS_MAX:
                self._decisions[seen] = decision
        return decision

    def _evaluate(self, labels: Labels) -> PolicyDecision:
        severity, label, _ = self._severity(labels)
        number = _first_match(self._owners, labels)
        owner, incident_class = (
            self.policy.default_owner if number is None else self._owners[number][1],
            OPERATIONS,
        )
        number = _first_match(self._classes, labels)
        if number is not None:
            claimed = self._classes[number][1]
            severity, owner, incident_class = (
                min(severity, claimed.severity or severity),
                claimed.owner or owner,
                claimed.name,
            )
        always = any(rule.applies(severity, incident_class, labels) for rule in self.always)
        links = tuple(
            (name, side) for name, rule in self.inhibitions.items() if (side := rule.side(labels))
        )
        correlations = tuple(
            (name, steps)
            for name, rule in self.correlations.items()
            if (steps := rule.steps(labels))
        )
        holds = [self.correlations[name].policy.correlation_wait for name, _ in correlations]
        holds += [
            self.inhibitions[name].correlation_wait_ms for name, side in links if side != "source"
        ]
        wait_ms = 0 if always else max(holds, default=0)
        near = None if always else self._nearness_of(labels, correlations, links)
        near_ms = near.policy.correlation_wait if near else 0
        return PolicyDecision(
            severity=severity,
            severity_label=label,
            owner=owner,
            incident_class=incident_class,
            runbook=next((runbook.name for test, runbook in self._runbooks if test(labels)), ""),
            mutes=tuple(mute.name for test, mute in self._mutes if test(labels)),
            services=tuple(name for test, name in self._services if test(labels)),
            heartbeat=next((rule.name for test, rule in self._heartbeats if test(labels)), ""),
            always=always,
            correlation_wait_ms=wait_ms,
            nearness=near.policy.name if near else "",
            first_wait_ms=max(wait_ms, near_ms),
            correlations=correlations,
            inhibitions=links,
            in_cycle=self._graph.in_cycle(labels, links, (name for name, _ in correlations)),
        )

    def _nearness_of(
        self,
        labels: Labels,
        correlations: Sequence[tuple[str, tuple[int, ...]]],
        links: Sequence[tuple[str, str]],
    ) -> NearnessRule | None:
        """The rule of nearness for an alert. What its author's rules may explain needs none."""
        explained = any(not self.correlations[name].local for name, _ in correlations) or any(
            side != "source" and self.inhibitions[name].membership for name, side in links
        )
        rules = () if explained else self.nearness.values()
        return next((rule for rule in rules if rule.test(labels)), None)

    def says_ended(self, labels: Labels) -> bool:
        """Whether the severity says that an alert is over, such as `ok`."""
        for label in self.policy.severities.labels:
            name = labels.get(label)
            if name:
                return severity_word(name) in self._ended
        return False

    def _severity(self, labels: Labels) -> tuple[Severity, str, Where]:
        """The severity, the label's value if the policy does not know it, and the place of the policy that says so."""
        number = _first_match(self._severity_rules, labels)
        if number is not None:
            return self._severity_rules[number][1], "", ("severities", "rules", number)
        severities = self.policy.severities
        for name in severities.labels:
            value = labels.get(name, "")
            if value:
                known = self._severity_names.get(severity_word(value))
                if known is None:
                    return severities.unknown, value, ("severities", "unknown")
                return severities.names[known], "", ("severities", "names", known)
        return severities.missing, "", ("severities", "missing")

    def decision_places(self, labels: Labels) -> DecisionPlaces:
        """The places of the policy that decide about an alert with these labels, as `judge` does."""
        severity, _, severity_where = self._severity(labels)
        owner = _first_match(self._owners, labels)
        number = _first_match(self._classes, labels)
        owner_where: Where = ("default_owner",) if owner is None else ("ownership", owner)
        if number is not None:
            claimed = self._classes[number][1]
            if claimed.severity is not None and claimed.severity < severity:
                severity_where = ("classes", number, "severity")
            owner_where = ("classes", number, "owner") if claimed.owner else owner_where
        runbook = _first_match(self._runbooks, labels)
        return DecisionPlaces(
            severity=severity_where,
            owner=owner_where,
            incident_class=None if number is None else ("classes", number),
            runbook=None if runbook is None else ("runbooks", runbook),
        )

    # What a policy says about an incident.

    def prefix(self, incident_class: str) -> str:
        """The prefix of an incident id of this class."""
        claimed = self._class_by_name.get(incident_class)
        return claimed.prefix if claimed else "INC"

    def status(self, incident_class: str) -> str:
        """What a report calls an incident of this class that is not resolved, if the class has a name for it."""
        claimed = self._class_by_name.get(incident_class)
        return claimed.status if claimed else ""

    def group_wait_ms(self, severity: Severity, incident_class: str) -> int:
        """How long the first message about an incident waits."""
        claimed = self._class_by_name.get(incident_class)
        waits = self.policy.notify.group_wait
        return (claimed.group_wait if claimed else waits).get(severity, waits.get(severity, 0))

    def group_interval_ms(self, incident_class: str) -> int:
        """How much time is between two messages about more alerts of an incident."""
        claimed = self._class_by_name.get(incident_class)
        return (claimed and claimed.group_interval) or self.policy.notify.group_interval

    def repeat_interval_ms(self, severity: Severity, incident_class: str) -> int:
        """How often recipients are notified again of an incident that nobody has taken; 0 is never."""
        claimed = self._class_by_name.get(incident_class)
        times = self.policy.notify.repeat_interval
        return (claimed.repeat_interval if claimed else times).get(severity, times.get(severity, 0))

    def also_notify(self, severity: Severity, incident_class: str) -> list[Contact]:
        """Who is told of every new incident like this besides its owner."""
        claimed = self._class_by_name.get(incident_class)
        names = [
            *self.policy.notify.also_notify.get(severity, ()),
            *(claimed.also_notify if claimed else ()),
        ]
        return [self.policy.contacts[name] for name in dict.fromkeys(names)]

    def chain(self, owner: str) -> list[Contact]:
        """The contacts that are called for a team, first on call first."""
        return [self.policy.contacts[role] for role in self.policy.teams[owner].chain]

    def escalate_after_ms(self, owner: str, severity: Severity, step: int) -> int | None:
        """How long an incident stays unacknowledged at this step of the chain before it climbs, or None."""
        team = self.policy.teams[owner]
        waits = (
            self.policy.escalate_after if team.escalate_after is None else team.escalate_after
        ).get(severity, [])
        return waits[step - 1] if step <= len(waits) and step < len(team.chain) else None

    def team_contact(self, owner: str) -> Contact:
        """The team's own address."""
        return self.policy.teams[owner].contact

    def owner_known(self, owner: str) -> str:
        """The owner if this policy has that team, else the default owner.

        A policy change may drop a team.
        """
        return owner if owner in self.policy.teams else self.policy.default_owner

    def runbook(self, name: str) -> Runbook | None:
        """The runbook of that name, if this policy has it."""
        return self._runbook_by_name.get(name)

    def update_every_ms(self, runbook: str, severity: Severity) -> int | None:
        """How often something has to be said about an incident, or None."""
        guide = self.runbook(runbook)
        return (
            guide.update_every
            if guide and guide.update_every
            else self.policy.updates.every.get(severity)
        )

    def hours(self, owner: str, severity: Severity) -> Sequence[TimeSpan] | None:
        """When an incident may be told; None is always."""
        return self.team_hours(owner) if severity in self.policy.notify.hours else None

    def team_hours(self, owner: str) -> Sequence[TimeSpan] | None:
        """When a team is at work; None is always."""
        hours = self.policy.teams[owner].hours
        return self.policy.time_intervals[hours] if hours else None

    def mutes(
        self, names: Sequence[str], severity: Severity
    ) -> Iterator[tuple[str, Sequence[TimeSpan]]]:
        """The mute rules of these names that are about this severity, each with its intervals."""
        for _, mute in self._mutes:
            if mute.name in names and (not mute.severity or severity in mute.severity):
                yield (
                    mute.name,
                    [span for name in mute.during for span in self.policy.time_intervals[name]],
                )

    # Rules by name; a policy change may drop one while something waits for it.

    def escalation(self, name: str) -> EscalationRule | None:
        """The automatic escalation of that name, if this policy has it."""
        return self._escalation_by_name.get(name)

    def correlation(self, name: str) -> CorrelationRule | None:
        """The correlation of that name, if this policy has it."""
        return self.correlations.get(name)

    def inhibition(self, name: str) -> InhibitionRule | None:
        """The dependency or inhibition of that name, if this policy has it."""
        return self.inhibitions.get(name)

    def heartbeat(self, name: str) -> Heartbeat | None:
        """The absence rule of that name, if this policy has it."""
        return self._heartbeat_by_name.get(name)


@lru_cache(COMPILED_MAX)
def compile_policy(document: bytes, *, kept: bool) -> CompiledPolicy:
    """The rulebook of a policy document as JSON: one for all partitions of a process, which so share its verdicts.

    Raises pydantic's ValidationError, and JSONDecodeError.
    """
    return CompiledPolicy(orjson.loads(document), kept=kept)


def _first_match(entries: Sequence[tuple[Test, Any]], labels: Labels) -> int | None:
    """The number of the first entry whose test the labels pass."""
    return next((number for number, (test, _) in enumerate(entries) if test(labels)), None)


def _compile_correlation(rule: Correlation) -> CorrelationRule:
    return CorrelationRule(
        rule,
        _compile_tests(rule),
        rule_id_of("correlation", rule, [rule.name, rule.sequence, bool(rule.open)]),
    )


def _compile_tests(rule: Correlation) -> tuple[Test, ...]:
    return (
        tuple(test_of(selector) for selector in rule.sequence)
        if rule.sequence
        else (test_of(rule.match),)
    )


def _matchers_asked(policy: Policy) -> list[Matcher]:
    """The matchers that a decision depends on.

    Alerts for which all answer alike have one decision, if they agree in their severity labels too.
    Where a rule only asks for `instance=~".+"`, each alert may have an instance of its own.
    """
    selectors: list[Sequence[Sequence[Matcher]]] = []
    matched = (
        policy.severities.rules,
        policy.ownership,
        policy.classes,
        policy.escalations,
        policy.correlations,
        policy.nearness,
    )
    matched += (policy.runbooks, policy.notify.mute, policy.targets.availability, policy.heartbeats)  # type: ignore[assignment]
    for section in matched:
        selectors += [item.match for item in section]
    for rule in policy.correlations:
        selectors += rule.sequence or ()
    for dependency in policy.dependencies:
        selectors += (dependency.root, dependency.dependants)
    for inhibition in policy.inhibit_rules:
        selectors += (inhibition.source_matchers, inhibition.target_matchers)
    return [matcher for selector in selectors for matchers in selector for matcher in matchers]


def _asks_whether_there(matcher: Matcher) -> bool:
    return matcher.value == (".+" if matcher.operator.has_pattern else "")


def _presence(value: str) -> str:
    """What `.+` can tell of a value: whether it is empty; a line break is no sign to it."""
    if "\n" in value:
        return value
    return "there" if value else ""
