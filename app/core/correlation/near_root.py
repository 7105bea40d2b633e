"""Nearness, where the root is: the incident to which others belong that opened near it.

They are its members: it is not over before they are. While somebody is notified of the root, those
that are for the same team, not urgent, and no worse than it keep quiet. The others stay members and
notify people by themselves, so that a false join costs nobody a page.
"""

from dataclasses import replace
from typing import Any

from app.core.incidents import resolution
from app.core.state import signals
from app.core.state.lifecycle import Cause, advance
from app.core.state.members import Member
from app.core.state.near_part import MERGED, NearPart
from app.core.state.state import Incident
from app.core.state.turn import Turn
from app.core.suppression import members
from app.core.suppression.suppression import BECAUSE_CHARACTERS_MAX
from models.journal import encode_suppression, text_of
from models.reason import BadInput
from models.text.truncate import truncate

NOTHING = "nothing"  # what a root explains of which nobody is notified


def on_member(turn: Turn, document: dict[str, Any]) -> None:
    """An incident that is near this one fires or has ended. Raises BadInput when it has no room."""
    rule, root = text_of(document, "rule"), text_of(document, "member")
    identity, member = signals.member_from(document.get("alert"))
    incident, is_merge = turn.state.incidents.get(root), rule.startswith(MERGED)
    refusal = _refusal_of_merge(incident) if is_merge and member.firing else ""
    if refusal:
        _refuse_merge(turn, rule, member, refusal)
        return
    if incident is None:
        return
    text = text_of(document, "why") if member.firing or "why" in document else ""
    why = truncate(text, BECAUSE_CHARACTERS_MAX)
    known = incident.members.get(identity)
    if not member.firing:
        if known is not None and known.record == member.record:
            _end_member(turn, incident, identity, why or "ended")
        return
    is_in_force = is_merge or turn.rules.nearness.get(rule.partition("/")[0]) is not None
    part = incident.near or NearPart()
    if incident.ended or part.is_merged or not is_in_force:
        return  # the rule's actor will be told, or the policy has changed: it is on its own
    try:
        members.check_room(turn, incident, identity, member)
    except BadInput:
        if is_merge:
            _refuse_merge(turn, rule, member, "has no room for it")
        raise
    incident.near = part
    part.explains = _explained(incident)
    member = replace(member, via=[rule])
    member.hidden = _hides(incident, part, member)
    members.on_member_fired(turn, incident, identity, member, why)
    _answer(turn, incident, identity, member, f": {why}")


def _refusal_of_merge(incident: Incident | None) -> str:
    """Why an incident takes no parts by a merge; empty if it does.

    What is a part itself takes none: two that were merged into each other at the same time would
    keep each other quiet, and release each other, for ever.
    """
    if incident is None or incident.ended:
        return "is over, or unknown"
    if incident.rule:
        return "was opened by a rule"
    part = incident.near
    is_part = part is not None and (part.root or part.is_merged)
    return "is a part of another incident itself" if is_part else ""


def _refuse_merge(turn: Turn, rule: str, member: Member, refusal: str) -> None:
    near = {"refused": refusal}
    message = encode_suppression(rule, member.incident, member.record, None, near=near)
    turn.send(member.place.key, message)


def review(turn: Turn, incident: Incident) -> None:
    """Tell members when the root explains them from now on, or no longer."""
    part = incident.near
    if part is None or not part.explains:
        return
    explains = _explained(incident)
    if explains == part.explains:
        return
    part.explains = explains
    turn.state.put_incident(incident)
    for identity, member in incident.members.items():
        hides = _hides(incident, part, member)
        if is_near(incident, member) and member.firing and member.hidden != hides:
            member.hidden = hides
            _answer(turn, incident, identity, member)


def is_near(incident: Incident, member: Member) -> bool:
    """Whether a member belongs to the incident because it is near it."""
    return member.own and not incident.rule


def drop_members(turn: Turn, incident: Incident, names: frozenset[str]) -> None:
    """End the membership by rules that a policy change has removed or changed."""
    for identity, member in incident.members.items():
        by_rule = bool(member.via) and member.via[0].partition("/")[0] in names
        if is_near(incident, member) and by_rule and member.firing:
            _end_member(turn, incident, identity, signals.LEFT_TEXT)


def _end_member(turn: Turn, incident: Incident, identity: str, text: str) -> None:
    ended = members.on_member_ended(turn, incident, identity, text)
    if ended and not incident.still_firing and not incident.ended:
        incident.state = advance(incident.state, Cause.ENDED)
        resolution.note_resolved(turn, incident, incident.resolved_by, "All alerts ended")


def _explained(incident: Incident) -> str:
    """Severity and owner of what the root explains; `NOTHING` while nobody is notified of it.

    One that an operator resolved is reopened soon if its members fire on.
    """
    over = incident.ended and not incident.still_firing
    if over or incident.suppressed or incident.muted_by:
        return NOTHING
    return f"{incident.severity} {incident.owner}"


def _hides(incident: Incident, part: NearPart, member: Member) -> bool:
    if part.explains == NOTHING or member.severity < incident.severity:
        return False
    if member.via and member.via[0].startswith(MERGED):
        return True
    return not member.severity.is_urgent and member.owner == incident.owner


def _answer(turn: Turn, incident: Incident, identity: str, member: Member, why: str = "") -> None:
    """Tell a member's incident what it belongs to, and whether it keeps quiet."""
    rule = member.via[0].partition("/")[0]
    joined = f"Near {incident.title}{why} ({rule})"
    merged = f"Part of {incident.title}{why}" if why else f"Merged into {incident.title}"
    text = merged if rule.startswith(MERGED) else joined
    because = {"text": text, "parent": incident.id, "source": incident.id}
    near = {
        "member": identity,
        "root": incident.id,
        "key": incident.place.key,
        "severity": member.severity,
    }
    message = encode_suppression(
        member.via[0], member.incident, member.record, because if member.hidden else None, near=near
    )
    turn.send(member.place.key, message)
