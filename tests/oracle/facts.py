"""What the oracle keeps of alerts and incidents, and what it asks of them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from models.text.duration import parse_ms
from tests.oracle.policy import is_about, matches, severity_of, without_severity

_TOUCHES = count(1)


@dataclass(eq=False)
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
    fired_offset: int = 0
    notifiable_since_ms: int = 0  # since when it fires and nothing keeps it quiet
    quiet: bool = False  # when last looked at
    named: bool = False  # in a message since it fires
    fresh: bool = False  # it began to fire, and dependencies of which it is a root have not heard
    known_of: bool = False  # what rules heard last: whether somebody knows of it
    last_ms: int = 0
    ttl_ms: int = 0
    replaced: bool = False  # another severity of it began to fire
    says_its_end: bool = False  # so that silence is none
    unheard_ms: int = 0  # since when it fires on though nobody says so
    ended_ms: int = 0
    count: int = 0
    suppressed_by: set[str] = field(default_factory=set)  # rules that said so
    waits: bool = False  # it is quiet to see whether a rule explains it
    incident: "Happened | None" = None
    retain_until_ms: int = 0
    changes: list[int] = field(default_factory=list)  # when it began and ended to fire


@dataclass
class Member:
    """An alert of another component in an incident, or an incident that a rule opened."""

    component: str
    labels: Mapping[str, str]
    firing: bool = True
    own: bool = True  # of the rule that opened the incident; else it depends on it


@dataclass(eq=False)
class Happened:
    """An incident and all that is told of it."""

    id: str
    prefix: str
    component: str
    kind: str
    severity: str
    owner: str
    opened_ms: int
    opened_by: int = 0
    rule: str = ""  # that opened it
    state: str = "open"
    peak: str = ""  # the worst severity so far
    decides: Known | None = None  # the alert whose team has it
    given_by: str = ""  # with which severity its owner was found
    given_ms: int = 0
    notified_owner: str = ""
    taken_over: bool = False  # what always escalates is in it
    targets: dict[str, tuple[int, str]] = field(
        default_factory=dict
    )  # clock -> since when, by which severity
    acknowledged: tuple[int, str] = (0, "")
    resolved: tuple[int, str] = (0, "")
    lost: bool = False  # nobody said that it is over
    closed_ms: int = 0
    reopened: int = 0
    step: int = 1
    episode: int = 1  # the part of it that one ring is for
    told: tuple[int, int, str] = (0, 0, "P3")  # when, of how many alerts, with which severity
    since: dict[str, int] = field(default_factory=dict)  # open, severity, step, word: since when
    first_told: int = 0
    anew_ms: int = 0  # something urgent fires again, and nobody was told that yet
    places: set[str] = field(default_factory=set)  # of urgent alerts that were named
    # Urgent alerts that were over before they were named; and when they were, by what names.
    over_unnamed: list["Known"] = field(default_factory=list)
    named_over: set[tuple[int, tuple[str, ...]]] = field(default_factory=set)
    fresh: bool = False
    known_of: bool = False  # as of an alert, of one that a rule opened
    joined: bool = False  # an urgent alert was named since it was taken
    highest: int = 1  # the highest step that was called
    wait_ms: int = 0  # how long the first message waits to see whether a rule explains it
    deferred_notification: tuple[str, int] | None = (
        None  # the newest message that waits for its hours, and since when
    )
    deferred_escalations: list[tuple[str, list[int], int]] = field(
        default_factory=list
    )  # rules that will escalate it in its hours
    waits: bool = False  # one that a rule opened is quiet to see whether another rule explains it
    reopened_unexplained: bool = (
        False  # what waits for a rule reopened it, and nobody has been told so
    )
    undecided_escalations: list[tuple[str, list[int]]] = field(
        default_factory=list
    )  # rules that escalate it if no rule explains it
    done: set[str] = field(default_factory=set)  # root_cause, mitigation
    came_back: list[str] = field(
        default_factory=list
    )  # keys of buttons and links that were pressed
    complaints: int = 0
    refused: int = 0  # records of further alerts
    flapping_ms: int = 0  # the last change of an alert that flaps; 0 is not flapping
    reminded: int = 0
    touched: int = 0  # so many had been touched before and with it; 0 is not touched
    quiet: bool = False  # when last looked at
    suppressed_by: set[str] = field(
        default_factory=set
    )  # rules that said so, of one that a rule opened
    silenced_by: set[tuple[str, str]] = field(
        default_factory=set
    )  # alerts and silences; of one that a rule opened, "" and
    parents: list[str] = field(default_factory=list)  # what it was a member of, now or before
    not_meant: set[str] = field(default_factory=set)  # urgent alerts that nobody acknowledged
    told_quiet: bool = False  # somebody was told that all of it is quiet
    anew: bool = False  # it was quiet since the last message
    unheard: list[int] = field(default_factory=list)  # since when what is loud fires
    clocks: dict[str, str] = field(default_factory=dict)
    rules: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    members: dict[str, Member] = field(default_factory=dict)
    near: Any = None  # what it knows of those that it is near (`tests.oracle.near.Near`)
    timeline: list[tuple[str, int]] = field(default_factory=list)
    escalations: list[tuple[str, int, str, tuple[int, ...], int]] = field(default_factory=list)
    notifications: list[tuple[str, str, str, int, int]] = field(
        default_factory=list
    )  # kind, channel, receiver, episode, when
    tasks: list[tuple[str, str, int, int]] = field(
        default_factory=list
    )  # name, state, reminders, when

    def touch(self) -> None:
        """Note that something may be due now. What was touched first is done first."""
        self.touched = self.touched or next(_TOUCHES)

    def restart_clocks(self, now_ms: int) -> None:
        """The clocks of its targets begin, by the targets of its severity."""
        self.targets = dict.fromkeys(("acknowledge", "resolve"), (now_ms, self.severity))

    def rings_anew(self) -> None:
        """The next message begins another episode, if somebody has heard of it."""
        self.episode += bool(self.told[0])

    def tell(self, kind: str, at_ms: int) -> None:
        """Write something in the timeline."""
        self.touch()
        self.timeline.append((kind, at_ms))

    @property
    def ended(self) -> bool:
        """Whether it is over, or seems so."""
        return self.state in ("resolved", "closed")

    @property
    def size(self) -> int:
        """How much belongs to it."""
        return len(self.alerts) + len(self.members)

    @property
    def is_told_anew(self) -> bool:
        """Whether something fires that began while it was quiet, and of which nobody was told."""
        return self.anew and any(self.told[0] < one <= self.since["open"] for one in self.unheard)


@dataclass(frozen=True, eq=False)
class Firing:
    """An alert began to fire, as a rule saw it."""

    rule: str
    group: str
    at_ms: int
    fingerprint: str
    record: int
    labels: Mapping[str, str]


def evaluated_alert(policy: Mapping[str, Any], document: dict[str, Any], component: str) -> Known:
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


def always_escalates(policy: Mapping[str, Any], alert: Known) -> bool:
    """Whether an alert always escalates: no rule keeps it quiet, and it waits for nothing."""
    return any(one.get("always") and is_about(one, alert) for one in policy["escalations"])


def correlations_of(
    policy: Mapping[str, Any], alert: Known
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The correlations that an alert takes part in, with its group."""
    known = {"component": alert.component, "owner": alert.owner, "severity": alert.severity}
    for rule in policy["correlations"]:
        values = [known.get(name) or alert.labels.get(name, "") for name in rule["by"]]
        steps = rule.get("sequence", [rule.get("match", [])])
        about = alert.severity in rule.get("severity", [alert.severity])
        if about and all(values) and any(matches(step, alert.labels) for step in steps):
            yield rule, ", ".join(values) or "all"


def also_notified(policy: Mapping[str, Any], incident: Happened) -> list[Mapping[str, str]]:
    """Who is told of an incident besides its owner."""
    named = [
        one.get("also_notify", []) for one in policy["classes"] if one["name"] == incident.kind
    ]
    return [policy["contacts"][role] for roles in named for role in roles]


def window_of(
    rule: Mapping[str, Any],
    group: str,
    firings: list[Firing],
    now_ms: int,
    ended: set[tuple[str, str, str]],
) -> list[Firing]:
    """What makes a rule true now that the last of these has fired, oldest first.

    Nothing when it is not. What ended is a step of a sequence still, but is not counted.
    """
    since_ms = now_ms - parse_ms(rule["within"])
    seen = [
        one
        for one in firings
        if (one.rule, one.group) == (rule["name"], group) and one.at_ms > since_ms
    ]
    if "sequence" in rule:
        return _completed_sequence(rule, seen)
    return _newest_distinct(
        rule, [one for one in seen if (one.rule, one.group, one.fingerprint) not in ended]
    )


def _newest_distinct(rule: Mapping[str, Any], seen: list[Firing]) -> list[Firing]:
    """The newest `count` different alerts."""
    newest: dict[str, Firing] = {}
    for one in seen:
        newest.pop(one.fingerprint, None)
        newest[one.fingerprint] = one
    return list(newest.values())[-rule["count"] :] if len(newest) >= rule["count"] else []


def _completed_sequence(rule: Mapping[str, Any], seen: list[Firing]) -> list[Firing]:
    """The last one completes it.

    Before it, each step is taken by the first other alert after the step before it.
    """
    *steps, last = rule["sequence"]
    *before, newest = seen
    if not matches(last, newest.labels):
        return []
    found: list[Firing] = []
    for step in steps:
        taken = {newest.fingerprint, *(one.fingerprint for one in found)}
        start = before.index(found[-1]) + 1 if found else 0
        fits = [
            one
            for one in before[start:]
            if one.fingerprint not in taken and matches(step, one.labels)
        ]
        if not fits:
            return []
        found.append(fits[0])
    return [*found, newest]


def rules_about(
    policy: Mapping[str, Any], incident: Happened, trigger: str
) -> Iterator[Mapping[str, Any]]:
    """The escalations by this trigger that are about incidents like this one."""
    for rule in policy["escalations"]:
        about = incident.severity in (rule.get("severity") or [incident.severity])
        if trigger in rule and about and rule.get("class", incident.kind) == incident.kind:
            yield rule


def bounds_of(policy: Mapping[str, Any]) -> dict[str, int]:
    """The bounds of a policy."""
    given: dict[str, int] = policy.get("bounds", {})
    return {"alerts": 200_000, "alerts_in_incident": 10_000, "incidents": 50_000} | given


def current_incident(incidents: list[Happened], component: str, kind: str) -> Happened | None:
    """The incident of a component and class that is not closed."""
    found = [one for one in incidents if (one.component, one.kind) == (component, kind)]
    return next((one for one in found if one.state != "closed"), None)


def command_refusal(incident: Happened, name: str, *, fires: bool) -> str:
    """The reason for which a command is refused, or nothing."""
    resolved = incident.state == "resolved"
    if (name in ("acknowledge", "resolve", "escalate") and resolved) or (
        name in ("reopen", "close") and not resolved
    ):
        return "illegal_transition"
    if name == "close" and fires:
        return "illegal_transition"
    return ""


def struck_components(incident: Happened) -> set[str]:
    """The components that an incident strikes."""
    own = set() if incident.rule else {incident.component}
    return own | {member.component for member in incident.members.values()}


def firing_alerts(alerts: Iterable[Known], incident: Happened) -> list[Known]:
    """The alerts of an incident that fire."""
    return [alert for alert in alerts if alert.incident is incident and alert.firing]


def urgent(severity: str) -> bool:
    """Whether each alert of this severity has to be named to somebody."""
    return severity in ("P0", "P1")


def place(alert: Known) -> str:
    """Where an alert is, beside its component."""
    labels = [alert.labels.get(name, "") for name in ("instance", "host", "node")]
    there = [value for value in labels if value]
    return there[0] if there and there[0] != alert.component else ""


def is_firing(alerts: Iterable[Known], incident: Happened) -> bool:
    """Whether anything of an incident fires: what depends on it does not count."""
    return bool(firing_alerts(alerts, incident)) or any(
        one.firing and one.own for one in incident.members.values()
    )


def same_but_severity(
    policy: Mapping[str, Any], alerts: list[Known], document: dict[str, Any]
) -> list[Known]:
    """What fires and has the labels of a record, but for the severity."""
    labels = without_severity(policy, document["labels"])
    alike = [
        alert
        for alert in alerts
        if alert.firing
        and alert.fingerprint != document["alert"]
        and without_severity(policy, alert.labels) == labels
    ]
    return sorted(alike, key=lambda alert: alert.fingerprint)


def alerts_of_request(value: bytes, reached: set[str]) -> list[bytes]:
    """The alerts of one request, each before a tab and after one."""
    parts = value.split(b"\t")
    if parts[0] != b'{"alerts":[' or parts[-1] != b"]}":
        return []
    reached.add("several in a request")
    if any(b'"status":"resolved"' in part for part in parts):
        reached.add("one of a request ends")
    return [part.removesuffix(b",") for part in parts[1:-1]]
