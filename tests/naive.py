"""The same meaning as the engine's, written in the slowest and plainest way: an oracle to compare it with.

It shares no code with `app.core`. It has no timers, indexes, windows or changelog: it keeps everything that ever
happened, looks at every deadline again before each record, and finds each thing by looking through all of them. It
reads the policy as it is written in the file. What it tells are facts, not bytes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from models.duration import parse_ms
from models.incident import incident_id

PARTITION = 0
MATCHER = re.compile(r'(\w+)(=~|=)"(.*)"')


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
    state: str = "open"
    acknowledged: tuple[int, str] = (0, "")
    resolved: tuple[int, str] = (0, "")
    closed_ms: int = 0
    reopened: int = 0
    step: int = 1
    rules: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    members: dict[str, bool] = field(default_factory=dict)
    timeline: list[tuple[str, int]] = field(default_factory=list)
    escalations: list[tuple[str, int, str, tuple[str, ...], int]] = field(default_factory=list)
    notifications: list[tuple[str, str, str, int]] = field(default_factory=list)

    def tell(self, kind: str, at_ms: int) -> None:
        """Write something in the timeline."""
        self.timeline.append((kind, at_ms))


@dataclass(frozen=True)
class Firing:
    """An alert began to fire, as a rule saw it."""

    rule: str
    group: str
    at_ms: int
    fingerprint: str
    record: str


class Naive:
    """The oracle of one partition. `feed` it the records that came from outside; it adds the signals by itself."""

    def __init__(self, policy: Mapping[str, Any]) -> None:
        self.policy = policy
        self.now_ms = 0
        self.offset = -1
        self.alerts: list[Known] = []
        self.incidents: list[Happened] = []
        self.firings: list[Firing] = []
        self.ended: set[tuple[str, str, str]] = set()  # rule, group and fingerprint of what ended after it fired last
        self.dead: list[tuple[int, str]] = []
        self.opened = 0
        self.signals: list[tuple[str, str, bool, Firing]] = []

    def feed(self, value: bytes, component: str, at_ms: int) -> None:
        """Apply a record and, as records of their own, the signals that it causes."""
        self._record(at_ms)
        refusal = self._apply(value, component)
        if refusal:
            self.dead.append((self.offset, refusal))
        while self.signals:
            rule, group, firing, seen = self.signals.pop(0)
            self._record(at_ms)
            self._signal(rule, group, firing, seen)

    def _record(self, at_ms: int) -> None:
        self.offset += 1
        self.opened = 0
        if at_ms <= self.now_ms:
            return
        while due := [one for one in self._deadlines() if one[0] <= at_ms]:
            when, what, _, whose = min(due, key=lambda one: one[:3])
            self.now_ms = max(self.now_ms, when)
            self._pass(what, whose)
        self.now_ms = at_ms

    # Time.

    def _deadlines(self) -> Iterator[tuple[int, str, str, Any]]:
        """Every deadline that there is: when, what, the name that orders equal times, and whose."""
        for alert in self.alerts:
            if alert.firing:
                yield alert.last_ms + alert.hold_ms, "expire", alert.fingerprint, alert
                yield from self._lasting(alert)
            elif alert.incident is None:
                yield alert.forget_ms, "forget", alert.fingerprint, alert
        for incident in self.incidents:
            if incident.state == "resolved":
                yield incident.resolved[0] + self._life("settle"), "settle", incident.id, incident

    def _lasting(self, alert: Known) -> Iterator[tuple[int, str, str, Any]]:
        assert alert.incident is not None
        for rule in self.policy["escalations"]:
            if "lasting" in rule and rule["name"] not in alert.incident.rules and _is_about(rule, alert):
                when = alert.fired_ms + parse_ms(rule["lasting"])
                yield when, "lasting", f"{rule['name']} {alert.fingerprint}", (rule["name"], alert)

    def _pass(self, what: str, whose: Any) -> None:
        if what == "expire":
            whose.firing = False
            self._ended(whose, "AlertExpired")
        elif what == "forget":
            self.alerts.remove(whose)
        elif what == "lasting":
            rule, alert = whose
            self._escalate(alert.incident, rule, [f"{PARTITION}-{alert.fired_by}"])
        else:
            self._settled(whose)

    def _settled(self, incident: Happened) -> None:
        if self._fires(incident):
            incident.state = "open"
            self._reopened(incident)
            return
        incident.state, incident.closed_ms = "closed", self.now_ms
        incident.tell("Closed", self.now_ms)
        self._notify_owner(incident, "resolved", self.policy["notify"]["channels"][incident.severity])
        for alert in self.alerts:
            if alert.incident is incident:
                alert.incident, alert.forget_ms = None, self.now_ms + self._life("forget")

    # Records.

    def _apply(self, value: bytes, component: str) -> str:
        """Apply a record from outside; the reason when it is refused, else nothing."""
        try:
            document = orjson.loads(value)
        except orjson.JSONDecodeError:
            return "malformed"
        if not isinstance(document, dict):
            return "malformed"
        match next(iter(document), ""):
            case "tick":
                return ""
            case "alert":
                return self._alert(document, component) if isinstance(document["alert"], str) else "malformed"
            case "command":
                return self._command(document) if isinstance(document["command"], str) else "malformed"
            case "policy":
                self.policy = document["document"]
                return ""
            case _:
                return "unknown_kind"

    def _alert(self, document: dict[str, Any], component: str) -> str:
        known = next((alert for alert in self.alerts if alert.fingerprint == document["alert"]), None)
        firing = document["status"] == "firing"
        if known is not None and known.firing == firing:
            known.count, known.last_ms = known.count + 1, self.now_ms
            known.hold_ms = document["hold_ms"] if firing else known.hold_ms
            return ""
        fresh = self._judged(document, component)
        if known is None or (firing and known.incident is None):
            if refusal := self._no_room(fresh, known):
                return refusal
            self.alerts = [alert for alert in self.alerts if alert is not known] + [fresh]
            known = fresh
        known.count, known.last_ms, known.firing = known.count + 1, self.now_ms, firing
        if firing:
            known.hold_ms, known.fired_ms, known.fired_by = document["hold_ms"], self.now_ms, self.offset
            self._fired(known)
        elif known.incident is not None:
            self._ended(known, "AlertEnded")
        else:
            known.forget_ms = self.now_ms + self._life("forget")
        return ""

    def _no_room(self, alert: Known, known: Known | None) -> str:
        bounds = {"alerts": 200_000, "alerts_in_incident": 10_000, "incidents": 50_000} | self.policy.get("bounds", {})
        incident = self._current(alert.component, alert.kind)
        full = known is None and len(self.alerts) >= bounds["alerts"]
        if incident is None:
            full = full or sum(one.state != "closed" for one in self.incidents) >= bounds["incidents"]
        elif alert.fingerprint not in incident.alerts:
            full = full or len(incident.alerts) >= bounds["alerts_in_incident"]
        return "bound_reached" if full else ""

    def _fired(self, alert: Known) -> None:
        incident = self._current(alert.component, alert.kind)
        if incident is None:
            incident = self._open(self._prefix(alert.kind), alert.component, alert.kind, alert.severity, alert.owner)
            alert.incident = incident
            incident.alerts.append(alert.fingerprint)
        else:
            self._join(incident, alert)
        for rule in self.policy["escalations"]:
            if rule.get("always") and _is_about(rule, alert):
                self._escalate(incident, rule["name"], [f"{PARTITION}-{alert.fired_by}"])
        for rule, group in self._correlations_of(alert):
            seen = Firing(rule["name"], group, self.now_ms, alert.fingerprint, f"{PARTITION}-{alert.fired_by}")
            if rule["by"] != ["component"]:
                self.signals.append((rule["name"], group, True, seen))
                continue
            self.firings.append(seen)
            window = self._window(rule, group)
            if len(window) >= rule["count"]:
                self._escalate(incident, rule["name"], [one.record for one in window])

    def _join(self, incident: Happened, alert: Known) -> None:
        was, alert.incident = incident.state, incident
        if alert.fingerprint not in incident.alerts:
            incident.alerts.append(alert.fingerprint)
        incident.tell("AlertFired", self.now_ms)
        if was == "resolved":
            incident.state = "open"
            self._reopened(incident)
        if alert.severity < incident.severity:
            incident.severity = alert.severity
            incident.tell("SeverityRaised", self.now_ms)
            self._notify_owner(incident, "severity_raised", self.policy["notify"]["channels"][incident.severity])

    def _ended(self, alert: Known, how: str) -> None:
        incident = alert.incident
        assert incident is not None
        incident.tell(how, self.now_ms)
        for rule, group in self._correlations_of(alert):
            if rule["by"] != ["component"]:
                seen = Firing(rule["name"], group, self.now_ms, alert.fingerprint, f"{PARTITION}-{alert.fired_by}")
                self.signals.append((rule["name"], group, False, seen))
        if not self._fires(incident):
            self._resolved(incident, incident.resolved[1])

    def _signal(self, name: str, group: str, firing: bool, seen: Firing) -> None:
        incident = self._current(f"{name}/{group}", "correlated")
        rule = next((one for one in self.policy["correlations"] if one["name"] == name), None)
        mark = (name, group, seen.fingerprint)
        if not firing:
            self.ended.add(mark)
            if incident is not None and incident.members.get(seen.fingerprint):
                self._member_ended(incident, seen.fingerprint)
        elif rule is not None:
            self.ended.discard(mark)
            self.firings.append(Firing(name, group, self.now_ms, seen.fingerprint, seen.record))
            window = self._window(rule, group)
            if incident is not None:
                self._member_fired(incident, seen.fingerprint)
            elif len(window) >= rule["count"]:
                opening = rule["open"]
                opened = self._open("INC", f"{name}/{group}", "correlated", opening["severity"], opening["owner"])
                members = [one.fingerprint for one in window if (name, group, one.fingerprint) not in self.ended]
                opened.members = dict.fromkeys(members, True)
                if rule.get("escalate"):
                    self._escalate(opened, name, [one.record for one in window])

    def _member_fired(self, incident: Happened, fingerprint: str) -> None:
        limit = self.policy.get("bounds", {}).get("alerts_in_incident", 10_000)
        if fingerprint not in incident.members and len(incident.members) >= limit:
            return
        incident.members[fingerprint] = True
        incident.tell("MemberFired", self.now_ms)
        if incident.state == "resolved":
            incident.state = "open"
            self._reopened(incident)

    def _member_ended(self, incident: Happened, fingerprint: str) -> None:
        incident.members[fingerprint] = False
        incident.tell("MemberEnded", self.now_ms)
        if not self._fires(incident):
            self._resolved(incident, incident.resolved[1])

    def _command(self, document: dict[str, Any]) -> str:
        name, by = document["command"], document["by"]
        incident = next((one for one in self.incidents if one.id == document["incident"]), None)
        if incident is None or incident.state == "closed":
            return "unknown_incident"
        if name in ("acknowledge", "resolve") and incident.state == "resolved":
            return "illegal_transition"
        if name == "reopen" and incident.state != "resolved":
            return "illegal_transition"
        if name == "acknowledge":
            incident.state, incident.acknowledged = "acknowledged", (self.now_ms, by)
            incident.tell("Acknowledged", self.now_ms)
        elif name == "resolve":
            self._resolved(incident, by)
        elif name == "reopen":
            incident.state = "open"
            self._reopened(incident)
        elif name == "escalate":
            self._climb(incident, "manual", [f"{PARTITION}-{self.offset}"])
        else:
            incident.tell("Noted", self.now_ms)
        return ""

    # What happens to an incident.

    def _open(self, prefix: str, component: str, kind: str, severity: str, owner: str) -> Happened:
        name = incident_id(prefix, self.now_ms, PARTITION, self.offset, self.opened)
        self.opened += 1
        incident = Happened(name, component, kind, severity, owner, self.now_ms)
        self.incidents.append(incident)
        incident.tell("Opened", self.now_ms)
        self._notify_owner(incident, "opened", self.policy["notify"]["channels"][severity])
        for one in self.policy["classes"]:
            if one["name"] == kind:
                for role in one.get("also_tell", []):
                    self._notify(incident, "opened", self.policy["contacts"][role], ["email"])
        return incident

    def _resolved(self, incident: Happened, by: str) -> None:
        incident.state, incident.resolved = "resolved", (self.now_ms, by)
        incident.tell("Resolved", self.now_ms)

    def _reopened(self, incident: Happened) -> None:
        incident.reopened += 1
        incident.resolved = (0, "")
        incident.tell("Reopened", self.now_ms)
        self._notify_owner(incident, "reopened", self.policy["notify"]["reopened"])

    def _escalate(self, incident: Happened, rule: str, records: list[str]) -> None:
        if rule not in incident.rules:
            incident.rules.append(rule)
            self._climb(incident, rule, records)

    def _climb(self, incident: Happened, rule: str, records: list[str]) -> None:
        chain = self.policy["teams"][incident.owner]["chain"]
        incident.step = min(incident.step + 1, len(chain))
        contact = self.policy["contacts"][chain[incident.step - 1]]
        incident.escalations.append((rule, incident.step, contact["name"], tuple(records), self.now_ms))
        incident.tell("Escalated", self.now_ms)
        channels = [name for name in self.policy["notify"]["channels"][incident.severity] if contact.get(name)]
        self._notify(incident, "escalated", contact, channels or ["email", "chat", "pager"])

    def _notify_owner(self, incident: Happened, kind: str, channels: Iterable[str]) -> None:
        team = self.policy["teams"][incident.owner]
        for channel in channels:
            contact = self.policy["contacts"][team["chain"][0]] if channel == "pager" else team["contact"]
            self._notify(incident, kind, contact, [channel])

    def _notify(self, incident: Happened, kind: str, contact: Mapping[str, str], channels: Iterable[str]) -> None:
        for channel in channels:
            if contact.get(channel):
                incident.notifications.append((kind, channel, contact["name"], self.now_ms))

    # Questions.

    def _current(self, component: str, kind: str) -> Happened | None:
        found = [one for one in self.incidents if (one.component, one.kind) == (component, kind)]
        return next((one for one in found if one.state != "closed"), None)

    def _fires(self, incident: Happened) -> bool:
        mine = [alert for alert in self.alerts if alert.incident is incident and alert.firing]
        return bool(mine) or any(incident.members.values())

    def _window(self, rule: Mapping[str, Any], group: str) -> list[Firing]:
        """The newest `count` different alerts that fired within the rule's time, oldest first."""
        since_ms = self.now_ms - parse_ms(rule["within"])
        newest: dict[str, Firing] = {}
        for one in self.firings:
            if (one.rule, one.group) == (rule["name"], group) and one.at_ms > since_ms:
                newest.pop(one.fingerprint, None)
                newest[one.fingerprint] = one
        return list(newest.values())[-rule["count"] :]

    def _correlations_of(self, alert: Known) -> Iterator[tuple[Mapping[str, Any], str]]:
        known = {"component": alert.component, "owner": alert.owner, "severity": alert.severity}
        for rule in self.policy["correlations"]:
            values = [known.get(name) or alert.labels.get(name, "") for name in rule["by"]]
            if _is_about(rule, alert) and all(values):
                yield rule, ", ".join(values)

    def _life(self, what: str) -> int:
        return parse_ms(self.policy["incidents"][what])

    def _prefix(self, kind: str) -> str:
        return next((str(one["prefix"]) for one in self.policy["classes"] if one["name"] == kind), "INC")

    def _judged(self, document: dict[str, Any], component: str) -> Known:
        labels, policy = document["labels"], self.policy
        severity = self._severity(labels)
        owners = [entry["team"] for entry in policy["ownership"] if _matches(entry["match"], labels)]
        owner, kind = [*owners, policy["default_owner"]][0], "operations"
        for one in policy["classes"]:
            if kind == "operations" and _matches(one["match"], labels):
                kind, owner = one["name"], one.get("owner", owner)
                severity = min(severity, one.get("severity", severity))
        return Known(document["alert"], component, labels, severity, owner, kind)

    def _severity(self, labels: Mapping[str, str]) -> str:
        severities = self.policy["severities"]
        for rule in severities["rules"]:
            if _matches(rule["match"], labels):
                return str(rule["severity"])
        said = [labels[name] for name in severities["labels"] if labels.get(name)]
        return str(severities["names"].get(said[0].lower(), severities["unknown"]) if said else severities["missing"])


def _is_about(rule: Mapping[str, Any], alert: Known) -> bool:
    """Whether an escalation or a correlation is about alerts like this one."""
    return (
        alert.severity in rule.get("severity", [alert.severity])
        and rule.get("class", alert.kind) == alert.kind
        and _matches(rule.get("match", []), alert.labels)
    )


def _matches(selector: Sequence[Any], labels: Mapping[str, str]) -> bool:
    alternatives = selector if selector and isinstance(selector[0], list) else [selector]
    return any(all(_holds(text, labels) for text in matchers) for matchers in alternatives)


def _holds(text: str, labels: Mapping[str, str]) -> bool:
    found = MATCHER.fullmatch(text)
    assert found is not None, text
    label, operator, value = found.groups()
    return labels.get(label, "") == value if operator == "=" else bool(re.fullmatch(value, labels.get(label, "")))
