"""People correct correlation: an incident becomes a part of another one, or stands alone again.

A merge uses the ways of nearness (`near_member`, `near_root`): the incident becomes a member of the
other, which is its root. While somebody is notified of the root, the alerts of the member keep
quiet that are no worse than the root. An urgent alert keeps quiet only if it was named to somebody
before. A split ends what a merge or nearness joined.
"""

from collections.abc import Mapping
from typing import Any

from app.core.correlation import near_member
from app.core.incidents.commands import Handler
from app.core.state import signals
from app.core.state.near_part import MERGED, NearPart
from app.core.state.state import Incident
from app.core.state.turn import Turn
from models.command import Command
from models.incident import partition_from_id
from models.journal import encode_member, text_of
from models.reason import BadInput, Reason
from models.topics import INCIDENT_KEY

Details = dict[str, Any]


def _merge(turn: Turn, incident: Incident, by: str, text: str, details: Details) -> None:
    """Make the incident a part of another one, whose partition answers."""
    into = text_of(details, "into")
    _check_merge(incident, into)
    alert = near_member.newest_alert(incident)
    if alert is None:
        raise _refusal("none of its alerts is firing")
    because = f": {text}" if text else ""
    turn.timeline(incident, "Merged", f"{by} merged it into {into}{because}", by=by, parent=into)
    if incident.near is not None and incident.near.actor:
        near_member.leave(turn, incident, incident.near, resolved=False, why="was merged elsewhere")
    part = incident.near = incident.near or NearPart(incident.reopened + 1)
    part.actor, part.alert = f"{MERGED}{into}", alert.fingerprint
    document = signals.document_of(part.alert, near_member.member_of(turn, incident, alert))
    message = encode_member(into, part.actor, document, f"{by} merged it{because}", near=True)
    turn.send(f"{INCIDENT_KEY.decode()}{into}", message)


def _check_merge(incident: Incident, into: str) -> None:
    """Raise BadInput when it cannot become a part of that incident."""
    try:
        partition_from_id(into)
    except ValueError as error:
        raise BadInput(Reason.UNKNOWN_INCIDENT, str(error)) from None
    if into == incident.id:
        raise _refusal("an incident cannot be a part of itself")
    if incident.ended:
        raise _refusal(
            f"the incident is {incident.state}, must be open or acknowledged to merge it"
        )
    if incident.rule:
        raise _refusal(f"the rule {incident.rule} opened it: merge the other one into it")
    if incident.always:
        raise _refusal("it always escalates, so it is a part of no other incident")
    if incident.near is not None and into == incident.near.root:
        raise _refusal(f"it is a part of {into} already")
    if any(member.firing for member in incident.members.values()):
        raise _refusal("it has members of its own: merge the other one into it")


def _split(turn: Turn, incident: Incident, by: str, text: str, _: Details) -> None:
    """Let the incident stand alone: it is notified like an opening if nobody was."""
    part = incident.near
    if incident.ended or part is None or not part.root:
        raise _refusal("it is a part of no other incident by a merge or by nearness")
    root, because = part.root, f": {text}" if text else ""
    turn.timeline(incident, "Split", f"{by} split it from {root}{because}", by=by, parent=root)
    near_member.leave(turn, incident, part, resolved=False, why=f"was split off by {by}")
    near_member.forget_root(incident, root)


def _refusal(text: str) -> BadInput:
    return BadInput(Reason.ILLEGAL_TRANSITION, text)


HANDLERS: Mapping[Command, Handler] = {Command.MERGE: _merge, Command.SPLIT: _split}
