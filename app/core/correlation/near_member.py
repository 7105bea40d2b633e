"""Nearness, where an incident's own records are: it asks a rule when it opens, and hears of its root.

A repeat asks nothing, and neither does one more alert of the incident: it belongs to the root as its
incident does. What is urgent never keeps quiet, nor what is worse than the rule was told.
"""

from typing import Any, NamedTuple

from app.core.correlation.background import BACKGROUND
from app.core.correlation.near_labels import Shared, shared_by
from app.core.rules.compiled_policy import PolicyDecision
from app.core.rules.nearness_rule import NearnessRule
from app.core.state import signals
from app.core.state.live_alert import LiveAlert, Suppression
from app.core.state.members import Member
from app.core.state.near_memory import HOURS
from app.core.state.near_part import MERGED, NearPart
from app.core.state.state import Incident
from app.core.state.turn import Turn
from app.core.suppression import suppression
from models.journal import encode_member, encode_signal, text_of
from models.reason import BadInput, Reason
from models.severity import Severity
from models.text.truncate import truncate

ROLE = "near"  # of a signal to a rule of nearness


class _Answer(NamedTuple):
    """What a root says."""

    member: str
    root: str
    key: str
    severity: Severity
    because: str  # empty when it does not keep quiet


def review(turn: Turn, incident: Incident) -> None:
    """Ask the rule when the incident has opened or reopened, and tell it when it has ended."""
    part = incident.near
    if incident.ended:
        if part is not None and part.actor:
            leave(turn, incident, part, resolved=not (part.expired or incident.lost))
    elif turn.rules.nearness and (part is None or part.times <= incident.reopened):
        part = incident.near = part or NearPart()
        part.times = incident.reopened + 1
        turn.state.put_incident(incident)
        _ask(turn, incident, part)


def _ask(turn: Turn, incident: Incident, part: NearPart) -> None:
    alert = newest_alert(incident)
    decision = turn.rules.evaluate(alert.labels) if alert else None
    rule = turn.rules.nearness.get(decision.nearness) if decision else None
    if alert is None or rule is None or incident.always:
        return
    group = rule.group(alert.place, incident.owner, alert.labels)
    member = member_of(turn, incident, alert)
    if group is None or not signals.fits_signal(group, member):
        return
    part.actor, part.alert = f"{rule.policy.name}/{group}", alert.fingerprint
    shared = shared_by(alert.place.group, alert.labels, rule.tuning.place_labels)
    _signal(turn, part, rule, member, _near_of(turn, incident, alert, shared))


def newest_alert(incident: Incident) -> LiveAlert | None:
    """Of the alerts that fire, the one that began last."""
    firing = [alert for alert in incident.alerts.values() if alert.firing]
    return max(firing, key=lambda alert: (alert.fired_ms, alert.fingerprint), default=None)


def _near_of(turn: Turn, incident: Incident, alert: LiveAlert, shared: Shared) -> dict[str, Any]:
    begun = turn.state.near.begun.get(alert.fingerprint)
    is_background = incident.incident_class == BACKGROUND and begun is not None
    hours = begun.hours.bit_count() if begun and is_background else 0
    return {
        "places": shared.places,
        "kind": shared.kind,
        "labels": shared.labels,
        "hours": min(hours, HOURS),
    }


def member_of(turn: Turn, incident: Incident, alert: LiveAlert) -> Member:
    """The incident as a root knows it, by one of its alerts."""
    member = signals.member_of(turn, alert)
    member.incident, member.record = incident.id, incident.firing_since
    member.severity, member.owner = incident.severity, incident.owner
    member.firing = not incident.ended
    return member


def _signal(
    turn: Turn, part: NearPart, rule: NearnessRule | None, member: Member, near: dict[str, Any]
) -> None:
    name, _, group = part.actor.partition("/")
    document = signals.document_of(part.alert, member)
    rule_id = rule.rule_id if rule else ""
    value = encode_signal(name, group, ROLE, document, rule_id, near=near)
    turn.send(f"rule/{part.actor}", value)


def leave(turn: Turn, incident: Incident, part: NearPart, *, resolved: bool, why: str = "") -> None:
    """It has ended, or people say otherwise (`why`): tell the rule and the root."""
    alert = incident.alerts.get(part.alert) or newest_alert(incident)
    assert alert is not None, "an incident that fires has an alert"
    member = member_of(turn, incident, alert)
    member.firing = False
    if not part.is_merged:
        rule = turn.rules.nearness.get(part.actor.partition("/")[0])
        _signal(turn, part, rule, member, {"resolved": resolved})
    if part.root:
        _tell_root(turn, part.actor, part.root, part.root_key, part.alert, member, why)
    forget(turn, incident, part)


def _tell_root(
    turn: Turn, actor: str, root: str, key: str, identity: str, member: Member, why: str = ""
) -> None:
    document = signals.document_of(identity, member)
    turn.send(key, encode_member(root, actor, document, why, near=True))


def forget_root(incident: Incident, root: str) -> None:
    """People say that it never was a part of that incident."""
    part = incident.near
    for roots in (incident.parents, part.roots if part else []):
        if root in roots:
            roots.remove(root)


def forget(turn: Turn, incident: Incident, part: NearPart) -> None:
    """It belongs to nothing any more, and its alerts keep quiet for nothing that is near."""
    actor = part.actor
    incident.near = NearPart(part.times, roots=part.roots, explains=part.explains)
    _let_go(turn, incident, actor)
    turn.state.put_incident(incident)


def _let_go(turn: Turn, incident: Incident, actor: str) -> None:
    for alert in incident.alerts.values():
        if alert.firing and actor in (alert.suppressions or {}):
            suppression.suppress_alert(turn, alert, actor, None)


def on_answer(turn: Turn, document: dict[str, Any]) -> None:
    """A root says that an incident belongs to it, and whether its alerts keep quiet. Raises BadInput.

    Or the rule says that it follows one that has ended.
    """
    actor, identity, record = (text_of(document, key) for key in ("suppression", "alert", "record"))
    if isinstance(document["near"], dict) and "follows" in document["near"]:
        _on_follows(turn, actor, identity, record, document["near"])
        return
    if isinstance(document["near"], dict) and "refused" in document["near"]:
        _on_refused(turn, actor, identity, record, text_of(document["near"], "refused"))
        return
    answer = _answer_from(document)
    incident = turn.state.incidents.get(identity)
    part = incident.near if incident is not None else None
    if incident is None or part is None or part.actor != actor or incident.firing_since != record:
        # It has ended since, or the policy has changed, and the root may not have heard.
        member = Member("", "", identity, Severity.P3, firing=False, record=record)
        _tell_root(turn, actor, answer.root, answer.key, answer.member, member)
        return
    part.root, part.root_key = answer.root, answer.key
    part.because, part.severity = answer.because, answer.severity
    _note_root(turn, incident, part, answer.root)
    if not part.because:
        _let_go(turn, incident, actor)
    for alert in incident.alerts.values() if part.because else ():
        if alert.firing and _may_keep_quiet(turn, incident, part, alert):
            suppression.suppress_alert(turn, alert, actor, _reason(part))
    turn.changed(incident)


def _on_follows(turn: Turn, actor: str, identity: str, record: str, near: dict[str, Any]) -> None:
    first, why = text_of(near, "follows"), text_of(near, "why")
    incident = turn.state.incidents.get(identity)
    part = incident.near if incident is not None else None
    if incident is None or part is None or part.actor != actor or incident.firing_since != record:
        return
    text = truncate(f"Follows {first}, which has ended: {why}", suppression.BECAUSE_CHARACTERS_MAX)
    _note_root(turn, incident, part, first)
    turn.timeline(incident, "Follows", text, parent=first)
    turn.changed(incident)


def _on_refused(turn: Turn, actor: str, identity: str, record: str, why: str) -> None:
    """A merge came to nothing: the other incident is over, or is none that can have members."""
    incident = turn.state.incidents.get(identity)
    part = incident.near if incident is not None else None
    if incident is None or part is None or part.actor != actor or incident.firing_since != record:
        return
    forget(turn, incident, part)
    root = actor.removeprefix(MERGED)
    turn.timeline(incident, "Split", f"Not merged: {root} {why}", by="", parent=root)
    turn.changed(incident)


def _note_root(turn: Turn, incident: Incident, part: NearPart, root: str) -> None:
    suppression.note_parent(turn, incident, root)
    if root in incident.parents and root not in part.roots:
        part.roots.append(root)


def _answer_from(document: dict[str, Any]) -> _Answer:
    near, because = document.get("near"), document.get("because")
    if not isinstance(near, dict) or not isinstance(because, dict | None):
        raise BadInput(
            Reason.MALFORMED, f"near is {near!r:.200}, must have member, root, key and severity"
        )
    severity = text_of(near, "severity")
    if severity not in list(Severity):
        raise BadInput(
            Reason.MALFORMED, f"the severity is {severity!r:.40}, must be {', '.join(Severity)}"
        )
    text = text_of(because, "text")[: suppression.BECAUSE_CHARACTERS_MAX] if because else ""
    names = [text_of(near, name) for name in ("member", "root", "key")]
    return _Answer(names[0], names[1], names[2], Severity(severity), text)


def _reason(part: NearPart) -> Suppression:
    return Suppression(part.because, part.root, part.root)


def _may_keep_quiet(turn: Turn, incident: Incident, part: NearPart, alert: LiveAlert) -> bool:
    if alert.severity < part.severity or turn.rules.evaluate(alert.labels).always:
        return False
    if part.is_merged:  # a person says so; what is urgent was named to somebody before
        return alert.named or not alert.severity.is_urgent
    return not alert.severity.is_urgent and alert.owner == incident.owner


def hide_with(turn: Turn, incident: Incident, alert: LiveAlert, decision: PolicyDecision) -> None:
    """One more alert is about to join an incident whose alerts keep quiet: it keeps quiet too, if it may."""
    part = incident.near
    if part is None or not part.because or incident.ended or decision.always:
        return
    if _may_keep_quiet(turn, incident, part, alert):
        alert.suppressions = (alert.suppressions or {}) | {part.actor: _reason(part)}
