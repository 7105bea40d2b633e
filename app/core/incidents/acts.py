"""Commands that came back through a chat, a pager or a link.

Such a command carries a key. The services send an event again when they did not hear an answer, and
a link can be tapped twice, so a key counts once for an incident. Whoever pressed a button saw the
incident as it was a moment ago: the second of two is told who was first.
"""

from app.core.state.state import Incident
from models.command import Command
from models.incident import State
from models.reason import BadInput, Reason
from models.text.instant import format_instant

KEYS_KEPT = 50  # of one incident, the newest; an older act that comes again counts once more


def check_act(incident: Incident, command: Command, key: str) -> None:
    """Raise BadInput for an act that was carried out before, by the same key or by somebody else."""
    if key in incident.act_keys:
        raise BadInput(Reason.REPEATED, "it was carried out before")
    match command, incident.state:
        case Command.ACKNOWLEDGE, State.ACKNOWLEDGED if not (
            incident.unacknowledged or incident.joined
        ):  # nobody was notified of anything that it does not cover
            first, at_ms, done = incident.acknowledged_by, incident.acknowledged_ms, "acknowledged"
        case Command.RESOLVE, State.RESOLVED:
            first, at_ms, done = incident.resolved_by, incident.resolved_ms, "resolved"
        case _:
            return
    if first:
        message = f"{first} {done} it first, at {format_instant(at_ms)}"
    else:
        message = f"it was {done} already, at {format_instant(at_ms)}"
    raise BadInput(Reason.ILLEGAL_TRANSITION, message)


def note_act(incident: Incident, key: str) -> None:
    """Remember that an act was carried out."""
    incident.act_keys = [*incident.act_keys, key][-KEYS_KEPT:]
