"""The explanation of whatever an id names: an effect, an incident, a task, a silence; or of a record."""

import re

from app.explain.causes import Causes
from app.explain.effects import explain_effect
from app.explain.incidents import explain_incident
from app.explain.records import explain_record
from app.explain.tasks_and_silences import explain_silence, explain_task
from app.explain.tree import Node
from app.history.archive import Archive
from app.history.not_kept import NotRetained
from app.history.tracer import Tracer
from models.effect import EFFECT_ID
from models.incident import position_from_id

_RECORD = re.compile(r"([0-9]{1,4})[:-]([0-9]{1,19})")


async def answer(
    archive: Archive, tracer: Tracer, policy_file: str, name: str, record: str = ""
) -> Node:
    """The explanation of what `name` names, or of the journal record at `record`. Raises NotRetained."""
    causes = Causes(archive, tracer, policy_file)
    if record:
        place = _RECORD.fullmatch(record)
        if place is None:
            raise NotRetained(
                f"--record is {record!r:.60}, must be PARTITION:OFFSET such as 3:1207"
            )
        return await explain_record(archive, tracer, causes, int(place[1]), int(place[2]))
    if EFFECT_ID.fullmatch(name):
        return await explain_effect(archive, tracer, causes, name)
    incident, _, task = name.partition(".")
    try:
        position_from_id(incident)
    except ValueError:
        return await explain_silence(archive, tracer, causes, name)
    if task:
        return await explain_task(archive, tracer, causes, name)
    return await explain_incident(archive, tracer, causes, name)
