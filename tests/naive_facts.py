"""What the oracle keeps of alerts and incidents, and when something of its own accord happens to an incident."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from models.duration import parse_ms
from tests.naive_policy import by, is_about, matches, severity_of


@dataclass
class Known:
    """An alert that was heard of. `incident` is None when it belongs to none that is open."""

    fingerprint: str
    component: str
    labels: Mapping[str, str]
    severity: str
    owner: str
    kind: str
    firing: bool = False
    fired_ms: int = 0
    fired_by: int = 0
    last_ms: int = 0
    hold_ms: int = 0
    count: int = 0
    held_by: set[str] = field(default_factory=set)
    incident: "Happened | None" = None
    forget_ms: int = 0


@dataclass
class Happened:
    """An incident and all that is told of it."""

    id: str
    component: str
    kind: str
    severity: str
    owner: str
    opened_ms: int
    opened_by: int = 0
    state: str = "open"
    acknowledged: tuple[int, str] = (0, "")
    resolved: tuple[int, str] = (0, "")
    closed_ms: int = 0
    reopened: int = 0
    step: int = 1
    told: tuple[int, int, str] = (0, 0, "P3")  # when, of how many alerts, with which severity
    since: dict[str, int] = field(default_factory=dict)  # open, severity, step, word: since when
    first_told: int = 0
    done: set[str] = field(default_factory=set)  # cause, mitigation
    complaints: int = 0
    reminded: int = 0
    touched: bool = False
    member: bool = False  # of something larger, now or before
    clocks: dict[str, str] = field(default_factory=dict)
    rules: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    members: dict[str, bool] = field(default_factory=dict)
    timeline: list[tuple[str, int]] = field(default_factory=list)
    escalations: list[tuple[str, int, str, tuple[str, ...], int]] = field(default_factory=list)
    notifications: list[tuple[str, str, str, int]] = field(default_factory=list)

    def tell(self, kind: str, at_ms: int) -> None:
        """Write something in the timeline."""
        self.touched = True
        self.timeline.append((kind, at_ms))


@dataclass(frozen=True)
class Firing:
    """An alert began to fire, as a rule saw it."""

    rule: str
    group: str
    at_ms: int
    fingerprint: str
    record: str


def own_deadlines(policy: Mapping[str, Any], incident: Happened, *, held: bool) -> Iterator[tuple[int, str, str]]:
    """When, what, and of what: in the order in which equal times are done."""
    if incident.state == "resolved":
        yield incident.resolved[0] + parse_ms(policy["incidents"]["settle"]), "settle", ""
    if incident.state not in ("open", "acknowledged"):
        return
    if not (held and incident.member):
        yield from _clocks(policy, incident)
    if not held:
        yield from _loud(policy, incident)


def _clocks(policy: Mapping[str, Any], incident: Happened) -> Iterator[tuple[int, str, str]]:
    for clock in ("acknowledge", "resolve"):
        target, state = by(policy["targets"], clock, incident.severity), incident.clocks.get(clock)
        if target is not None and state is None:
            yield incident.since["severity"] + target * 8 // 10, "near", clock
        elif target is not None and state == "warned":
            yield incident.since["severity"] + target, "missed", clock


def _loud(policy: Mapping[str, Any], incident: Happened) -> Iterator[tuple[int, str, str]]:
    since, severity = incident.since, incident.severity
    told_ms, told_alerts, told_severity = incident.told
    if not told_ms:
        yield since["open"] + by(policy["notify"], "group_wait", severity, 0), "tell", ""
    elif severity < told_severity:
        yield since["severity"], "tell", ""
    elif len(incident.alerts) + len(incident.members) > told_alerts:
        interval = parse_ms(policy["notify"].get("group_interval", "5m"))
        yield max(told_ms + interval, since["open"]), "tell", ""
    elif incident.state == "open" and (repeat := by(policy["notify"], "repeat_interval", severity, 0)):
        yield max(told_ms, since["open"]) + repeat, "tell", ""
    waits = policy["climb"].get(severity, [])
    chain = policy["teams"][incident.owner]["chain"]
    if told_ms and incident.state == "open" and incident.step <= len(waits) and incident.step < len(chain):
        begun = max(since["step"], since["severity"])
        yield begun + parse_ms(waits[incident.step - 1]), "climb", ""
    since_ms = max(since["open"], since["severity"], incident.first_told)
    for rule in rules_about(policy, incident, "without"):
        if told_ms and rule["without"] not in incident.done and rule["name"] not in incident.rules:
            yield since_ms + parse_ms(rule["after"]), "undone", rule["name"]
    every = by(policy["updates"], "every", severity)
    if told_ms and every is not None:
        due = since["word"] + every * (incident.reminded + 1)
        if incident.reminded < 2:
            yield due, "remind", ""
        elif incident.state == "acknowledged":
            yield due, "forgotten", ""


def judged(policy: Mapping[str, Any], document: dict[str, Any], component: str) -> Known:
    """The alert of a record, as the policy judges it."""
    labels = document["labels"]
    severity = severity_of(policy, labels)
    owners = [entry["team"] for entry in policy["ownership"] if matches(entry["match"], labels)]
    owner, kind = [*owners, policy["default_owner"]][0], "operations"
    for one in policy["classes"]:
        if kind == "operations" and matches(one["match"], labels):
            kind, owner = one["name"], one.get("owner", owner)
            severity = min(severity, one.get("severity", severity))
    return Known(document["alert"], component, labels, severity, owner, kind)


def correlations_of(policy: Mapping[str, Any], alert: Known) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The correlations that an alert takes part in, with its group."""
    known = {"component": alert.component, "owner": alert.owner, "severity": alert.severity}
    for rule in policy["correlations"]:
        values = [known.get(name) or alert.labels.get(name, "") for name in rule["by"]]
        if is_about(rule, alert) and all(values):
            yield rule, ", ".join(values)


def besides(policy: Mapping[str, Any], incident: Happened) -> list[Mapping[str, str]]:
    """Who is told of an incident besides its owner."""
    named = [one.get("also_tell", []) for one in policy["classes"] if one["name"] == incident.kind]
    return [policy["contacts"][role] for roles in named for role in roles]


def window_of(rule: Mapping[str, Any], group: str, firings: list[Firing], now_ms: int) -> list[Firing]:
    """The newest `count` different alerts that fired within the rule's time, oldest first."""
    since_ms = now_ms - parse_ms(rule["within"])
    newest: dict[str, Firing] = {}
    for one in firings:
        if (one.rule, one.group) == (rule["name"], group) and one.at_ms > since_ms:
            newest.pop(one.fingerprint, None)
            newest[one.fingerprint] = one
    return list(newest.values())[-rule["count"] :]


def rules_about(policy: Mapping[str, Any], incident: Happened, trigger: str) -> Iterator[Mapping[str, Any]]:
    """The escalations by this trigger that are about incidents like this one."""
    for rule in policy["escalations"]:
        about = incident.severity in (rule.get("severity") or [incident.severity])
        if trigger in rule and about and rule.get("class", incident.kind) == incident.kind:
            yield rule


def no_room(
    policy: Mapping[str, Any], alerts: list[Known], incidents: list[Happened], alert: Known, known: Known | None
) -> str:
    """The reason for which one more alert is refused, or nothing."""
    bounds = {"alerts": 200_000, "alerts_in_incident": 10_000, "incidents": 50_000} | policy.get("bounds", {})
    incident = current(incidents, alert.component, alert.kind)
    full = known is None and len(alerts) >= bounds["alerts"]
    if incident is None:
        full = full or sum(one.state != "closed" for one in incidents) >= bounds["incidents"]
    elif alert.fingerprint not in incident.alerts:
        full = full or len(incident.alerts) >= bounds["alerts_in_incident"]
    return "bound_reached" if full else ""


def current(incidents: list[Happened], component: str, kind: str) -> Happened | None:
    """The incident of a component and class that is not closed."""
    found = [one for one in incidents if (one.component, one.kind) == (component, kind)]
    return next((one for one in found if one.state != "closed"), None)


def held_without(alerts: list[Known], incident: Happened, alert: Known) -> bool:
    """Whether everything else that fires in an incident is kept quiet."""
    others = [one for one in alerts if one.incident is incident and one.firing and one is not alert]
    return bool(others) and all(one.held_by for one in others)


def refused(incident: Happened, name: str, *, fires: bool) -> str:
    """The reason for which a command is refused, or nothing."""
    resolved = incident.state == "resolved"
    if (name in ("acknowledge", "resolve") and resolved) or (name in ("reopen", "close") and not resolved):
        return "illegal_transition"
    if name == "close" and fires:
        return "illegal_transition"
    return ""


def struck(alerts: list[Known], incident: Happened) -> set[str]:
    """The components that an incident strikes."""
    return {alert.component for alert in alerts if alert.fingerprint in incident.members} or {""}


def fires(alerts: list[Known], incident: Happened) -> bool:
    """Whether anything of an incident fires."""
    mine = [alert for alert in alerts if alert.incident is incident and alert.firing]
    return bool(mine) or any(incident.members.values())


def is_held(alerts: list[Known], incident: Happened) -> bool:
    """Whether everything that fires in an incident is kept quiet."""
    firing = [alert for alert in alerts if alert.incident is incident and alert.firing]
    return bool(firing) and all(alert.held_by for alert in firing)
