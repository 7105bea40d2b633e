"""The same meaning as the engine's, written in the slowest and plainest way: an oracle to compare it with.

It shares no code with `app.core`. It has no timers, indexes, windows or changelog: it keeps everything that ever
happened, looks at every deadline again before each record, and finds each thing by looking through all of them. It
reads the policy as it is written in the file. What it tells are facts, not bytes.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from models.duration import parse_ms
from models.incident import incident_id
from tests.naive_facts import (
    Firing,
    Happened,
    Known,
    besides,
    correlations_of,
    current,
    fires,
    held_without,
    is_held,
    judged,
    no_room,
    own_deadlines,
    refused,
    rules_about,
    struck,
    window_of,
)
from tests.naive_policy import by, is_about, prefix_of

PARTITION = 0


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
        self.messages: list[tuple[Any, ...]] = []  # a function and its arguments

    def feed(self, value: bytes, component: str, at_ms: int) -> None:
        """Apply a record and, as records of their own, the signals that it causes."""
        self._record(at_ms)
        refusal = self._apply(value, component)
        if refusal:
            self.dead.append((self.offset, refusal))
        self._do_what_is_due()
        waiting = self._said()
        while waiting:
            message, *about = waiting.pop(0)
            self._record(at_ms)
            message(*about)
            self._do_what_is_due()
            waiting += self._said()

    def _said(self) -> list[tuple[Any, ...]]:
        """The messages to actors since the last call; they come next in the journal."""
        said, self.messages = self.messages, []
        return said

    def _record(self, at_ms: int) -> None:
        self.offset += 1
        self.opened = 0
        if at_ms <= self.now_ms:
            return
        while due := [one for one in self._deadlines() if one[0] <= at_ms]:
            when, what, _, whose = min(due, key=lambda one: one[:3])
            self.now_ms = max(self.now_ms, when)
            self._pass(what, whose)
            self._do_what_is_due()
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
            for when, _, _ in self._own_deadlines(incident):
                yield when, "incident", incident.id, incident

    def _do_what_is_due(self) -> None:
        """Deadlines that came with a change are done with it; the others wait for their turn in the order of names."""
        for incident in self.incidents:
            while incident.touched and (due := [one for one in self._own_deadlines(incident) if one[0] <= self.now_ms]):
                _, what, which = min(due, key=lambda one: (one[0], one[1] != "tell"))  # else the first of the equal
                self._own(incident, what, which)
            incident.touched = False

    def _own_deadlines(self, incident: Happened) -> Iterator[tuple[int, str, str]]:
        return own_deadlines(self.policy, incident, held=is_held(self.alerts, incident))

    def _own(self, incident: Happened, what: str, which: str) -> None:
        match what:
            case "settle":
                self._settled(incident)
            case "tell":
                self._tell(incident)
            case "near":
                incident.clocks[which] = "warned"
                incident.tell("ClockWarned", self.now_ms)
                self._clock_told(incident, "clock_warned")
                for rule in rules_about(self.policy, incident, "target"):
                    if rule["target"] == which:
                        self._escalate(incident, rule["name"], [f"{PARTITION}-{incident.opened_by}"])
            case "undone":
                self._escalate(incident, which, [f"{PARTITION}-{incident.opened_by}"])
            case "missed":
                incident.clocks[which] = "breached"
                incident.tell("ClockBreached", self.now_ms)
                self._clock_told(incident, "clock_breached")
            case "climb":
                self._climb(incident, "unacknowledged", [f"{PARTITION}-{incident.opened_by}"])
            case "remind":
                incident.reminded += 1
                incident.tell("Reminded", self.now_ms)
                self._notify_owner(incident, "reminder", ["chat"])
            case "forgotten":
                incident.state = "open"
                self._word(incident)
                incident.tell("Forgotten", self.now_ms)
                self._climb(incident, "forgotten", [f"{PARTITION}-{incident.opened_by}"])

    def _clock_told(self, incident: Happened, kind: str) -> None:
        if incident.told[0] and not is_held(self.alerts, incident):
            self._notify_owner(incident, kind, ["chat"])

    def _tell(self, incident: Happened) -> None:
        channels = self.policy["notify"]["channels"][incident.severity]
        told_ms, told_alerts, told_severity = incident.told
        size = len(incident.alerts) + len(incident.members)
        if not told_ms:
            incident.since["step"] = self.now_ms
            self._word(incident)
            incident.first_told = self.now_ms
            kind = "opened"
        elif incident.severity < told_severity:
            kind = "severity_raised"
        else:
            kind = "updated" if size > told_alerts else "repeated"
        if incident.state == "acknowledged" and kind in ("updated", "repeated"):
            channels = ["chat"]
        self._notify_owner(incident, kind, channels)
        if kind in ("opened", "severity_raised"):
            for contact in besides(self.policy, incident):
                self._notify_all(incident, kind, contact)
        incident.told = (self.now_ms, size, incident.severity)

    def _word(self, incident: Happened) -> None:
        incident.since["word"], incident.reminded = self.now_ms, 0

    def _done(self, incident: Happened, clock: str) -> None:
        target = by(self.policy["targets"], clock, incident.severity)
        if target is not None and incident.clocks.get(clock) not in ("breached", "met"):
            incident.clocks[clock] = "met"
            incident.tell("ClockMet", self.now_ms)

    def _lasting(self, alert: Known) -> Iterator[tuple[int, str, str, Any]]:
        assert alert.incident is not None
        for rule in self.policy["escalations"]:
            if "lasting" in rule and rule["name"] not in alert.incident.rules and is_about(rule, alert):
                if alert.held_by:
                    continue
                when = alert.fired_ms + parse_ms(rule["lasting"])
                yield when, "lasting", f"{rule['name']} {alert.fingerprint}", (rule["name"], alert)

    def _pass(self, what: str, whose: Any) -> None:
        if what == "incident":
            whose.touched = True
        elif what == "expire":
            whose.firing = False
            self._ended(whose, "AlertExpired")
        elif what == "forget":
            self.alerts.remove(whose)
        elif what == "lasting":
            rule, alert = whose
            self._escalate(alert.incident, rule, [f"{PARTITION}-{alert.fired_by}"])

    def _settled(self, incident: Happened) -> None:
        if fires(self.alerts, incident):
            incident.state = "open"
            self._reopened(incident)
            return
        incident.state, incident.closed_ms = "closed", self.now_ms
        incident.tell("Closed", self.now_ms)
        if incident.told[0]:
            self._notify_owner(incident, "resolved", self.policy["notify"]["channels"][incident.severity])
            chain = self.policy["teams"][incident.owner]["chain"][1 : incident.step]
            called = [self.policy["contacts"][role] for role in chain]
            for contact in [*called, *(one for one in besides(self.policy, incident) if one not in called)]:
                self._notify_all(incident, "resolved", contact)
        for alert in self.alerts:
            if alert.incident is incident:
                alert.incident, alert.forget_ms = None, self.now_ms + by(self.policy["incidents"], "forget", "")

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
                for incident in self.incidents:
                    incident.touched = True
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
        fresh = judged(self.policy, document, component)
        if known is None or (firing and known.incident is None):
            if refusal := no_room(self.policy, self.alerts, self.incidents, fresh, known):
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
            known.forget_ms = self.now_ms + by(self.policy["incidents"], "forget", "")
        return ""

    def _fired(self, alert: Known) -> None:
        incident = current(self.incidents, alert.component, alert.kind)
        if incident is None:
            incident = self._open(
                prefix_of(self.policy, alert.kind), alert.component, alert.kind, alert.severity, alert.owner
            )
            alert.incident = incident
            incident.alerts.append(alert.fingerprint)
        else:
            self._join(incident, alert)
        for rule in self.policy["escalations"]:
            if rule.get("always") and is_about(rule, alert):
                self._escalate(incident, rule["name"], [f"{PARTITION}-{alert.fired_by}"])
        for rule, group in correlations_of(self.policy, alert):
            seen = Firing(rule["name"], group, self.now_ms, alert.fingerprint, f"{PARTITION}-{alert.fired_by}")
            if rule["by"] != ["component"]:
                self.messages.append((self._signal, rule["name"], group, True, seen))
                continue
            self.firings.append(seen)
            window = window_of(rule, group, self.firings, self.now_ms)
            if len(window) >= rule["count"]:
                self._escalate(incident, rule["name"], [one.record for one in window])

    def _join(self, incident: Happened, alert: Known) -> None:
        was, was_held, alert.incident = incident.state, held_without(self.alerts, incident, alert), incident
        if alert.fingerprint not in incident.alerts:
            incident.alerts.append(alert.fingerprint)
        incident.tell("AlertFired", self.now_ms)
        if was == "resolved":
            incident.state = "open"
            self._reopened(incident)
        if alert.severity < incident.severity:
            incident.severity = alert.severity
            incident.since["severity"] = self.now_ms
            incident.clocks = {name: state for name, state in incident.clocks.items() if state != "warned"}
            incident.tell("SeverityRaised", self.now_ms)
            self._grew(incident)
        self._note_held(incident, was=was_held)

    def _ended(self, alert: Known, how: str) -> None:
        incident = alert.incident
        assert incident is not None
        incident.tell(how, self.now_ms)
        firing = [one for one in self.alerts if one.incident is incident and (one.firing or one is alert)]
        was = all(one.held_by for one in firing)
        alert.held_by.clear()
        for rule, group in correlations_of(self.policy, alert):
            if rule["by"] != ["component"]:
                seen = Firing(rule["name"], group, self.now_ms, alert.fingerprint, f"{PARTITION}-{alert.fired_by}")
                self.messages.append((self._signal, rule["name"], group, False, seen))
        if not fires(self.alerts, incident):
            self._resolved(incident, incident.resolved[1])
        self._note_held(incident, was=was)

    def _signal(self, name: str, group: str, firing: bool, seen: Firing) -> None:
        incident = current(self.incidents, f"{name}/{group}", "correlated")
        rule = next((one for one in self.policy["correlations"] if one["name"] == name), None)
        mark = (name, group, seen.fingerprint)
        if not firing:
            self.ended.add(mark)
            if incident is not None and incident.members.get(seen.fingerprint):
                self._member_ended(incident, seen.fingerprint)
        elif rule is not None:
            self.ended.discard(mark)
            self.firings.append(Firing(name, group, self.now_ms, seen.fingerprint, seen.record))
            window = window_of(rule, group, self.firings, self.now_ms)
            if incident is not None:
                self._member_fired(incident, seen.fingerprint, name)
            elif len(window) >= rule["count"]:
                opening = rule["open"]
                opened = self._open("INC", f"{name}/{group}", "correlated", opening["severity"], opening["owner"])
                members = [one.fingerprint for one in window if (name, group, one.fingerprint) not in self.ended]
                opened.members = dict.fromkeys(members, True)
                for fingerprint in members:
                    self._hold_later(fingerprint, name)
                if rule.get("escalate"):
                    self._escalate(opened, name, [one.record for one in window])

    def _hold_later(self, fingerprint: str, rule: str) -> None:
        alert = next(one for one in self.alerts if one.fingerprint == fingerprint)
        self.messages.append((self._hold, fingerprint, alert.fired_by, rule))

    def _hold(self, fingerprint: str, fired_by: int, rule: str) -> None:
        """An alert is a member of something larger, and pages nobody by itself while it fires."""
        alert = next(one for one in self.alerts if one.fingerprint == fingerprint)
        if not alert.firing or alert.fired_by != fired_by or alert.incident is None:
            return
        if any(one.get("always") and is_about(one, alert) for one in self.policy["escalations"]):
            return
        was = is_held(self.alerts, alert.incident)
        alert.incident.touched = alert.incident.member = True
        alert.held_by.add(rule)
        self._note_held(alert.incident, was=was)

    def _note_held(self, incident: Happened, *, was: bool) -> None:
        held = is_held(self.alerts, incident)
        if held and not was and incident.told[0]:
            self._notify_owner(incident, "held", ["chat"])
        elif was and not held and incident.state != "resolved":
            incident.since["open"] = incident.since["step"] = self.now_ms
            self._word(incident)
            if incident.told[0]:
                self._notify_owner(incident, "released", ["chat"])

    def _member_fired(self, incident: Happened, fingerprint: str, rule: str) -> None:
        limit = self.policy.get("bounds", {}).get("alerts_in_incident", 10_000)
        if fingerprint not in incident.members and len(incident.members) >= limit:
            return
        before = struck(self.alerts, incident)
        incident.members[fingerprint] = True
        incident.tell("MemberFired", self.now_ms)
        if struck(self.alerts, incident) > before:
            self._grew(incident)
        self._hold_later(fingerprint, rule)
        if incident.state == "resolved":
            incident.state = "open"
            self._reopened(incident)

    def _member_ended(self, incident: Happened, fingerprint: str) -> None:
        incident.members[fingerprint] = False
        incident.tell("MemberEnded", self.now_ms)
        if not fires(self.alerts, incident):
            self._resolved(incident, incident.resolved[1])

    def _command(self, document: dict[str, Any]) -> str:
        name, by = document["command"], document["by"]
        incident = next((one for one in self.incidents if one.id == document["incident"]), None)
        if name == "done":
            return "unknown_task"
        if incident is None or incident.state == "closed":
            return "unknown_incident"
        if refusal := refused(incident, name, fires=fires(self.alerts, incident)):
            return refusal
        match name:
            case "acknowledge":
                self._acknowledged(incident, by)
            case "assign":
                incident.tell("Assigned", self.now_ms)
            case "assessed":
                if incident.state == "open":
                    self._acknowledged(incident, by)
                incident.tell("Assessed", self.now_ms)
            case "resolve":
                self._resolved(incident, by)
            case "reopen":
                incident.state = "open"
                self._reopened(incident)
            case "close":
                self._settled(incident)
            case "escalate":
                self._climb(incident, "manual", [f"{PARTITION}-{self.offset}"])
            case _:
                kinds = {"note": "Noted", "cause": "CauseNamed", "mitigated": "Mitigated", "update": "Updated"}
                incident.tell(kinds.get(name, "Complained"), self.now_ms)
                incident.done.add({"mitigated": "mitigation"}.get(name, name))
                if name == "complaint":
                    incident.complaints += 1
                    for rule in rules_about(self.policy, incident, "complaints"):
                        if incident.complaints >= rule["complaints"]:
                            self._escalate(incident, rule["name"], [f"{PARTITION}-{self.offset}"])
                if name == "update":
                    self._notify_owner(incident, "update", ["chat"])
                    for contact in besides(self.policy, incident):
                        self._notify_all(incident, "update", contact)
        self._word(incident)
        return ""

    def _grew(self, incident: Happened) -> None:
        for rule in rules_about(self.policy, incident, "grew"):
            if incident.state == "acknowledged":
                self._escalate(incident, rule["name"], [f"{PARTITION}-{self.offset}"])

    def _acknowledged(self, incident: Happened, by: str) -> None:
        incident.state, incident.acknowledged = "acknowledged", (self.now_ms, by)
        incident.tell("Acknowledged", self.now_ms)
        self._done(incident, "acknowledge")
        self._notify_owner(incident, "acknowledged", ["chat"])

    # What happens to an incident.

    def _open(self, prefix: str, component: str, kind: str, severity: str, owner: str) -> Happened:
        name = incident_id(prefix, self.now_ms, PARTITION, self.offset, self.opened)
        self.opened += 1
        incident = Happened(name, component, kind, severity, owner, self.now_ms)
        incident.opened_by = self.offset
        incident.since = dict.fromkeys(("open", "severity", "step", "word"), self.now_ms)
        self.incidents.append(incident)
        incident.tell("Opened", self.now_ms)
        return incident

    def _resolved(self, incident: Happened, by: str) -> None:
        incident.state, incident.resolved = "resolved", (self.now_ms, by)
        incident.tell("Resolved", self.now_ms)
        self._done(incident, "resolve")

    def _reopened(self, incident: Happened) -> None:
        incident.reopened += 1
        incident.resolved = (0, "")
        incident.since["open"] = incident.since["step"] = self.now_ms
        self._word(incident)
        if incident.clocks.get("resolve") == "met":
            del incident.clocks["resolve"]
        incident.tell("Reopened", self.now_ms)
        if incident.told[0] and not is_held(self.alerts, incident):
            self._notify_owner(incident, "reopened", self.policy["notify"]["reopened"])

    def _escalate(self, incident: Happened, rule: str, records: list[str]) -> None:
        if rule not in incident.rules and not is_held(self.alerts, incident):
            incident.rules.append(rule)
            self._climb(incident, rule, records)

    def _climb(self, incident: Happened, rule: str, records: list[str]) -> None:
        if not incident.told[0]:
            self._tell(incident)
        chain = self.policy["teams"][incident.owner]["chain"]
        incident.step = min(incident.step + 1, len(chain))
        incident.since["step"] = self.now_ms
        contact = self.policy["contacts"][chain[incident.step - 1]]
        incident.escalations.append((rule, incident.step, contact["name"], tuple(records), self.now_ms))
        incident.tell("Escalated", self.now_ms)
        self._notify_all(incident, "escalated", contact)

    def _notify_all(self, incident: Happened, kind: str, contact: Mapping[str, str]) -> None:
        channels = [name for name in self.policy["notify"]["channels"][incident.severity] if contact.get(name)]
        self._notify(incident, kind, contact, channels or ["email", "chat", "pager"])

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
