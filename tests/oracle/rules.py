"""Rules across components, to which the oracle's components speak: what reaches them, and what they answer.

A rule hears of things, and is heard, a record later than they happen: between components everything
goes through the journal.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from models.text.duration import parse_ms
from tests.oracle import cycles, heartbeats, inhibition, near, places, suppression
from tests.oracle.facts import (
    Firing,
    Happened,
    Known,
    Member,
    always_escalates,
    correlations_of,
    current_incident,
    is_firing,
    struck_components,
    urgent,
    window_of,
)

if TYPE_CHECKING:
    from tests.oracle.oracle import Naive


def wait_of(policy: Mapping[str, Any], alert: Known) -> int:
    """How long the first message about an alert waits to see whether it becomes a member of something."""
    waits = [
        parse_ms(rule.get("correlation_wait", "0s")) for rule, _ in correlations_of(policy, alert)
    ]
    return (
        0
        if always_escalates(policy, alert)
        else max(*waits, 0, inhibition.wait_of(policy, alert.labels))
    )


# Correlations.


def correlate(naive: "Naive", alert: Known, incident: Happened) -> None:
    """Show an alert that began to fire to the rules that it is for.

    Those about one component are worked out at once.
    """
    for rule, group in correlations_of(naive.policy, alert):
        seen = Firing(
            rule["name"], group, naive.now_ms, alert.fingerprint, alert.fired_offset, alert.labels
        )
        if rule["by"] != ["component"]:
            naive.messages.append((signal, naive, rule["name"], group, True, seen))
            continue
        naive.firings.append(seen)
        naive.ended.discard((rule["name"], group, alert.fingerprint))
        window = window_of(rule, group, naive.firings, naive.now_ms, naive.ended)
        if window:
            naive.reached.add("several in one component")
            naive.escalate(incident, rule["name"], [one.record for one in window])


def signal(naive: "Naive", name: str, group: str, firing: bool, seen: Firing) -> None:
    """An alert began or ended to fire, says a component to a correlation."""
    incident = current_incident(naive.incidents, f"{name}/{group}", "correlated")
    rule = next((one for one in naive.policy["correlations"] if one["name"] == name), None)
    mark = (name, group, seen.fingerprint)
    if not firing:
        naive.ended.add(mark)
        if (
            incident is not None
            and _member_ended(naive, incident, seen.fingerprint)
            and not is_firing([], incident)
        ):
            naive.resolved(incident, incident.resolved[1])
    elif rule is not None:
        if incident is not None and not _has_room(naive, incident, seen.fingerprint):
            naive.dead.append((naive.number, "bound_reached"))
            return
        naive.ended.discard(mark)
        naive.firings.append(
            Firing(name, group, naive.now_ms, seen.fingerprint, seen.record, seen.labels)
        )
        window = window_of(rule, group, naive.firings, naive.now_ms, naive.ended)
        if incident is not None:
            _joins(naive, incident, seen.fingerprint)
        elif window:
            _open(naive, rule, group, window)


def _open(naive: "Naive", rule: Mapping[str, Any], group: str, window: list[Firing]) -> None:
    naive.reached.add("sequence" if "sequence" in rule else "opened by a rule")
    incident = naive.opened_by_rule(rule, group)
    incident.wait_ms = inhibition.wait_of(naive.policy, labels_of(incident))
    firing = [
        one.fingerprint
        for one in window
        if (rule["name"], group, one.fingerprint) not in naive.ended
    ]
    for fingerprint in firing:
        incident.members[fingerprint] = _member(_alert(naive, fingerprint))
    naive.look_at(incident)
    for fingerprint in firing:
        _hold_later(naive, incident, fingerprint)
    show_incident(naive, incident, firing=True)
    if rule.get("escalate"):
        naive.escalate(incident, rule["name"], [one.record for one in window])


def _has_room(naive: "Naive", incident: Happened, fingerprint: str) -> bool:
    limit: int = naive.policy.get("bounds", {}).get("alerts_in_incident", 10_000)
    return fingerprint in incident.members or len(incident.members) < limit


def _joins(naive: "Naive", incident: Happened, fingerprint: str) -> None:
    _member_fired(naive, incident, fingerprint, _member(_alert(naive, fingerprint)))
    _hold_later(naive, incident, fingerprint)
    naive.look_at(incident)
    if incident.state == "resolved":
        incident.state = "open"
        incident.anew_ms = naive.now_ms if urgent(incident.severity) else 0
        if incident.wait_ms:
            naive.reached.add("a rule's incident reopened quietly")
            incident.waits = incident.reopened_unexplained = True
        naive.reopened(incident)


def _hold_later(naive: "Naive", incident: Happened, fingerprint: str) -> None:
    alert = _alert(naive, fingerprint)
    if not _may_hide(naive, incident, alert):
        return
    rule = incident.component
    naive.messages.append((hold, naive, fingerprint, (alert.fired_offset, 0), rule, incident))


def _may_hide(naive: "Naive", incident: Happened, alert: Known) -> bool:
    """Whether what a rule opened is urgent enough, and fires for longer where each can hide the other."""
    both = cycles.in_cycle(naive.policy, labels_of(incident)) and cycles.in_cycle(
        naive.policy, alert.labels
    )
    older = (incident.opened_ms, naive.order.get(incident.id, "~")) < (
        alert.fired_ms,
        alert.fingerprint,
    )
    known_of = incident.known_of or not urgent(alert.severity)
    return incident.severity <= alert.severity and known_of and (older or not both)


def look_who_knows(naive: "Naive") -> None:
    """Tell rules of which urgent causes somebody knows now and did not, or the other way round."""
    for alert in sorted(naive.alerts, key=lambda one: one.fingerprint):
        if not (urgent(alert.severity) and alert.firing and alert.incident):
            continue
        known_of = alert.named or _is_told_why(naive, alert.suppressed_by, [alert.labels])
        if known_of != alert.known_of or alert.fresh:
            alert.known_of, alert.fresh = known_of, False
            _show_root(naive, show_alert, alert)
    opened = [one for one in naive.incidents if one.rule and urgent(one.severity) and not one.ended]
    for incident in opened:
        told = bool(incident.told[0]) and not incident.anew_ms
        known_of = told or _is_told_why(naive, incident.suppressed_by, [])
        changed, fresh = known_of != incident.known_of, incident.fresh
        incident.known_of, incident.fresh = known_of, False
        if changed or fresh:
            _show_root(
                naive, lambda _, one: show_incident(naive, one, firing=True, again=True), incident
            )
        if not changed:
            continue
        naive.reached.add("known of" if known_of else "not known of any more")
        for fingerprint, member in incident.members.items():
            if not (member.own and member.firing and urgent(_alert(naive, fingerprint).severity)):
                continue
            alert = _alert(naive, fingerprint)
            if known_of:
                _hold_later(naive, incident, fingerprint)
            else:
                about = (fingerprint, (alert.fired_offset, 0), incident.component)
                naive.messages.append((let_go, naive, *about))


def _is_told_why(naive: "Naive", suppressed_by: set[str], labels: list[Mapping[str, str]]) -> bool:
    """Whether a silence, a dependency or a correlation explains it."""
    inhibitions = {rule["name"] for rule in naive.policy["inhibit_rules"]}
    return naive.is_silenced(labels) or any(
        key.split("/")[0] not in inhibitions for key in suppressed_by
    )


def _show_root(naive: "Naive", show: Callable[["Naive", Any], None], root: Any) -> None:
    """Show it again, but only to dependencies of which it is a root."""
    before, naive.messages = naive.messages, []
    show(naive, root)
    rules = inhibition.rules_by_name(naive.policy)
    again = [
        one
        for one in naive.messages
        if one[4] == "source" and inhibition.is_dependency(rules[one[2]])
    ]
    naive.messages = [*before, *again]


def _alert(naive: "Naive", fingerprint: str) -> Known:
    return next(one for one in naive.alerts if one.fingerprint == fingerprint)


def _member(alert: Known) -> Member:
    return Member(alert.component, {**alert.labels, "component": places.thing(alert.component)})


# Members.


def _member_fired(naive: "Naive", incident: Happened, identity: str, member: Member) -> None:
    before = struck_components(incident)
    incident.members[identity] = member
    incident.tell("MemberFired", naive.now_ms)
    naive.look_at(incident)
    if member.own and struck_components(incident) > before:  # what depends on it is no growth
        naive.grew(incident)


def _member_ended(naive: "Naive", incident: Happened, identity: str) -> bool:
    """Whether it was a member that fired."""
    member = incident.members.get(identity)
    if member is None or not member.firing:
        return False
    member.firing = False
    incident.tell("MemberEnded", naive.now_ms)
    naive.look_at(incident)
    return True


def belongs(naive: "Naive", root: Happened, shown: inhibition.Shown) -> None:
    """Something depends on what a root's incident is about, says a rule."""
    if root.state == "closed":
        return
    known = root.members.get(shown.identity)
    if known is None or not known.firing:
        member = Member(shown.component, shown.labels, own=False)
        _member_fired(naive, root, shown.identity, member)
        naive.look_at(root)


def leaves(naive: "Naive", root: Happened, identity: str) -> None:
    """It ended, or depends on something else now."""
    if root.state != "closed":
        _member_ended(naive, root, identity)


# What keeps quiet.


def hold(
    naive: "Naive", identity: str, record: tuple[int, int], rule: str, parent: Happened | None
) -> None:
    """A rule says that something keeps quiet, if it is still the same time that it fires."""
    incident = next((one for one in naive.incidents if one.id == identity), None)
    if incident is not None:
        if not incident.ended and _time_of(incident) == record:
            incident.suppressed_by.add(rule)
            _is_part(incident, parent)
            naive.look_at(incident)
        return
    alert = next((one for one in naive.alerts if one.fingerprint == identity), None)
    if (
        alert is None
        or not alert.firing
        or alert.incident is None
        or (alert.fired_offset, 0) != record
    ):
        return
    if always_escalates(naive.policy, alert):
        alert.incident.tell("NotSuppressed", naive.now_ms)
        return
    alert.suppressed_by.add(rule)
    _is_part(alert.incident, parent)
    naive.look_at(alert.incident)


def _is_part(incident: Happened, parent: Happened | None) -> None:
    incident.touch()
    if parent is not None and parent.id not in incident.parents:
        incident.parents.append(parent.id)


def let_go(naive: "Naive", identity: str, record: tuple[int, int], rule: str) -> None:
    """A rule says that something need not keep quiet any more."""
    incident = next((one for one in naive.incidents if one.id == identity), None)
    if incident is not None:
        if not incident.ended and _time_of(incident) == record:
            incident.suppressed_by.discard(rule)
            naive.look_at(incident)
        return
    alert = next((one for one in naive.alerts if one.fingerprint == identity), None)
    if (
        alert is not None
        and alert.firing
        and alert.incident is not None
        and (alert.fired_offset, 0) == record
    ):
        alert.suppressed_by.discard(rule)
        naive.look_at(alert.incident)


def _time_of(incident: Happened) -> tuple[int, int]:
    return incident.opened_by, incident.reopened


# Dependencies and inhibitions.


def show_alert(naive: "Naive", alert: Known, *, again: bool = True) -> None:
    """Tell the rules that an alert began or ended to fire.

    Unless it is told again, dependencies hear later that an urgent root fires: when it is clear
    who knows of it.
    """
    assert alert.incident is not None
    labels = {**alert.labels, "component": places.thing(alert.component)}
    name = alert.labels.get("alertname", alert.fingerprint)
    parts = (
        alert.fingerprint,
        alert.firing,
        name,
        alert.component,
        labels,
        alert.incident,
        (alert.fired_offset, 0),
        alert.severity,
        alert.fired_ms,
        cycles.in_cycle(naive.policy, alert.labels),
        alert.known_of,
    )
    for rule, group, side in inhibition.sides_of(naive.policy, alert.labels):
        if not again and _hears_later(naive, rule, side, alert.severity, firing=alert.firing):
            alert.fresh = True
            continue
        naive.messages.append((_shown, naive, rule, group, side, parts))


def _hears_later(naive: "Naive", rule: str, side: str, severity: str, *, firing: bool) -> bool:
    is_root = side == "source" and inhibition.is_dependency(
        inhibition.rules_by_name(naive.policy)[rule]
    )
    return is_root and firing and urgent(severity)


def show_incident(naive: "Naive", incident: Happened, *, firing: bool, again: bool = False) -> None:
    """The same for an incident that a rule opened, which is known by its own labels."""
    if incident.rule:
        labels = labels_of(incident)
        parts = (
            incident.id,
            firing,
            incident.rule,
            incident.component,
            labels,
            incident,
            _time_of(incident),
            incident.severity,
            incident.opened_ms,
            cycles.in_cycle(naive.policy, labels),
            incident.known_of,
        )
        for rule, group, side in inhibition.sides_of(naive.policy, labels):
            if not again and _hears_later(naive, rule, side, incident.severity, firing=firing):
                incident.fresh = True
                continue
            naive.messages.append((_shown, naive, rule, group, side, parts))


def labels_of(incident: Happened) -> dict[str, str]:
    """The labels by which policies know an incident that a rule opened."""
    known = {"component": incident.component, "owner": incident.owner}
    return {"alertname": incident.rule, "rule": incident.rule, **known}


def _shown(
    naive: "Naive", rule: str, group: tuple[str, ...], side: str, parts: tuple[Any, ...]
) -> None:
    if rule in inhibition.rules_by_name(naive.policy):
        naive.shown.append(inhibition.Shown(rule, group, side, naive.now_ms, *parts))
        speak(naive, rule, group)


def interval_of(policy: Mapping[str, Any]) -> int:
    """How long an urgent alert may go unnamed."""
    return parse_ms(policy["notify"].get("group_interval", "5m"))


def speak(naive: "Naive", name: str, group: tuple[str, ...]) -> None:
    """A rule says what keeps quiet now and did not, or the other way round, or because of something else."""
    rule = inhibition.rules_by_name(naive.policy)[name]
    shown = [one for one in naive.shown if (one.rule, one.group) == (name, group)]
    before, now = (
        naive.spoken.get((name, group), {}),
        inhibition.inhibited_targets(rule, shown, naive.now_ms, interval_of(naive.policy)),
    )
    naive.spoken[name, group] = now
    for target in {one.identity: one for one in shown if one.side != "source"}.values():
        was, is_ = before.get(target.identity), now.get(target.identity)
        if _same(was, is_):
            continue
        if (
            was is not None
            and inhibition.is_dependency(rule)
            and was.incident is not target.incident
        ):
            naive.messages.append((leaves, naive, was.incident, target.identity))
        if (
            is_ is not None
            and inhibition.is_dependency(rule)
            and is_.incident is not target.incident
        ):
            naive.messages.append((belongs, naive, is_.incident, target))
        naive.reached.add(_what(rule, was, is_, target))
        key = f"{name}/{group}"
        if is_ is not None:
            parent = (
                is_.incident
                if inhibition.is_dependency(rule) and is_.incident is not target.incident
                else None
            )
            naive.messages.append((hold, naive, target.identity, target.record, key, parent))
        elif target.firing:
            naive.messages.append((let_go, naive, target.identity, target.record, key))


def _what(
    rule: Mapping[str, Any],
    was: inhibition.Shown | None,
    is_: inhibition.Shown | None,
    target: inhibition.Shown,
) -> str:
    if is_ is None:
        return "let go" if target.firing else "a dependant ended"
    if not inhibition.is_dependency(rule):
        return "inhibited" if was is None else "inhibited by another"
    if was is not None:
        return "handed over"
    if not is_.firing:
        return "depends during the grace"
    return "adopted" if target.at_ms < is_.at_ms else "depends"


def _same(one: inhibition.Shown | None, other: inhibition.Shown | None) -> bool:
    return (one and (one.name, one.incident.id)) == (other and (other.name, other.incident.id))


def change_policy(naive: "Naive", policy: dict[str, Any]) -> None:
    """Running incidents go on under a new policy.

    Dependencies and inhibitions that changed begin anew with what fires.
    """
    former, naive.policy = naive.policy, policy
    before = inhibition.rules_by_name(former)
    now = inhibition.rules_by_name(policy)
    changed = {name for name in [*before, *now] if before.get(name) != now.get(name)}
    parting = list(
        _depending(naive, {name: rule for name, rule in before.items() if name in changed})
    )
    naive.shown = [one for one in naive.shown if one.rule not in changed]
    naive.spoken = {key: said for key, said in naive.spoken.items() if key[0] not in changed}
    for alert in naive.alerts:
        alert.suppressed_by = {
            key for key in alert.suppressed_by if key.split("/")[0] not in changed
        }
    for incident in naive.incidents:
        incident.suppressed_by = {
            key for key in incident.suppressed_by if key.split("/")[0] not in changed
        }
        incident.touch()
        incident.wait_ms = _wait_of(naive, incident)
        naive.look_at(incident)
    for alert in naive.alerts:
        if alert.waits and alert.fired_ms + wait_of(policy, alert) <= naive.now_ms:
            suppression.waited(naive, alert)
    for incident in naive.incidents:
        if incident.waits and incident.since["open"] + incident.wait_ms <= naive.now_ms:
            suppression.waited(naive, incident)
    near.change_policy(naive, former)
    _show_again(naive, changed)
    naive.messages += [(_take_back, naive, root, identity) for root, identity in parting]
    heartbeats.expect(naive, former)


def _depending(
    naive: "Naive", rules: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[Happened, str]]:
    """What depends on which incident by these rules."""
    newest = {one.identity: one for one in naive.shown}
    for (name, _), said in naive.spoken.items():
        for identity, root in said.items():
            if (
                name in rules
                and inhibition.is_dependency(rules[name])
                and root.incident is not newest[identity].incident
            ):
                yield root.incident, identity


def _take_back(naive: "Naive", root: Happened, identity: str) -> None:
    """A rule that has changed hears that something takes no part in it as it was."""
    naive.messages.append((_leaves_rule, naive, root, identity))


def _leaves_rule(naive: "Naive", root: Happened, identity: str) -> None:
    """It depends on what a root's incident is about by that rule no more, but perhaps by another."""
    by_others = any(
        identity in said
        and said[identity].incident is root
        and inhibition.is_dependency(inhibition.rules_by_name(naive.policy)[name])
        for (name, _), said in naive.spoken.items()
    )
    if not by_others:
        leaves(naive, root, identity)


def _wait_of(naive: "Naive", incident: Happened) -> int:
    if incident.rule:
        return inhibition.wait_of(naive.policy, labels_of(incident))
    alerts = [alert for alert in naive.alerts if alert.incident is incident]
    waits = [near.first_wait(naive.policy, alert) for alert in alerts]
    return min(waits, default=0)


def _show_again(naive: "Naive", names: set[str]) -> None:
    before, naive.messages = naive.messages, []
    for alert in sorted(
        naive.alerts, key=lambda one: (one.fired_ms, one.fired_offset, one.fingerprint)
    ):
        if alert.firing and alert.incident is not None:
            show_alert(naive, alert)
    for incident in naive.incidents:
        if not incident.ended:
            show_incident(naive, incident, firing=True, again=True)
    naive.messages = [*before, *(one for one in naive.messages if one[2] in names)]
