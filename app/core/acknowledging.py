"""Somebody takes an incident, by command or by a silence.

Source: PROCEDURES, "Alert Acknowledgment".
"""

from app.core import clocks, notifying, reminding
from app.core.lifecycle import Cause, advance
from app.core.state import Incident
from app.core.turn import Turn


def acknowledge(turn: Turn, incident: Incident, by: str, text: str) -> None:
    """Somebody takes the incident: it stops climbing."""
    incident.state = advance(incident.state, Cause.ACKNOWLEDGE)
    incident.acknowledged_ms, incident.acknowledged_by = turn.now_ms, by
    turn.tell(incident, "Acknowledged", f"{by} is investigating{': ' if text else ''}{text}", by=by)
    clocks.on_done(turn, incident, clocks.ACKNOWLEDGE)
    what = next(iter(incident.names), incident.title)
    notifying.on_acknowledged(
        turn, incident, f"\N{LEFT-POINTING MAGNIFYING GLASS} Investigating {what} - {by} responding"
    )
    reminding.on_word(turn, incident)
    turn.changed(incident)
