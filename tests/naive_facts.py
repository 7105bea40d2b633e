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
