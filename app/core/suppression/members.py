"""Members: alerts of other components that belong to an incident.

A rule opened it for them, or they depend on what it is about.
"""

from app.core.response import escalation
from app.core.state.members import PARTS_BYTES_MAX, Member
from app.core.state.state import Incident
from app.core.state.turn import Turn
from app.core.suppression import silences
from models.incident import State
from models.place import Place
from models.reason import BadInput, Reason


def check_room(turn: Turn, incident: Incident, fingerprint: str, member: Member) -> None:
    """Raise BadInput when one more member would pass a bound. Nothing has changed by then."""
    if fingerprint in incident.members:
        return
    number, limit = len(incident.members), turn.rules.policy.bounds.alerts_in_incident
    if number >= limit or incident.bytes + member.size > PARTS_BYTES_MAX:
        message = f"incident {incident.id} has {number} members with {incident.bytes} bytes"
        limits = f"{limit} (bounds.alerts_in_incident) with {PARTS_BYTES_MAX} bytes"
        raise BadInput(Reason.BOUND_REACHED, f"{message}, must be at most {limits}")


def on_member_fired(
    turn: Turn, incident: Incident, fingerprint: str, member: Member, why: str = ""
) -> None:
    """A member began to fire, or is new; `check_room` has said that there is room for it."""
    # What only depends on it, or is near it, was to be expected by whoever took it.
    grown = (
        bool(incident.rule)
        and member.own
        and incident.state is State.ACKNOWLEDGED
        and member.place not in _places(incident)
    )
    known = incident.members.get(fingerprint)
    incident.members[fingerprint] = member
    incident.bytes += member.size - (known.size if known else 0)
    turn.timeline(
        incident,
        "MemberFired",
        f"{member.name} on {member.place.title} belongs to it{f': {why}' if why else ''}",
        member=member.incident,
    )
    silences.review_incident(turn, incident)
    if grown:
        escalation.on_grown(turn, incident, f"{member.place.title} too")
    turn.changed(incident)


def on_member_ended(turn: Turn, incident: Incident, fingerprint: str, text: str = "ended") -> bool:
    """A member ended, or belongs to it no more: whether it was one that fired."""
    member = incident.members.get(fingerprint)
    if member is None or not member.firing:
        return False
    member.firing = False
    turn.timeline(
        incident,
        "MemberEnded",
        f"{member.name} on {member.place.title} {text}",
        member=member.incident,
    )
    silences.review_incident(turn, incident)
    turn.changed(incident)
    return True


def _places(incident: Incident) -> set[Place]:
    """The places that the incident strikes. Only for asking: a set has no order."""
    own = set() if incident.rule else {incident.place}
    return own | {member.place for member in incident.members.values()}
