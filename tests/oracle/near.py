"""Nearness as the oracle's incidents live through it: whom they ask, to what they belong, and what keeps quiet.

Which group an alert is near is in `tests.oracle.nearness`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from models.text.duration import parse_ms
from tests.oracle import inhibition, rules
from tests.oracle.facts import (
    Happened,
    Known,
    Member,
    always_escalates,
    bounds_of,
    firing_alerts,
    is_firing,
    urgent,
)
from tests.oracle.nearness import HOUR, History
from tests.oracle.policy import matches

if TYPE_CHECKING:
    from tests.oracle.oracle import Naive

Record = tuple[int, int]  # which time it is that an incident fires


@dataclass(eq=False)
class Joined:
    """An incident that belongs to a root, as the root knows it."""

    incident: Happened
    identity: str
    record: Record
    severity: str
    owner: str
    actor: str
    hidden: bool = False


@dataclass(eq=False)
class Near:
    """What an incident knows of those that it is near."""

    times: int = 0
    actor: str = ""
    identity: str = ""
    expired: bool = False
    root: Happened | None = None
    quiet_from: str = ""  # alerts that are no worse than this keep quiet
    roots: list[str] = field(default_factory=list)
    explains: str = ""
    muted: bool = False
    joined: dict[str, Joined] = field(default_factory=dict)


@dataclass(eq=False)
class Memory:
    """What rules were asked, to which root the others of a group belong, and what began when."""

    histories: dict[str, History] = field(default_factory=dict)
    roots: dict[tuple[str, int], Happened] = field(default_factory=dict)
    firsts: dict[tuple[str, int], Happened] = field(default_factory=dict)  # that were roots
    begun: list[tuple[str, int]] = field(default_factory=list)  # alerts, and hours
    resolving: set[str] = field(default_factory=set)  # alerts that somebody resolved once


def rule_for(policy: Mapping[str, Any], alert: Known) -> Mapping[str, Any] | None:
    """The rule that is asked of an alert's incident: none where another rule may explain it."""
    steps = [
        step
        for rule in policy["correlations"]
        if "open" in rule
        for step in rule.get("sequence", [rule.get("match", [])])
    ]
    sides = inhibition.sides_of(policy, alert.labels)
    by_name = inhibition.rules_by_name(policy)
    explained = any(matches(step, alert.labels) for step in steps) or any(
        side != "source" and inhibition.is_dependency(by_name[name]) for name, _, side in sides
    )
    if explained or always_escalates(policy, alert):
        return None
    fits = [
        rule for rule in policy.get("nearness", []) if matches(rule.get("match", []), alert.labels)
    ]
    return fits[0] if fits else None


def first_wait(policy: Mapping[str, Any], alert: Known) -> int:
    """How long the first message about an alert's incident waits."""
    rule = None if urgent(alert.severity) else rule_for(policy, alert)
    near_ms = parse_ms(rule.get("correlation_wait", "2s")) if rule else 0
    return max(near_ms, rules.wait_of(policy, alert))


def kind_of(naive: "Naive", alert: Known, *, firing: bool) -> str:
    """The class of an alert's incident: background if it came in eight of 24 hours, and nobody ever resolved it."""
    return "background" if firing and _is_background(naive, alert) else alert.kind


def _is_background(naive: "Naive", alert: Known) -> bool:
    rule = rule_for(naive.policy, alert)
    plain = alert.kind == "operations" and not urgent(alert.severity)
    if rule is None or not plain or rule.get("background", {}) is False:
        return False
    hour = naive.now_ms // HOUR
    hours = {one for name, one in naive.near.begun if name == alert.fingerprint and hour - 24 < one}
    naive.near.begun.append((alert.fingerprint, hour))
    chronic = len(hours) >= 8 and alert.fingerprint not in naive.near.resolving
    if chronic:
        naive.reached.add("background")
    return chronic


def on_ended(naive: "Naive", alert: Known, how: str) -> None:
    """An alert ended. What somebody resolves is a state, and no event."""
    assert alert.incident is not None
    alert.incident.near.expired = how in ("AlertExpired", "AlertLost")
    if how == "AlertEnded" and any(name == alert.fingerprint for name, _ in naive.near.begun):
        naive.near.resolving.add(alert.fingerprint)


def review(naive: "Naive", changed: Iterable[Happened]) -> None:
    """Incidents ask when they open, and tell when they end; roots tell what they explain."""
    for incident in changed:
        if not incident.rule:
            _as_member(naive, incident)
            _as_root(naive, incident)


def _as_member(naive: "Naive", incident: Happened) -> None:
    near = incident.near
    if incident.ended:
        if near.actor:
            _leave(naive, incident, resolved=not (near.expired or incident.lost))
        return
    if not naive.policy.get("nearness") or near.times > incident.reopened:
        return
    near.times = incident.reopened + 1
    firing = firing_alerts(naive.alerts, incident)
    newest = max(firing, key=lambda one: (one.fired_ms, one.fingerprint), default=None)
    rule = rule_for(naive.policy, newest) if newest else None
    if newest is None or rule is None or incident.taken_over:
        return
    near.actor, near.identity = f"{rule['name']}/all", newest.fingerprint
    asked = Joined(
        incident,
        newest.fingerprint,
        _record(incident),
        incident.severity,
        incident.owner,
        near.actor,
    )
    naive.messages.append((_ask, naive, asked, newest))


def _record(incident: Happened) -> Record:
    return incident.opened_by, incident.reopened


def _rule_of(naive: "Naive", actor: str) -> Mapping[str, Any] | None:
    fits = [one for one in naive.policy.get("nearness", []) if f"{one['name']}/all" == actor]
    return fits[0] if fits else None


def _ask(naive: "Naive", asked: Joined, alert: Known) -> None:
    if _rule_of(naive, asked.actor) is None:
        return
    history = naive.near.histories.setdefault(asked.actor, History())
    chronic = asked.incident.kind == "background"
    answer = history.fire(
        naive.now_ms,
        asked.identity,
        alert.component,
        asked.severity,
        alert.labels,
        chronic=chronic,
    )
    naive.reached.add(f"near by {answer.reason}")
    group = (asked.actor, answer.group)
    first = naive.near.firsts.setdefault(group, asked.incident)
    if group not in naive.near.roots and first is not asked.incident:
        naive.messages.append((_follows, naive, first, asked))
    root = naive.near.roots.setdefault(group, asked.incident)
    if root is not asked.incident:
        naive.messages.append((_belongs, naive, root, asked))


def _follows(naive: "Naive", first: Happened, asked: Joined) -> None:
    incident = asked.incident
    fires = incident.state != "closed" and _record(incident) == asked.record
    if not fires or incident.near.actor != asked.actor:
        return
    naive.reached.add("follows a root that has ended")
    _note_root(incident, first)
    incident.tell("Follows", naive.now_ms)
    incident.touch()


def _note_root(incident: Happened, root: Happened) -> None:
    if root.id not in incident.parents:
        incident.parents.append(root.id)
    if root.id not in incident.near.roots:
        incident.near.roots.append(root.id)


def _leave(naive: "Naive", incident: Happened, *, resolved: bool) -> None:
    near = incident.near
    if not _is_merged(near.actor):
        naive.messages.append((_ended, naive, near.actor, near.identity, incident, resolved))
    if near.root is not None:
        record = _record(incident)
        naive.messages.append((_left, naive, near.root, near.identity, record))
    forget(naive, incident)


# What people say.


def _is_merged(actor: str) -> bool:
    return actor.startswith("by a person into ")


def merge(naive: "Naive", incident: Happened, into: str) -> str:
    """Somebody makes it a part of another one; the reason when that is refused."""
    near = incident.near
    firing = firing_alerts(naive.alerts, incident)
    lone = not (incident.rule or incident.taken_over)
    rootless = not any(member.firing for member in incident.members.values())
    there = near.root is not None and near.root.id == into
    if incident.ended or not (firing and lone and rootless) or there or into == incident.id:
        return "illegal_transition"
    newest = max(firing, key=lambda one: (one.fired_ms, one.fingerprint))
    incident.tell("Merged", naive.now_ms)
    if near.actor:
        naive.reached.add("merged away from its root" if near.root else "merged away")
        _leave(naive, incident, resolved=False)
    near.actor, near.identity = f"by a person into {into}", newest.fingerprint
    joined = Joined(
        incident,
        newest.fingerprint,
        _record(incident),
        incident.severity,
        incident.owner,
        near.actor,
    )
    naive.messages.append((_merged, naive, into, joined))
    return ""


def _merged(naive: "Naive", into: str, joined: Joined) -> None:
    alive = [one for one in naive.incidents if one.id == into and not one.ended]
    takes_parts = alive and not (alive[0].rule or _is_part(alive[0]))
    if takes_parts:
        naive.reached.add("merged by a person")
        _belongs(naive, alive[0], joined)
    else:
        naive.messages.append((_not_merged, naive, joined))


def _is_part(incident: Happened) -> bool:
    return incident.near.root is not None or _is_merged(incident.near.actor)


def _not_merged(naive: "Naive", joined: Joined) -> None:
    incident = joined.incident
    fires = incident.state != "closed" and _record(incident) == joined.record
    if fires and incident.near.actor == joined.actor:
        naive.reached.add("not merged after all")
        forget(naive, incident)
        incident.tell("Split", naive.now_ms)
        incident.touch()


def split(naive: "Naive", incident: Happened) -> str:
    """Somebody says that it stands alone; the reason when that is refused."""
    near = incident.near
    if incident.ended or near.root is None:
        return "illegal_transition"
    root = near.root.id
    naive.reached.add("split from a merge" if _is_merged(near.actor) else "split from what is near")
    incident.tell("Split", naive.now_ms)
    _leave(naive, incident, resolved=False)
    for roots in (incident.parents, near.roots):
        if root in roots:
            roots.remove(root)
    return ""


def forget(naive: "Naive", incident: Happened) -> None:
    """It belongs to nothing any more."""
    near = incident.near
    _let_go(naive, incident, near.actor)
    near.actor, near.identity, near.root, near.quiet_from, near.expired = "", "", None, "", False


def _let_go(naive: "Naive", incident: Happened, actor: str) -> None:
    for alert in firing_alerts(naive.alerts, incident):
        alert.suppressed_by.discard(actor)
    naive.look_at(incident)


def _ended(naive: "Naive", actor: str, identity: str, incident: Happened, resolved: bool) -> None:
    if _rule_of(naive, actor) is None or actor not in naive.near.histories:
        return
    history = naive.near.histories[actor]
    history.end(identity, resolved=resolved)
    group = (actor, history.group_of(identity))
    if naive.near.roots.get(group) is incident:
        del naive.near.roots[group]


# The root.


def _belongs(naive: "Naive", root: Happened, joined: Joined) -> None:
    merged = _is_merged(joined.actor)
    if root.ended or _is_merged(root.near.actor) or not (merged or _rule_of(naive, joined.actor)):
        return
    near = root.near
    limit = bounds_of(naive.policy)["alerts_in_incident"]
    if joined.identity not in root.members and len(root.members) >= limit:
        naive.dead.append((naive.number, "bound_reached"))
        if merged:
            naive.messages.append((_not_merged, naive, joined))
        return
    near.explains = _explained(naive, root)
    joined.hidden = _hides(root, joined)
    near.joined[joined.identity] = joined
    root.members[joined.identity] = Member(joined.incident.component, {})
    root.tell("MemberFired", naive.now_ms)
    naive.look_at(root)
    naive.reached.add("near and quiet" if joined.hidden else "near and notified")
    _answer(naive, root, joined)


def _as_root(naive: "Naive", incident: Happened) -> None:
    near = incident.near
    if not incident.ended:
        near.muted = naive.next_told(incident, naive.now_ms) != naive.now_ms
    explains = _explained(naive, incident)
    if not near.explains or explains == near.explains:
        return
    near.explains = explains
    for identity, joined in near.joined.items():
        hides = _hides(incident, joined)
        if incident.members[identity].firing and hides != joined.hidden:
            naive.reached.add("explained by its root" if hides else "explained no more")
            joined.hidden = hides
            _answer(naive, incident, joined)


def _explained(naive: "Naive", incident: Happened) -> str:
    over = incident.ended and not is_firing(naive.alerts, incident)
    if over or naive.is_quiet(incident) or incident.near.muted:
        return "nothing"
    return f"{incident.severity} {incident.owner}"


def _hides(root: Happened, joined: Joined) -> bool:
    if root.near.explains == "nothing" or joined.severity < root.severity:
        return False
    by_itself = not urgent(joined.severity) and joined.owner == root.owner
    return by_itself or _is_merged(joined.actor)


def _answer(naive: "Naive", root: Happened, joined: Joined) -> None:
    naive.messages.append((_answered, naive, root, joined, joined.record, joined.hidden))


def _left(naive: "Naive", root: Happened, identity: str, record: Record) -> None:
    joined = root.near.joined.get(identity)
    if root.state != "closed" and joined is not None and joined.record == record:
        end_member(naive, root, identity)


def end_member(naive: "Naive", root: Happened, identity: str) -> None:
    """A member has ended; with the last one the root ends too."""
    if not root.members[identity].firing:
        return
    root.members[identity].firing = False
    root.tell("MemberEnded", naive.now_ms)
    naive.look_at(root)
    if not is_firing(naive.alerts, root) and not root.ended:
        naive.reached.add("a root ended after its members")
        naive.resolved(root, root.resolved[1])


# The member.


def _answered(
    naive: "Naive",
    root: Happened,
    joined: Joined,
    record: Record,
    hidden: bool,
) -> None:
    incident = joined.incident
    near = incident.near
    if incident.state == "closed" or near.actor != joined.actor or _record(incident) != record:
        naive.messages.append((_left, naive, root, joined.identity, record))
        return
    near.root, near.quiet_from = root, joined.severity if hidden else ""
    _note_root(incident, root)
    incident.touch()
    if not hidden:
        _let_go(naive, incident, joined.actor)
    for alert in firing_alerts(naive.alerts, incident) if hidden else []:
        if _may_keep_quiet(naive, incident, alert):
            alert.suppressed_by.add(joined.actor)
    naive.look_at(incident)


def hide_with(naive: "Naive", incident: Happened, alert: Known) -> None:
    """One more alert is about to join an incident of which the alerts keep quiet."""
    if incident.near.quiet_from and not incident.ended and _may_keep_quiet(naive, incident, alert):
        naive.reached.add("one more keeps quiet")
        alert.suppressed_by.add(incident.near.actor)


def _may_keep_quiet(naive: "Naive", incident: Happened, alert: Known) -> bool:
    near = incident.near
    if alert.severity < near.quiet_from or always_escalates(naive.policy, alert):
        return False
    if urgent(alert.severity):
        return _is_merged(near.actor) and alert.named
    return _is_merged(near.actor) or alert.owner == incident.owner


def change_policy(naive: "Naive", before: Mapping[str, Any]) -> None:
    """What a rule joined that is gone, or counts differently, is on its own."""
    now = {rule["name"]: _counts_by(rule) for rule in naive.policy.get("nearness", [])}
    was = {rule["name"]: _counts_by(rule) for rule in before.get("nearness", [])}
    gone = {f"{name}/all" for name in was if now.get(name) != was[name]}
    for incident in naive.incidents:
        if incident.state == "closed":
            continue
        if not incident.ended:  # it opened before the rules came
            incident.near.times = incident.reopened + 1
        for identity, joined in incident.near.joined.items():
            if joined.actor in gone:
                end_member(naive, incident, identity)
        if incident.near.actor in gone:
            naive.reached.add("a rule of nearness is gone")
            forget(naive, incident)
    for actor in gone:
        naive.near.histories.pop(actor, None)
        naive.near.roots = {key: root for key, root in naive.near.roots.items() if key[0] != actor}
        naive.near.firsts = {key: one for key, one in naive.near.firsts.items() if key[0] != actor}


def _counts_by(rule: Mapping[str, Any]) -> tuple[Any, ...]:
    return rule.get("by", []), rule.get("within", "15m")
