"""Members: alerts of other components that belong to an incident.

A rule opened it for them, or they depend on what it is about.
"""

from app.core import escalating
from app.core.state import Incident, Member
from app.core.turn import Turn
from models.incident import State


def fired(turn: Turn, incident: Incident, fingerprint: str, member: Member) -> bool:
    """A member began to fire, or is new: whether there was room for it."""
    if fingerprint not in incident.members and len(incident.members) >= turn.rules.policy.bounds.alerts_in_incident:
        turn.count("refused.members")
        return False
    grown = incident.state is State.ACKNOWLEDGED and member.component not in _components(incident)
    incident.members[fingerprint] = member
    turn.tell(incident, "MemberFired", f"{member.name} on {member.component} belongs to it", member=member.incident)
    if grown:
        escalating.on_grown(turn, incident, f"{member.component} too")
    turn.changed(incident)
    return True


def ended(turn: Turn, incident: Incident, fingerprint: str, text: str = "ended") -> bool:
    """A member ended, or belongs to it no more: whether it was one that fired."""
    member = incident.members.get(fingerprint)
    if member is None or not member.firing:
        return False
    member.firing = False
    turn.tell(incident, "MemberEnded", f"{member.name} on {member.component} {text}", member=member.incident)
    turn.changed(incident)
    return True


def _components(incident: Incident) -> set[str]:
    """The components that the incident strikes. Only for asking: a set has no order."""
    own = set() if incident.rule else {incident.component}
    return own | {member.component for member in incident.members.values()}
