"""Somebody acknowledges an incident, by command or by a silence.

Source: PROCEDURES, "Alert Acknowledgment".
"""

from collections.abc import Sequence

from app.core.notification import recipients
from app.core.response import reminders, service_levels
from app.core.state.lifecycle import Cause, advance
from app.core.state.state import Incident
from app.core.state.turn import Turn


def acknowledge(
    turn: Turn, incident: Incident, by: str, text: str, unacknowledged: Sequence[str] = ()
) -> None:
    """Somebody acknowledges the incident: escalation stops, unless urgent alerts of it are not meant.

    Those are named by their fingerprints: escalation goes on for as long as one of them fires.
    """
    incident.unacknowledged = list(unacknowledged)
    incident.state = advance(incident.state, Cause.ACKNOWLEDGE)
    incident.acknowledged_ms, incident.acknowledged_by = turn.now_ms, by
    incident.fires_anew_ms, incident.joined = 0, False
    turn.timeline(
        incident, "Acknowledged", f"{by} acknowledged it{': ' if text else ''}{text}", by=by
    )
    service_levels.on_done(turn, incident, service_levels.ACKNOWLEDGE)
    title = next(iter(incident.names), incident.title)
    recipients.on_acknowledged(
        turn,
        incident,
        f"\N{LEFT-POINTING MAGNIFYING GLASS} Investigating {title} - {by} responding",
    )
    reminders.on_activity(turn, incident)
    turn.changed(incident)
