"""Targets that keep quiet while a source fires: dependencies, and inhibition with Alertmanager's meaning.

Each rule and group has an actor. Components tell it through the journal when a source or a target
of theirs begins or ends to fire; it answers, through the journal too, which targets keep quiet. A
dependency's targets are members of the source's incident, which is told what becomes of them.
"""

from collections.abc import Container
from dataclasses import replace
from typing import Any

from app.core.rules.compiled_policy import CompiledPolicy, PolicyDecision
from app.core.rules.inhibition_rule import InhibitionRule
from app.core.rules.rule_id import rule_id_from
from app.core.state import signals
from app.core.state.live_alert import LiveAlert
from app.core.state.members import PARTS_BYTES_MAX, VIA_MAX, InhibitionGroup, Member, Target
from app.core.state.signals import Change
from app.core.state.state import Incident
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from app.core.suppression import members, roots, suppression
from models.alert import Labels
from models.journal import encode_member, encode_suppression, text_of
from models.reason import BadInput, Reason
from models.text.truncate import truncate

SIDES = ("source", "target", "both")


def on_changed(turn: Turn, alert: LiveAlert, decision: PolicyDecision) -> None:
    """An alert began or ended to fire: tell the rules that it is a source or a target of."""
    if not decision.inhibitions:
        return
    member = signals.member_of(turn, alert)
    others = _others(turn, decision, alert.fingerprint, member)
    _signal_rules(turn, decision, alert.labels, alert.fingerprint, member, others)


def _others(
    turn: Turn, decision: PolicyDecision, identity: str, member: Member
) -> list[str] | None:
    """All rules, or those that hear of it at once: whether somebody knows of an urgent root shows at the turn's end."""
    if not (member.firing and member.severity.is_urgent):
        return None
    roots = _roots(turn.rules, decision)
    if roots:
        turn.unshown[identity] = True
    return [name for name, _ in decision.inhibitions if name not in roots]


def on_awareness(turn: Turn, alert: LiveAlert) -> None:
    """Somebody knows now of an alert that fires, or does not any more: tell the dependencies of which it is a root."""
    decision = turn.rules.evaluate(alert.labels)
    roots = _roots(turn.rules, decision)
    if roots:
        member = signals.member_of(turn, alert)
        _signal_rules(turn, decision, alert.labels, alert.fingerprint, member, roots)


def on_incident_awareness(turn: Turn, incident: Incident) -> None:
    """The same of an incident that a rule opened."""
    roots = _roots(turn.rules, turn.rules.evaluate(labels_of(incident)))
    if roots:
        _signal_rules_of_incident(turn, incident, firing=True, only=roots)


def _roots(rules: CompiledPolicy, decision: PolicyDecision) -> list[str]:
    return [
        name
        for name, side in decision.inhibitions
        if side == "source" and rules.inhibitions[name].membership
    ]


def on_incident(turn: Turn, incident: Incident, *, firing: bool) -> None:
    """The same for an incident that a rule opened.

    It takes part as an alert that is named like the rule.
    """
    if incident.rule:
        decision = turn.rules.evaluate(labels_of(incident))
        member = _member_of(turn.rules, incident, firing=firing)
        others = _others(turn, decision, incident.id, member)
        _signal_rules_of_incident(turn, incident, firing=firing, only=others)


def _signal_rules_of_incident(
    turn: Turn, incident: Incident, *, firing: bool, only: Container[str] | None = None
) -> None:
    labels = labels_of(incident)
    _signal_rules(
        turn,
        turn.rules.evaluate(labels),
        labels,
        incident.id,
        _member_of(turn.rules, incident, firing=firing),
        only,
    )


def _member_of(rules: CompiledPolicy, incident: Incident, *, firing: bool) -> Member:
    known = labels_of(incident)
    return Member(
        incident.rule,
        incident.component,
        incident.id,
        incident.severity,
        firing,
        incident.firing_since,
        known,
        scope=incident.scope,
        fired_ms=incident.opened_ms,
        in_cycle=rules.evaluate(known).in_cycle,
        known_of=incident.known_of,
    )


def _signal_rules(
    turn: Turn,
    decision: PolicyDecision,
    labels: Labels,
    identity: str,
    member: Member,
    only: Container[str] | None = None,
) -> None:
    for name, side in decision.inhibitions:
        if only is None or name in only:
            signals.send_signal(
                turn, _address_of(turn.rules.inhibitions[name], labels, side), identity, member
            )


def _address_of(rule: InhibitionRule, labels: Labels, side: str) -> signals.ActorAddress:
    return signals.ActorAddress(rule.policy.name, rule.rule_id, rule.group(labels), side)


def labels_of(incident: Incident) -> dict[str, str]:
    """The labels by which policies know an incident that a rule opened."""
    return {
        "alertname": incident.rule,
        "rule": incident.rule,
        "component": incident.component,
        "owner": incident.owner,
    }


def on_signal(turn: Turn, rule: InhibitionRule, group: str, side: str, change: Change) -> None:
    """A source or a target changed. Raises BadInput when there is no room for it."""
    identity, member, _ = change
    inhibition_group = (
        turn.state.inhibition_groups.get((rule.policy.name, group)) or InhibitionGroup()
    )
    if member.firing:
        check_room(turn, rule.policy.name, group, inhibition_group, identity, member)
    if side != "source":
        _target_changed(turn, rule, group, inhibition_group, change)
    if side != "target":
        _source_changed(turn, rule, group, inhibition_group, identity, member)
    for target in list(inhibition_group.targets) if side != "target" else [identity]:
        if target in inhibition_group.targets:
            _review_target(turn, rule, group, inhibition_group, target)
    turn.state.put_inhibition_group(rule.policy.name, group, inhibition_group)


def check_room(
    turn: Turn,
    name: str,
    group: str,
    inhibition_group: InhibitionGroup,
    identity: str,
    member: Member,
) -> None:
    """Raise BadInput when one more source or target would pass a bound.

    Nothing has changed by then.
    """
    bounds = turn.rules.policy.bounds
    if not (inhibition_group.sources or inhibition_group.targets or inhibition_group.last):
        check_groups(turn)
    if identity in inhibition_group.sources or identity in inhibition_group.targets:
        return
    if not inhibition_group.has_room(member, bounds.alerts_in_incident):
        number = len(inhibition_group.sources) + len(inhibition_group.targets)
        message = f"rule {name} has {number} sources and targets in {group:.200}, with {inhibition_group.bytes} bytes"
        limits = (
            f"{bounds.alerts_in_incident} (bounds.alerts_in_incident) with {PARTS_BYTES_MAX} bytes"
        )
        raise BadInput(Reason.BOUND_REACHED, f"{message}, must be at most {limits}")


def check_groups(turn: Turn) -> None:
    """Raise BadInput when one more group of a rule would pass the bound."""
    state, limit = turn.state, turn.rules.policy.bounds.groups
    number = (
        len(state.inhibition_groups)
        + len(state.windows)
        + len(state.parked)
        + len(state.deferred_signals)
    )
    if number >= limit:
        raise BadInput(
            Reason.BOUND_REACHED,
            f"rules have state for {number} groups, and bounds.groups is {limit}",
        )


def _target_changed(
    turn: Turn, rule: InhibitionRule, group: str, inhibition_group: InhibitionGroup, change: Change
) -> None:
    identity, member, left = change
    known = inhibition_group.put_target(
        identity, Target(turn.now_ms, member) if member.firing else None
    )
    if not member.firing and known is not None and known.root is not None:
        if not left:
            _signal_root(turn, rule, known.root, identity, member)
            return
        if rule.membership:
            _leave_root(
                turn, rule.policy.name, rule.rule_id, known.root, identity, member, ended=False
            )
        # It fires on, and may come back to this rule before what kept it quiet arrives.
        _answer_target(turn, rule, group, identity, known.member, None)


def _source_changed(
    turn: Turn,
    rule: InhibitionRule,
    group: str,
    inhibition_group: InhibitionGroup,
    identity: str,
    member: Member,
) -> None:
    known = inhibition_group.put_source(identity, member if member.firing else None)
    if member.firing:
        inhibition_group.last = None
    elif known is not None and not inhibition_group.sources and rule.grace_ms:
        inhibition_group.last, inhibition_group.ended_ms = known, turn.now_ms
        watch_grace(turn, rule.policy.name, group, inhibition_group)


def watch_grace(turn: Turn, name: str, group: str, inhibition_group: InhibitionGroup) -> None:
    """Set the timers at which the targets of a source that ended have outlived their grace."""
    rule = turn.rules.inhibition(name)
    if rule is not None and inhibition_group.last is not None:
        for grace_ms in {roots.urgent_grace_ms(turn, rule): None, rule.grace_ms: None}:
            turn.state.schedule(
                inhibition_group.ended_ms + grace_ms, TimerKind.GRACE, f"{name}\n{group}"
            )


def on_grace(turn: Turn, at_ms: int, subject: str) -> None:
    """What still fires after its source ended is on its own again."""
    name, group = subject.split("\n", 1)
    rule, inhibition_group = (
        turn.rules.inhibition(name),
        turn.state.inhibition_groups.get((name, group)),
    )
    if rule is None or inhibition_group is None or inhibition_group.last is None:
        return
    if inhibition_group.ended_ms + rule.grace_ms == at_ms:
        inhibition_group.last = None
    elif inhibition_group.ended_ms + roots.urgent_grace_ms(turn, rule) != at_ms:
        return
    for identity in inhibition_group.targets:
        _review_target(turn, rule, group, inhibition_group, identity)
    turn.state.put_inhibition_group(name, group, inhibition_group)


def _review_target(
    turn: Turn, rule: InhibitionRule, group: str, inhibition_group: InhibitionGroup, identity: str
) -> None:
    """Hold a target that has a cause, let go one that has none, and hand over one whose cause is another now."""
    target, cause = (
        inhibition_group.targets[identity],
        roots.source_of(turn, rule, inhibition_group, identity),
    )
    before, fresh = (
        target.root,
        rule.within_ms is None or turn.now_ms - target.at_ms <= rule.within_ms,
    )
    if before is None and not fresh:
        return
    if (before and (before.name, before.incident)) == (cause and (cause.name, cause.incident)):
        return
    if cause is not None and inhibition_group.bytes + cause.size > PARTS_BYTES_MAX:
        turn.refuse("members", "")
        cause = None
        if before is None:
            return
    inhibition_group.give_root(target, cause)
    because = None
    if before is not None:
        why = (
            f"now belongs to {cause.name} on {cause.place.title}"
            if cause
            else "no longer belongs to it"
        )
        _signal_root(turn, rule, before, identity, replace(target.member, firing=False), why)
    if cause is not None:
        relation = "Depends on" if rule.membership else "Inhibited by"
        text = f"{relation} {cause.name} on {cause.place.title} ({rule.policy.name})"
        # What shares its root's incident is in it already.
        parent = (
            cause.incident if rule.membership and cause.incident != target.member.incident else ""
        )
        source = next(
            (name for name, member in inhibition_group.sources.items() if member is cause),
            cause.incident,
        )
        because = {"text": text, "parent": parent, "source": source}
        _signal_root(turn, rule, cause, identity, target.member)
    _answer_target(turn, rule, group, identity, target.member, because)


def _answer_target(
    turn: Turn,
    rule: InhibitionRule,
    group: str,
    identity: str,
    member: Member,
    because: dict[str, str] | None,
) -> None:
    """Say that a target keeps quiet, or (None) need not any more."""
    message = encode_suppression(
        f"{rule.policy.name}/{group}", identity, member.record, because, rule.rule_id
    )
    turn.send(signals.key_of(member), message)


def incident_may_hide(turn: Turn, incident: Incident, identity: str, target: Member) -> bool:
    """Whether an incident that a rule opened may keep a member of it quiet."""
    source = _member_of(turn.rules, incident, firing=True)
    return roots.in_order(incident.id, source, identity, target) and roots.explains(source, target)


def _signal_root(
    turn: Turn, rule: InhibitionRule, root: Member, identity: str, member: Member, why: str = ""
) -> None:
    """Tell a root's incident whether a dependant of it fires, or (not firing) ended, or is its dependant no more."""
    if rule.membership and root.incident != member.incident:
        document = signals.document_of(identity, member)
        message = encode_member(root.incident, rule.policy.name, document, why, rule.rule_id)
        turn.send(signals.key_of(root), message)


def on_member(turn: Turn, document: dict[str, Any]) -> None:
    """An alert that depends on an incident began or ended to fire, or is on its own again.

    Raises BadInput.
    """
    root, why, rule_id = text_of(document, "member"), document.get("why"), rule_id_from(document)
    identity, member = signals.member_from(document.get("alert"))
    left = document.get("left") is True and not member.firing
    incident = turn.state.incidents.get(root)
    if incident is None:
        return  # it is closed, and its dependants are let go when their grace is over
    known = incident.members.get(identity)
    if member.firing and (known is None or not known.firing):
        members.check_room(turn, incident, identity, member)
        members.on_member_fired(turn, incident, identity, replace(member, own=False, via=[rule_id]))
    elif member.firing and known is not None and rule_id not in known.via:
        known.via = [*known.via, rule_id][-VIA_MAX:]
        turn.state.put_incident(incident)
    elif left and known is not None and (known.own or any(item != rule_id for item in known.via)):
        # By another rule it belongs to it still, perhaps by this one as it is now: its actor was
        # told of the change before.
        known.via = [item for item in known.via if item != rule_id]
        turn.state.put_incident(incident)
    elif not member.firing:
        text = (
            truncate(why, suppression.BECAUSE_CHARACTERS_MAX)
            if isinstance(why, str) and why
            else "ended"
        )
        members.on_member_ended(turn, incident, identity, text)


def signal_new_rules(turn: Turn, names: Container[str]) -> None:
    """Show what fires to rules that a policy change has brought or changed."""
    for alert in _all_firing(turn):
        member = signals.member_of(turn, alert)
        _signal_rules(
            turn,
            turn.rules.evaluate(alert.labels),
            alert.labels,
            alert.fingerprint,
            member,
            only=names,
        )
    for _, incident in sorted(turn.state.incidents.items()):
        if incident.rule and not incident.ended:
            _signal_rules_of_incident(turn, incident, firing=True, only=names)


def retract_signals(turn: Turn, before: CompiledPolicy, names: Container[str]) -> None:
    """Tell the rules of before that are gone, or mean something else now, that what fires takes no part in them any more."""
    for alert in _all_firing(turn):
        _retract_signal(
            turn,
            before,
            names,
            alert.labels,
            alert.fingerprint,
            signals.member_of(turn, alert, before),
        )
    for _, incident in sorted(turn.state.incidents.items()):
        if incident.rule and not incident.ended:
            _retract_signal(
                turn,
                before,
                names,
                labels_of(incident),
                incident.id,
                _member_of(before, incident, firing=True),
            )


def _retract_signal(
    turn: Turn,
    before: CompiledPolicy,
    names: Container[str],
    labels: Labels,
    identity: str,
    member: Member,
) -> None:
    for name, side in before.evaluate(labels).inhibitions:
        if name in names:
            signals.send_signal(
                turn,
                _address_of(before.inhibitions[name], labels, side),
                identity,
                member,
                left=True,
            )


def _all_firing(turn: Turn) -> list[LiveAlert]:
    """What fires and belongs to an incident, what has fired longest first."""
    firing = [alert for alert in turn.state.alerts.values() if alert.firing and alert.incident]
    return sorted(firing, key=lambda alert: (alert.fired_ms, alert.fired_offset, alert.fingerprint))


def park_rule(turn: Turn, rule: InhibitionRule) -> None:
    """The rule is not in force here any more: nothing is quiet because of it. What takes part in it is known still.

    Its owner may come back to it, and those who told of it may never have had another: they take
    back what they said.
    """
    state = turn.state
    for name, group in sorted(state.inhibition_groups):
        if name != rule.policy.name:
            continue
        inhibition_group = state.inhibition_groups[name, group]
        for identity, target in inhibition_group.targets.items():
            if target.root is not None:
                _answer_target(turn, rule, group, identity, target.member, None)
            if not rule.membership:
                inhibition_group.give_root(
                    target, None
                )  # else the root's incident is told when the target leaves
        inhibition_group.last, inhibition_group.ended_ms = None, 0
        state.put_inhibition_group(name, group, InhibitionGroup())
        state.put_parked(rule.rule_id, group, inhibition_group)


def note_parked(turn: Turn, name: str, rule_id: str, group: str, side: str, change: Change) -> None:
    """A source or a target of a rule that is not in force here changed.

    Raises BadInput when there is no room for it.
    """
    identity, member, left = change
    inhibition_group = turn.state.parked.get((rule_id, group)) or InhibitionGroup()
    if member.firing:
        check_room(turn, name, group, inhibition_group, identity, member)
    if side != "source":
        known = inhibition_group.put_target(
            identity, Target(turn.now_ms, member) if member.firing else None
        )
        if known is not None and known.root is not None:
            _leave_root(
                turn,
                name,
                rule_id,
                known.root,
                identity,
                replace(member, firing=False),
                ended=not (member.firing or left),
            )
    if side != "target":
        inhibition_group.put_source(identity, member if member.firing else None)
    turn.state.put_parked(rule_id, group, inhibition_group)


def _leave_root(
    turn: Turn, name: str, rule_id: str, root: Member, identity: str, member: Member, *, ended: bool
) -> None:
    """Tell a root's incident that a dependant ended, or is none any more by this rule."""
    if root.incident != member.incident:
        why = "" if ended else signals.LEFT_TEXT
        document = signals.document_of(identity, member)
        message = encode_member(root.incident, name, document, why, rule_id, left=not ended)
        turn.send(signals.key_of(root), message)


def unpark_rule(turn: Turn, rule: InhibitionRule) -> None:
    """The rule is in force here from now on.

    What was told of it before counts, as if it were told now.
    """
    state, name = turn.state, rule.policy.name
    for rule_id, group in sorted(state.parked):
        if rule_id != rule.rule_id:
            continue
        inhibition_group = state.parked[rule_id, group]
        state.put_parked(rule_id, group, InhibitionGroup())
        for identity, target in inhibition_group.targets.items():
            before, target.at_ms = target.root, turn.now_ms
            inhibition_group.give_root(target, None)
            _review_target(turn, rule, group, inhibition_group, identity)
            if before is not None and (
                target.root is None or target.root.incident != before.incident
            ):
                _leave_root(
                    turn,
                    name,
                    rule_id,
                    before,
                    identity,
                    replace(target.member, firing=False),
                    ended=False,
                )
        state.put_inhibition_group(name, group, inhibition_group)
