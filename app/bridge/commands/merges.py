"""Into what an incident can be merged, as far as the view knows; the engine has the last word."""

from typing import Any

import orjson

from app.history.incident_view import IncidentView
from app.intake.commands import partition_of_incident
from models.command import Command
from models.incident import State
from models.reason import BadInput, Reason

Document = dict[str, Any]


async def refusal_of_merge(
    incidents: IncidentView, command: Command, document: Document, partitions: int
) -> tuple[Reason, str] | None:
    """Why a command cannot be carried out because of the incident that it is to be merged into.

    `document` is the command's body, which `command_value` has taken.
    """
    if command is not Command.MERGE:
        return None
    into = document["into"]
    try:
        value = await incidents.snapshot(into, partition_of_incident(into, partitions))
    except BadInput as refusal:
        return refusal.reason, f"into: {refusal.message}"
    if value is None:
        return Reason.UNKNOWN_INCIDENT, f"into: there is no incident {into!r:.60}"
    known = orjson.loads(value)
    if known["state"] in (State.RESOLVED, State.CLOSED):
        text = f"into: {into} is {known['state']}, must be open or acknowledged"
        return Reason.ILLEGAL_TRANSITION, text
    if known["rule"]:
        text = f"into: the rule {known['rule']} opened {into}, so only the rule adds parts"
        return Reason.ILLEGAL_TRANSITION, text
    return None
