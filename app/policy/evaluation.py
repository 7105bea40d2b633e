"""What a policy says of an alert: what it decides and by which line, and what comes of it if nobody does anything.

What is decided is looked up in the policy; what comes of it is asked of the engine itself, by
playing the alert alone.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from app.core.rules.compiled_policy import CompiledPolicy, PolicyDecision
from app.files.policy_file import PolicyFile
from app.files.yaml_file import key_path
from app.policy.actual import ScenarioOutcome, bodies_of
from app.policy.simulator import Stage
from app.transport.log import StoredRecord
from models.alert import Alert, Labels, fingerprint
from models.journal import encode_alert
from models.matcher import Matcher, test_of
from models.policy.types import Where
from models.severity import Severity
from models.text.duration import write_ms
from models.text.instant import format_instant

HORIZON_MS = (
    10 * 86_400_000
)  # for how long the alert is played: long enough for a chain, and for holidays
HOLD_MS = 2 * HORIZON_MS

Explained = dict[str, Any]


def explain_alert(file: PolicyFile, labels: Labels, at_ms: int) -> Explained:
    """Everything, as it is printed and as JSON has it.

    Times are durations since the alert fired at `at_ms`.
    """
    why = _Reasons(file)
    rules, verdict = file.rules, file.rules.evaluate(labels)
    played = _simulate_alert(rules, labels, at_ms, verdict)
    severity, owner = verdict.severity, verdict.owner
    place = rules.place(labels, fingerprint(labels))
    return {
        "labels": dict(labels),
        "at": format_instant(at_ms),
        "policy": rules.fingerprint,
        "file": str(file.path),
        "severity": {"is": severity, **why.severity(labels, verdict)},
        "component": {"is": place.component, **why.component(labels)},
        "scope": place.scope,
        "owner": {
            "is": owner,
            "name": rules.team_contact(owner).name,
            **why.owner(labels, verdict),
        },
        "class": {"is": verdict.incident_class, "prefix": rules.prefix(verdict.incident_class)},
        "notified": played["notified"],
        "again": _explain_reminders(rules, verdict),
        "chain": [contact.name for contact in rules.chain(owner)],
        "escalation_steps": played["escalation_steps"],
        "escalations": list(why.escalations(labels, verdict)),
        "clocks": _explain_service_levels(rules, severity),
        "updates": _explain_updates(rules, verdict),
        "runbook": why.runbook(labels),
        "followups": [
            {"name": up.name, "due": write_ms(up.due), **why.at(("followups", number))}
            for number, up in enumerate(rules.policy.followups)
            if up.covers(severity, verdict.incident_class)
        ],
        "services": list(verdict.services),
        "rules": list(why.rules(labels, verdict)),
    }


def _simulate_alert(
    rules: CompiledPolicy, labels: Labels, at_ms: int, verdict: PolicyDecision
) -> Explained:
    """What is told and how it climbs when the alert fires alone and nobody does anything."""
    if verdict.heartbeat:
        return {
            "notified": [],
            "escalation_steps": [],
        }  # a heartbeat: nothing comes of it while it is heard of
    stage, identity = Stage(rules), fingerprint(labels)
    alert = Alert(identity, labels, {}, True, at_ms, 0, HOLD_MS)  # noqa: FBT003
    key = rules.place(labels, identity).key.encode()
    stage.append(StoredRecord(-1, at_ms, key, encode_alert(alert)))
    stage.wait_until(at_ms + HORIZON_MS)
    outcome = ScenarioOutcome(list(bodies_of(stage.effects)), at_ms)
    first = [item for item in outcome.items("notifications") if item["kind"] == "opened"]
    told = [
        {
            "after": write_ms(item["at"]),
            **{name: item[name] for name in ("channel", "to", "address")},
        }
        for item in first
    ]
    steps = outcome.items("escalations")
    # An incident that is at the end of its chain escalates to the same person, on and on.
    climbs = [
        {
            "after": write_ms(item["at"]),
            **{name: item[name] for name in ("step", "to", "rule", "because")},
        }
        for number, item in enumerate(steps)
        if number == 0 or item["step"] > steps[number - 1]["step"]
    ]
    return {"notified": told, "escalation_steps": climbs}


def _explain_reminders(rules: CompiledPolicy, verdict: PolicyDecision) -> Explained:
    repeat_ms = rules.repeat_interval_ms(verdict.severity, verdict.incident_class)
    return {
        "more": write_ms(rules.group_interval_ms(verdict.incident_class)),
        "repeated": write_ms(repeat_ms) if repeat_ms else None,
    }


def _explain_service_levels(rules: CompiledPolicy, severity: Severity) -> Explained:
    targets = rules.policy.targets
    clocks = {"acknowledge": targets.acknowledge, "resolve": targets.resolve}
    return {name: write_ms(times[severity]) for name, times in clocks.items() if severity in times}


def _explain_updates(rules: CompiledPolicy, verdict: PolicyDecision) -> Explained:
    every_ms = rules.update_every_ms(verdict.runbook, verdict.severity)
    return {
        "every": write_ms(every_ms) if every_ms else None,
        "reminders": rules.policy.updates.reminders,
    }


def text_of(selector: Sequence[Sequence[Matcher]]) -> str:
    """A selector as the policy has it, in one line."""
    return " or ".join(", ".join(str(matcher) for matcher in matchers) for matchers in selector)


class _Reasons:
    """By which lines of the file."""

    def __init__(self, file: PolicyFile) -> None:
        self._found, self._policy = file, file.rules.policy

    def at(self, where: Where) -> Explained:
        """A place in the policy."""
        return {"key": key_path(where), "line": self._found.document.place(where).line}

    def severity(self, labels: Labels, verdict: PolicyDecision) -> Explained:
        """What made it so severe."""
        where = self._found.rules.decision_places(labels).severity
        return {"because": self._reason_text(where, labels, verdict), **self.at(where)}

    def _reason_text(self, where: Where, labels: Labels, verdict: PolicyDecision) -> str:
        severities = self._policy.severities
        match where:
            case ("classes", *_):
                return f"every incident of class {verdict.incident_class} is at least {verdict.severity}"
            case ("severities", "rules", int(number)):
                return f"matches {text_of(severities.rules[number].match)}"
            case ("severities", "missing"):
                return f"it has none of the labels {', '.join(severities.labels)}"
        label = next(name for name in severities.labels if labels.get(name))
        reason = f"the label {label} is {labels[label]!r}"
        return f"{reason}, which nobody declared" if where == ("severities", "unknown") else reason

    def component(self, labels: Labels) -> Explained:
        """Which label names it."""
        components = self._policy.components
        name = self._found.rules.places.label(labels)
        if name is not None:
            place = ("components", "labels", components.labels.index(name))
            return {"because": f"the label {name}", **self.at(place)}
        return {
            "because": "no label names one, so it is one of its own",
            **self.at(("components", "labels")),
        }

    def owner(self, labels: Labels, verdict: PolicyDecision) -> Explained:
        """Why it is theirs."""
        where = self._found.rules.decision_places(labels).owner
        match where:
            case ("classes", *_):
                because = f"every incident of class {verdict.incident_class} is theirs"
            case ("ownership", int(number)):
                because = f"matches {text_of(self._policy.ownership[number].match)}"
            case _:
                because = "no entry of ownership matches"
        return {"because": because, **self.at(where)}

    def runbook(self, labels: Labels) -> Explained | None:
        """What is to be done next."""
        match where := self._found.rules.decision_places(labels).runbook:
            case ("runbooks", int(number)):
                runbook = self._policy.runbooks[number]
                return {
                    "name": runbook.name,
                    "first": runbook.steps[0].say,
                    "steps": len(runbook.steps),
                    **self.at(where),
                }
        return None

    def escalations(self, labels: Labels, verdict: PolicyDecision) -> Iterator[Explained]:
        """What else climbs a step."""
        for number, escalation in enumerate(self._policy.escalations):
            if escalation.covers(verdict.severity, verdict.incident_class) and test_of(
                escalation.match
            )(labels):
                yield {
                    "name": escalation.name,
                    "when": _interval_text(escalation),
                    **self.at(("escalations", number)),
                }

    def rules(self, labels: Labels, verdict: PolicyDecision) -> Iterator[Explained]:
        """What relates it to other alerts, and as what it takes part."""
        policy = self._policy
        identity = fingerprint(labels)
        place = self._found.rules.place(labels, identity)
        for number, rule in enumerate(policy.correlations):
            steps = dict(verdict.correlations).get(rule.name, ())
            compiled = self._found.rules.correlations[rule.name]
            group = (
                compiled.group(verdict.severity, place, verdict.owner, labels) if steps else None
            )
            if group is not None:
                role = (
                    f"step {', '.join(str(step + 1) for step in steps)} of {len(rule.sequence)}"
                    if rule.sequence
                    else "one of"
                )
                part = f"{role} {'' if rule.sequence else rule.count}".strip()
                text = f"{part} within {write_ms(rule.within)}, group {group}"
                yield {
                    "kind": "correlation",
                    "name": rule.name,
                    "role": text,
                    **self.at(("correlations", number)),
                }
        for number, near in enumerate(policy.nearness):
            if near.name == verdict.nearness:
                within = write_ms(near.within)
                role = f"asked when its incident opens: what opened near it within {within}?"
                where = self.at(("nearness", number))
                yield {"kind": "nearness", "name": near.name, "role": role, **where}
        sections = {"dependencies": ("root", "dependant"), "inhibit_rules": ("source", "target")}
        for section, (source, target) in sections.items():
            for number, link in enumerate(getattr(policy, section)):
                side = dict(verdict.inhibitions).get(link.name)
                roles = {"source": source, "target": target, "both": f"{source} and {target}"}
                if side:
                    kind = "dependency" if section == "dependencies" else "inhibition"
                    yield {
                        "kind": kind,
                        "name": link.name,
                        "role": roles[side],
                        **self.at((section, number)),
                    }
        for number, absence in enumerate(policy.heartbeats):
            if absence.name == verdict.heartbeat:
                text = f"heartbeat: {absence.severity} when it is not heard of for {write_ms(absence.missing)}"
                yield {
                    "kind": "heartbeat",
                    "name": absence.name,
                    "role": text,
                    **self.at(("heartbeats", number)),
                }
        for number, mute in enumerate(policy.notify.mute):
            if mute.name in verdict.mutes and (
                not mute.severity or verdict.severity in mute.severity
            ):
                text = f"not told during {', '.join(mute.during)}"
                yield {
                    "kind": "mute",
                    "name": mute.name,
                    "role": text,
                    **self.at(("notify", "mute", number)),
                }


def _interval_text(item: Any) -> str:
    if item.lasting is not None:
        return f"fires for {write_ms(item.lasting)}"
    if item.always:
        return "as soon as it fires"
    if item.without is not None:
        times = (
            "nobody has named the cause" if item.without == "root_cause" else "it is not mitigated"
        )
        return f"{times} after {write_ms(item.after)}"
    if item.grew:
        return "becomes worse, or larger, after somebody took it"
    if item.complaints:
        return f"{item.complaints} complaints"
    return f"the clock to {item.target} it is near its end"
