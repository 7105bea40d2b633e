"""The same meaning as the engine's, written in the slowest and plainest way: an oracle to compare it with.

It shares no code with `app.core`. It has no timers, indexes, windows or changelog: it keeps
everything, looks at every deadline again before each record, and searches all things. It reads the
policy as it is written. What it tells are facts, not bytes; it knows incidents by what they are
about, and records by their number among those that came from outside.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from models.text.duration import parse_ms
from tests.oracle import (
    bounds,
    commands,
    digests,
    facts,
    followups,
    heartbeats,
    hours,
    inhibition,
    near,
    notification,
    owning,
    places,
    rules,
    silences,
    suppression,
)
from tests.oracle.deadlines import duration_due, own_deadlines
from tests.oracle.facts import (
    Firing,
    Happened,
    Known,
    always_escalates,
    correlations_of,
    current_incident,
    evaluated_alert,
    firing_alerts,
    is_firing,
    rules_about,
    urgent,
)
from tests.oracle.policy import by, is_about, named, prefix_of, says_over


class Naive:
    """The oracle of one partition.

    `feed` it the records that came from outside; what actors say follows by itself.
    """

    def __init__(self, policy: Mapping[str, Any]) -> None:
        self.policy = policy
        self.now_ms = 0
        self.number = -1  # of the record from outside
        self.alerts: list[Known] = []
        self.incidents: list[Happened] = []
        self.firings: list[Firing] = []
        self.silences: list[silences.Silence] = []
        self.shown: list[inhibition.Shown] = []
        self.spoken: dict[
            tuple[str, tuple[str, ...]], dict[str, inhibition.Shown]
        ] = {}  # what rules said keeps quiet
        # Rule, group and fingerprint of what ended after it fired last.
        self.ended: set[tuple[str, str, str]] = set()
        self.done: list[tuple[Any, int]] = []  # what came at a time, and is over
        self.sent: dict[
            tuple[str, str], list[int]
        ] = {}  # receiver and channel -> when messages went out
        self.waiting: dict[
            tuple[str, str], tuple[int, list[digests.Page]]
        ] = {}  # and those that wait, and until when
        self.digests: list[tuple[str, str, int, str, dict[str, int], tuple[str, ...]]] = []
        self.beats: dict[str, heartbeats.Beat] = {}
        self.expected: list[heartbeats.Expected] = []
        self.tasks: list[followups.Task] = []
        # Incidents -> what orders them where things happen to several at one time.
        self.order: dict[str, str] = {}
        self.near = near.Memory()
        self.reached: set[str] = set()  # what of interest happened: journals have to come there
        self.dead: list[tuple[int, str]] = []
        self.met: dict[str, str] = {}  # bounds that are near or reached
        self.messages: list[tuple[Any, ...]] = []  # a function and its arguments
        # what this step has told an address of an incident, and where that stands
        self.has_digests = False  # some message went to a receiver's actor
        self.posted: dict[tuple[str, str, str, bool], tuple[digests.Page, int]] = {}

    def feed(self, value: bytes, at_ms: int) -> None:
        """Apply a record, and after it what actors say to each other because of it."""
        self.number += 1
        self._pass_time(at_ms)
        for part in facts.alerts_of_request(value, self.reached) or [value]:
            refusal = self._apply(part)
            if refusal:
                self.dead.append((self.number, refusal))
        bounds.tell(self)
        self.end_step()
        while self.messages:
            message, *about = self.messages.pop(0)
            message(*about)
            self.end_step()

    def _pass_time(self, at_ms: int) -> None:
        if at_ms <= self.now_ms:
            return
        while due := [one for one in self._deadlines() if one[0] <= at_ms]:
            when, what, _, whose = min(due, key=lambda one: one[:3])
            self.now_ms = max(self.now_ms, when)
            together = [one[3] for one in due if one[:2] == (when, what)]
            self._pass(what, whose if what != "0 silence" else together)
            self.do_what_is_due()
            if min((one[0] for one in self._deadlines()), default=at_ms + 1) > self.now_ms:
                self.posted.clear()  # what happens at one instant is told in one message
        self.now_ms = at_ms
        forget_ms = by(self.policy["incidents"], "retain_resolved", "")
        self.silences = [
            one for one in self.silences if max(one.ends_ms, one.at_ms) + forget_ms > at_ms
        ]

    # Time.

    def _deadlines(self) -> Iterator[tuple[int, str, str, Any]]:
        """Every deadline that there is: when, what, the name that orders equal times, and whose."""
        for alert in self.alerts:
            if alert.firing:
                yield owning.expires_ms(self, alert), "expire", alert.fingerprint, alert
                if alert.waits:
                    yield (
                        alert.fired_ms + rules.wait_of(self.policy, alert),
                        "wait",
                        alert.fingerprint,
                        alert,
                    )
                yield from duration_due(self, alert)
            elif alert.incident is None:
                yield alert.retain_until_ms, "retain_resolved", alert.fingerprint, alert
        for incident in self.incidents:
            if incident.waits:
                yield (
                    incident.since["open"] + incident.wait_ms,
                    "wait",
                    self.order.get(incident.id, "~"),
                    incident,
                )
            for when, _, _ in self._due(incident):
                yield (
                    when,
                    "incident",
                    self.order.get(incident.id, f"~{incident.opened_ms}"),
                    incident,
                )
        for silence in self.known_silences().values():
            for when in (silence.starts_ms, silence.ends_ms):
                if when > silence.at_ms and (silence, when) not in self.done:
                    yield (
                        when,
                        "0 silence",
                        silence.id,
                        (silence, when),
                    )  # before all else at its time
        for where, (due_ms, _) in self.waiting.items():
            yield due_ms, "digest", "\n".join(where), where
        for beat in self.beats.values():
            if beat.heard and (missing := heartbeats.missing_ms(self.policy, beat)) is not None:
                yield beat.last_ms + missing, "heartbeat", beat.fingerprint, beat
        yield from heartbeats.expected_deadlines(self)
        for task in self.tasks:
            if task.state == "open":
                yield (
                    followups.reminder_ms(self.policy, task),
                    "task",
                    f"{self.order.get(task.incident.id, '')}.{task.name}",
                    task,
                )
        for one in self.shown:
            grace = parse_ms(inhibition.rules_by_name(self.policy)[one.rule].get("grace", "0s"))
            for over_ms in {min(grace, rules.interval_of(self.policy)), grace}:
                if over_ms and (one, one.at_ms + over_ms) not in self.done:
                    yield one.at_ms + over_ms, "link", one.rule, (one, one.at_ms + over_ms)

    def end_step(self) -> None:
        """Do what is due with it; what comes next is another step."""
        self.do_what_is_due()
        self.posted.clear()

    def do_what_is_due(self) -> None:
        """Deadlines that came with a change are done with it.

        The others wait for their turn in the order of names.
        """
        changed: list[Happened] = []
        while more := [one for one in self.incidents if one.touched and one not in changed]:
            more.sort(key=lambda one: one.touched)
            changed += more
            for incident in more:
                self._do_what_is_due(incident)
        for incident in changed:
            incident.touched = 0
        rules.look_who_knows(self)
        near.review(self, changed)

    def _do_what_is_due(self, incident: Happened) -> None:
        while due := [one for one in self._due(incident) if one[0] <= self.now_ms]:
            _, what, which = min(due, key=lambda one: one[0])  # the first of the equal
            self._own(incident, what, which)

    def _due(self, incident: Happened) -> Iterator[tuple[int, str, str]]:
        loud = [alert for alert in firing_alerts(self.alerts, incident) if not self.is_held(alert)]
        incident.unheard = [alert.fired_ms for alert in loud]
        return own_deadlines(
            self.policy,
            incident,
            lambda at_ms: self.next_told(incident, at_ms),
            held=incident.quiet,
            waits_for_somebody=incident.state == "open" or bool(notification.left(self, incident)),
            unnamed=bool(self.unnamed(incident)),
        )

    def unnamed(self, incident: Happened) -> list[Known | Happened]:
        """What of it is urgent and fires, and no message has named.

        One that a rule opened is urgent itself.
        """
        if incident.rule:
            return [incident] if incident.anew_ms else []
        alerts = [one for one in firing_alerts(self.alerts, incident) if urgent(one.severity)]
        return [one for one in alerts if not one.named and not self.is_held(one)]

    def next_told(self, incident: Happened, at_ms: int) -> int:
        """When its owner may be told, from then on."""
        its = [alert for alert in self.alerts if alert.fingerprint in incident.alerts]
        return hours.next_told(self.policy, incident, its, at_ms, self.now_ms)

    def say(self, incident: Happened, kind: str) -> None:
        """Tell the owner, or wait for the hours: what waited before is no news any more.

        A new owner has heard of nothing yet, and will be told all.
        """
        if incident.told[0] and incident.notified_owner != incident.owner:
            return
        if self.next_told(incident, self.now_ms) == self.now_ms:
            incident.deferred_notification = None
            self.tell_owner(incident, kind)
        else:
            incident.deferred_notification = (kind, self.now_ms)
            incident.touch()

    def _own(self, incident: Happened, what: str, which: str) -> None:
        match what:
            case "close_after":
                self.settled(incident)
            case "tell":
                notification.news(self, incident)
            case "near":
                incident.clocks[which] = "warned"
                incident.tell("ClockWarned", self.now_ms)
                notification.clock(self, incident, "clock_warned", which)
                for rule in rules_about(self.policy, incident, "target"):
                    if rule["target"] == which:
                        self.escalate(incident, rule["name"], [incident.opened_by])
            case "stable_after":
                self.reached.add("stable")
                incident.flapping_ms = 0
                incident.tell("Stable", self.now_ms)
            case "say":
                self.reached.add("said in its hours")
                assert incident.deferred_notification is not None
                self.tell_owner(incident, incident.deferred_notification[0])
                incident.deferred_notification = None
            case "escalate":
                self.reached.add("escalated in its hours")
                deferred_escalations, incident.deferred_escalations = (
                    incident.deferred_escalations,
                    [],
                )
                for name, records, _ in deferred_escalations:
                    self.escalate(incident, name, records)
            case "undone":
                self.escalate(incident, which, [incident.opened_by])
            case "missed":
                incident.clocks[which] = "breached"
                incident.tell("ClockBreached", self.now_ms)
                notification.clock(self, incident, "clock_breached", which)
            case "escalate_after":
                self.climb(incident, "unacknowledged", [incident.opened_by])
            case "remind":
                incident.reminded += 1
                incident.since["word"] = self.now_ms
                incident.tell("Reminded", self.now_ms)
                self.tell_owner(incident, "reminder")
            case "forgotten":
                incident.state = "open"
                notification.word(incident, self.now_ms)
                incident.tell("Forgotten", self.now_ms)
                self.climb(incident, "forgotten", [incident.opened_by])
            case "stable":
                owning.stable(self, incident)

    def _pass(self, what: str, whose: Any) -> None:
        match what:
            case "incident":
                whose.touch()
            case "expire" if bounds.lasts(self, whose):
                whose.last_ms = self.now_ms
            case "expire":
                owning.expired(self, whose)
            case "retain_resolved":
                self.alerts.remove(whose)
            case "wait":
                suppression.waited(self, whose)
            case "lasting":
                rule, alert = whose
                self.escalate(alert.incident, rule, [alert.fired_offset])
            case "0 silence":  # all of one time at once
                self.done += whose
                begun = [one for one, when in whose if when == one.starts_ms < one.ends_ms]
                lifts = any(one.starts_ms < one.ends_ms == when for one, when in whose)
                silences.begin_or_end(self, begun, lifts=lifts)
            case "digest":
                digests.send_digest(self, whose)
            case "heartbeat":
                heartbeats.miss(self, whose)
            case "task":
                followups.remind_or_lapse(self, whose)
            case "link":
                self.done.append(whose)
                rules.speak(self, whose[0].rule, whose[0].group)

    # Records.

    def _apply(self, value: bytes) -> str:
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
                return self._alert(document) if isinstance(document["alert"], str) else "malformed"
            case "command":
                return (
                    commands.apply_command(self, document)
                    if isinstance(document["command"], str)
                    else "malformed"
                )
            case "silence":
                silences.said(self, silences.read(document, self.now_ms))
                return ""
            case "policy":
                rules.change_policy(self, document["document"])
                return ""
            case _:
                return "unknown_kind"

    def _alert(self, document: dict[str, Any]) -> str:
        component = places.where(self.policy, document["labels"], document["alert"])
        known = next(
            (alert for alert in self.alerts if alert.fingerprint == document["alert"]), None
        )
        firing = document["status"] == "firing"
        unknown = known is None and document["alert"] not in self.beats
        if unknown and says_over(self.policy, document["labels"]):
            for other in (
                facts.same_but_severity(self.policy, self.alerts, document) if firing else ()
            ):
                self.reached.add("over by its severity")
                other.firing = False
                self.alert_ended(other, "AlertEnded")
            return ""
        others = (
            []
            if known is not None and known.replaced
            else facts.same_but_severity(self.policy, self.alerts, document)
        )
        if (known is None or known.incident is None) and heartbeats.note_heartbeat(
            self, document, component
        ):
            self.alerts = [alert for alert in self.alerts if alert is not known]
            return ""
        if known is not None and known.firing == firing:
            known.count += 1
            if not firing:
                known.last_ms, known.replaced = self.now_ms, False
            elif self.now_ms + document["ttl_ms"] > known.last_ms + known.ttl_ms:
                known.last_ms, known.ttl_ms = self.now_ms, document["ttl_ms"]
                known.says_its_end = "until_resolved" in document
            else:
                self.reached.add("the later of two ends")
            if firing and known.unheard_ms and known.incident is not None:
                self.reached.add("heard of again in time")
                known.unheard_ms = 0
                known.incident.tell("HeardAgain", self.now_ms)
            return ""
        fresh = evaluated_alert(self.policy, document, component)
        fresh.kind = near.kind_of(self, fresh, firing=firing)
        if known is None or (firing and known.incident is None):
            if refusal := bounds.no_room(self, fresh, known):
                return refusal
            if known is not None:
                fresh.changes = known.changes  # it is the same alert still
            self.alerts = [alert for alert in self.alerts if alert is not known] + [fresh]
            known = fresh
        known.count, known.last_ms, known.firing = known.count + 1, self.now_ms, firing
        if firing:
            known.ttl_ms = document["ttl_ms"]
            known.says_its_end, known.replaced = "until_resolved" in document, False
            self.fired(known)
            for other in others:
                self.reached.add("replaced")
                other.firing, other.replaced = False, True
                self.alert_ended(other, "AlertReplaced")
        elif known.incident is not None:
            self.alert_ended(known, "AlertEnded")
        else:
            retained_ms = by(self.policy["incidents"], "retain_resolved", "")
            known.retain_until_ms = self.now_ms + retained_ms
        return ""

    def fired(self, alert: Known) -> None:
        """An alert began to fire."""
        alert.named = alert.known_of = False
        alert.fired_offset, alert.fired_ms, alert.notifiable_since_ms, alert.quiet = (
            self.number,
            self.now_ms,
            self.now_ms,
            False,
        )
        incident = current_incident(self.incidents, alert.component, alert.kind)
        if incident is None:
            prefix = prefix_of(self.policy, alert.kind)
            incident = self._open(prefix, alert.component, alert.kind, alert.severity, alert.owner)
            incident.decides = alert
            incident.wait_ms = near.first_wait(self.policy, alert)
            alert.incident = incident
            incident.alerts.append(alert.fingerprint)
        else:
            suppression.let_wait(self, incident, alert)
            self._join(incident, alert)
        self.look_at(incident)
        incident.taken_over = incident.taken_over or always_escalates(self.policy, alert)
        self._changed(incident, alert)
        for rule in self.policy["escalations"]:
            if rule.get("always") and is_about(rule, alert):
                self.escalate(incident, rule["name"], [alert.fired_offset])
        rules.correlate(self, alert, incident)
        rules.show_alert(self, alert, again=False)

    def _join(self, incident: Happened, alert: Known) -> None:
        if urgent(alert.severity) and (
            incident.state == "resolved" or alert.fingerprint in incident.alerts
        ):
            incident.anew_ms = incident.anew_ms or self.now_ms
        was, alert.incident = incident.state, incident
        if alert.fingerprint not in incident.alerts:
            incident.alerts.append(alert.fingerprint)
        incident.wait_ms = min(incident.wait_ms, near.first_wait(self.policy, alert))
        incident.tell("AlertFired", self.now_ms)
        if was == "resolved":
            incident.state = "open"
            owning.weaken(self, incident)
            self.reopened(incident)
        owning.strengthen(self, incident, alert)

    def alert_ended(self, alert: Known, how: str) -> None:
        """An alert ended."""
        incident = alert.incident
        assert incident is not None
        near.on_ended(self, alert, how)
        incident.tell(how, self.now_ms)
        if how != "AlertReplaced" and urgent(alert.severity):
            notification.note_over(self, incident, alert)
        alert.suppressed_by.clear()
        alert.waits = False
        alert.unheard_ms, alert.ended_ms = 0, self.now_ms
        self._changed(incident, alert)
        for rule, group in correlations_of(self.policy, alert):
            if rule["by"] == ["component"]:
                self.ended.add((rule["name"], group, alert.fingerprint))
            else:
                seen = Firing(
                    rule["name"],
                    group,
                    self.now_ms,
                    alert.fingerprint,
                    alert.fired_offset,
                    alert.labels,
                )
                self.messages.append((rules.signal, self, rule["name"], group, False, seen))
        rules.show_alert(self, alert, again=False)
        owning.weaken(self, incident)
        if not is_firing(self.alerts, incident):
            self.resolved(incident, incident.resolved[1], lost=how == "AlertLost")
        self.look_at(incident)

    def _changed(self, incident: Happened, alert: Known) -> None:
        """An alert that began or ended to fire too often of late is flapping, and its incident with it."""
        rule = self.policy["flapping"]
        alert.changes = [*alert.changes, self.now_ms]
        if (
            rule is None
            or sum(at_ms > self.now_ms - parse_ms(rule["within"]) for at_ms in alert.changes)
            < rule["changes"]
        ):
            return
        self.reached.add(
            "flapping in another incident" if alert.changes[0] < incident.opened_ms else "flapping"
        )
        was, incident.flapping_ms = incident.flapping_ms, self.now_ms
        if not was:
            incident.tell("Flapping", self.now_ms)
            if incident.reopened_unexplained or not self.is_quiet(incident):
                self.say(incident, "flapping")

    # What keeps quiet.

    def known_silences(self) -> dict[str, silences.Silence]:
        """The silences by id.

        The newest record is the silence. Those that ended are known for a while.
        """
        return {one.id: one for one in self.silences}

    def is_silenced(self, labels: list[Mapping[str, str]]) -> bool:
        """Whether one silence that is active matches all of these."""
        return any(
            one.is_active(self.now_ms) and one.covers(labels)
            for one in self.known_silences().values()
        )

    def is_held(self, alert: Known) -> bool:
        """Whether anything keeps a firing alert quiet."""
        return alert.waits or self.is_explained(alert)

    def is_explained(self, alert: Known) -> bool:
        """Whether a rule or a silence keeps a firing alert quiet."""
        return bool(alert.suppressed_by) or self.is_silenced([alert.labels])

    def firing_labels(self, incident: Happened) -> list[Mapping[str, str]]:
        """The labels of all that fires in an incident, of members those by which the policy knows them."""
        if not incident.rule:
            return [alert.labels for alert in firing_alerts(self.alerts, incident)]
        asked = named(self.policy)
        members = [one for one in incident.members.values() if one.firing]
        return [{name: one.labels[name] for name in one.labels if name in asked} for one in members]

    def is_quiet(self, incident: Happened) -> bool:
        """Whether all that fires in an incident is kept quiet."""
        if incident.rule:
            silenced = self.is_silenced(self.firing_labels(incident))
            return not incident.ended and (
                bool(incident.suppressed_by) or silenced or incident.waits
            )
        firing = firing_alerts(self.alerts, incident)
        return bool(firing) and all(map(self.is_held, firing))

    def look_at(self, incident: Happened, since_ms: int | None = None) -> None:
        """Take note when all of an incident has become quiet, or something of it loud, now or since then."""
        suppression.look_at(self, incident, since_ms)

    # What happens to an incident.

    def _open(self, prefix: str, component: str, kind: str, severity: str, owner: str) -> Happened:
        alike = sum((one.component, one.kind) == (component, kind) for one in self.incidents)
        incident = Happened(
            f"{component}|{kind}|{alike}", prefix, component, kind, severity, owner, self.now_ms
        )
        incident.opened_by, incident.near = self.number, near.Near()
        incident.peak = incident.given_by = severity
        incident.restart_clocks(self.now_ms)
        incident.since = dict.fromkeys(("open", "severity", "step", "word"), self.now_ms)
        self.incidents.append(incident)
        incident.tell("Opened", self.now_ms)
        return incident

    def grew(self, incident: Happened) -> None:
        """It became worse, or struck more components."""
        for rule in rules_about(self.policy, incident, "grew"):
            if incident.state == "acknowledged":
                self.escalate(incident, rule["name"], [self.number])

    def acknowledged(self, incident: Happened, who: str) -> None:
        """Somebody took it."""
        incident.state, incident.acknowledged = "acknowledged", (self.now_ms, who)
        incident.not_meant = set()
        incident.anew_ms, incident.joined = 0, False
        incident.tell("Acknowledged", self.now_ms)
        self._done(incident, "acknowledge")
        notification.taken(self, incident)
        notification.word(incident, self.now_ms)

    def _done(self, incident: Happened, clock: str) -> None:
        target = by(self.policy["targets"], clock, incident.targets[clock][1])
        if target is not None and incident.clocks.get(clock) not in ("breached", "met"):
            incident.clocks[clock] = "met"
            incident.tell("ClockMet", self.now_ms)

    def resolved(self, incident: Happened, who: str, *, lost: bool = False) -> None:
        """It is over, or seems so, or nothing is heard of it any more."""
        incident.state, incident.resolved = "resolved", (self.now_ms, who)
        incident.lost = lost
        incident.tell("Lost" if lost else "Resolved", self.now_ms)
        if not lost:
            self._done(incident, "resolve")
        incident.deferred_notification, incident.deferred_escalations = None, []
        incident.not_meant, incident.told_quiet, incident.anew = set(), False, False
        incident.anew_ms = 0
        incident.waits = incident.reopened_unexplained = False
        incident.undecided_escalations = []
        incident.suppressed_by.clear()
        self.look_at(incident)
        rules.show_incident(self, incident, firing=False)

    def reopened(self, incident: Happened) -> None:
        """It is not over."""
        incident.reopened += 1
        incident.resolved = (0, "")
        incident.since["open"] = incident.since["step"] = self.now_ms
        notification.word(incident, self.now_ms)
        if incident.clocks.get("resolve") == "met":
            del incident.clocks["resolve"]
        incident.tell("Reopened", self.now_ms)
        if incident.rule:
            self.look_at(incident)
        incident.rings_anew()
        if (
            incident.told[0]
            and not self.is_quiet(incident)
            and not incident.flapping_ms
            and not (self.unnamed(incident) and incident.anew_ms)
        ):
            self.say(incident, "reopened")
        rules.show_incident(self, incident, firing=True)
        for alert in firing_alerts(self.alerts, incident):
            for when, _, _, (rule, _) in duration_due(self, alert):
                if when <= self.now_ms:  # it lasted on while the incident was thought to be over
                    self.reached.add("lasted")
                    self.escalate(incident, rule, [alert.fired_offset])

    def settled(self, incident: Happened) -> None:
        """Nothing fired for the settle time, or somebody will not wait.

        It is closed, unless something fires still.
        """
        if is_firing(self.alerts, incident):
            incident.state = "open"
            self.reopened(incident)
            return
        incident.state, incident.closed_ms = "closed", self.now_ms
        incident.severity = incident.peak
        incident.tell("Closed", self.now_ms)
        if incident.told[0]:
            notification.over(self, incident)
            followups.create_followups(self, incident)
        else:
            notification.untold_over(self, incident)
        for alert in self.alerts:
            if alert.incident is incident:
                alert.incident, alert.retain_until_ms = (
                    None,
                    self.now_ms + by(self.policy["incidents"], "retain_resolved", ""),
                )

    def opened_by_rule(self, rule: Mapping[str, Any], group: str) -> Happened:
        """A rule opens an incident."""
        opening = rule["open"]
        name = f"{rule['name']}/{group}"
        incident = self._open("INC", name, "correlated", opening["severity"], opening["owner"])
        incident.rule = rule["name"]
        return incident

    def escalate(self, incident: Happened, rule: str, records: list[int]) -> None:
        """Climb, once for each rule: not while something keeps it quiet, and in its hours only."""
        suppression.escalate(self, incident, rule, records)

    def climb(
        self, incident: Happened, rule: str, records: list[int], step: int | None = None
    ) -> None:
        """Climb to the next step, or to the one named."""
        notification.climb(self, incident, rule, records, step)

    def tell_owner(
        self, incident: Happened, kind: str, channels: tuple[str, ...] = ("chat",)
    ) -> None:
        """Tell the owner."""
        notification.owner(self, incident, kind, channels)
