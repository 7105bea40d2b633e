"""Which incident of a run an operator's command is meant for.

A command names an incident by its id, which is made of a journal position, and the same incident
may begin at another record under another policy. What the id meant is looked up in the run of the
recorded policies, at the moment of the command. It goes to the incident that is the same, else to
the one that is open for the same component (or rule and group) and class, else to the one that the
same alerts belong to. If there is none, it is left out, and told.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from app.core.correlation.windows import CORRELATED
from app.core.state.state import Incident
from app.whatif.ids import to_run
from app.whatif.inputs import InputStep
from app.whatif.run import Run
from models.incident import partition_from_id
from models.place import Place

FINGERPRINTS_MAX = 100  # of the alerts by which an incident is looked for


@dataclass(frozen=True, slots=True)
class UnaddressedCommand:
    """A command that had no incident to go to."""

    at_ms: int
    command: str
    by: str
    incident: str  # as the record names it
    title: str


@dataclass(frozen=True, slots=True)
class MeantIncident:
    """An incident of the recorded run that a command names."""

    partition: int
    snapshot: dict[str, Any]
    closed: bool
    # Of its alerts, or of its members if a rule opened it; empty once it is closed.
    fingerprints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CommandMeaning:
    """What a command says, and the incidents of the recorded run that it names.

    `incident` is the one that it is about, `into` the one that this is merged into; None of those
    that it names none.
    """

    document: dict[str, Any]
    at_ms: int
    partition: int
    incident: MeantIncident | None
    into: MeantIncident | None


def meaning_of(recorded: Run, step: InputStep) -> CommandMeaning | None:
    """What a command meant when it was given, of which the recorded run has not heard yet.

    None if it is unreadable.
    """
    try:
        document = orjson.loads(step.record.value or b"")
    except orjson.JSONDecodeError:
        return None
    name, into = document.get("incident"), document.get("into")
    if not isinstance(name, str):
        return None
    return CommandMeaning(
        document,
        step.record.timestamp,
        step.partition,
        _meant_incident(recorded, step.partition, name),
        _incident_of_id(recorded, into) if isinstance(into, str) else None,
    )


def _incident_of_id(recorded: Run, name: str) -> MeantIncident | None:
    """The incident of that id, in the partition that the id says."""
    try:
        partition = partition_from_id(name)
    except ValueError:
        return None
    is_there = partition < len(recorded.engines)
    return _meant_incident(recorded, partition, name) if is_there else None


def _meant_incident(recorded: Run, partition: int, name: str) -> MeantIncident | None:
    incident = recorded.engines[partition].state.incidents.get(to_run(name))
    value = recorded.snapshots.get(to_run(name).encode())
    if value is None:
        return None
    snapshot = orjson.loads(value)
    return MeantIncident(partition, snapshot, incident is None, _incident_fingerprints(incident))


def _incident_fingerprints(incident: Incident | None) -> tuple[str, ...]:
    if incident is None:
        return ()
    return tuple(list(incident.members if incident.rule else incident.alerts)[:FINGERPRINTS_MAX])


def address_command(meaning: CommandMeaning, run: Run) -> tuple[int, bytes] | None:
    """The partition and the value of the command in a run; None if it has no such incident."""
    if meaning.incident is None:
        return meaning.partition, orjson.dumps(meaning.document)  # it was nobody's, and still is
    address = _find_incident(meaning.incident, run)
    if address is None:
        return None
    partition, name = address
    document = meaning.document | {"incident": name}
    if isinstance(document.get("into"), str):
        into = _find_incident(meaning.into, run) if meaning.into is not None else None
        document["into"] = to_run(document["into"]) if into is None else into[1]
    return partition, orjson.dumps(document)


def left_out(meaning: CommandMeaning) -> UnaddressedCommand:
    """The command as it is told."""
    document, meant = meaning.document, meaning.incident
    title = meant.snapshot.get("title", "") if meant is not None else ""
    return UnaddressedCommand(
        meaning.at_ms,
        str(document.get("command")),
        str(document.get("by")),
        str(document["incident"]),
        title,
    )


def _find_incident(meant: MeantIncident, run: Run) -> tuple[int, str] | None:
    """The partition and the id of the incident that is meant."""
    name, incident_class = meant.snapshot["incident"], meant.snapshot["class"]
    place = Place(meant.snapshot["component"], meant.snapshot["scope"])
    same = run.engines[meant.partition].state.incidents.get(name)
    if same is not None and (same.place, same.incident_class) == (place, incident_class):
        return meant.partition, name
    if meant.closed:
        return _closed_incident(meant.partition, meant.snapshot, run)
    return next(
        (
            (where, incident.id)
            for where, incident in _open_incidents(meant, place, incident_class, run)
        ),
        None,
    )


def _open_incidents(
    meant: MeantIncident, place: Place, incident_class: str, run: Run
) -> Iterator[tuple[int, Incident]]:
    for partition, engine in enumerate(run.engines):
        incident = engine.state.current.get((place.key, incident_class))
        if incident is not None:
            yield partition, incident
    if incident_class == CORRELATED:
        rule = place.component.partition("/")[0]
        for partition, engine in enumerate(run.engines):
            for incident in engine.state.incidents.values():
                if incident.rule == rule and any(
                    item in incident.members for item in meant.fingerprints
                ):
                    yield partition, incident
        return
    for fingerprint in meant.fingerprints:
        for partition, engine in enumerate(run.engines):
            alert = engine.state.alerts.get(fingerprint.encode())
            if alert is not None and alert.incident:
                yield partition, engine.state.incidents[alert.incident]


def _closed_incident(partition: int, meant: dict[str, Any], run: Run) -> tuple[int, str] | None:
    """The incident of a run that is closed, and may have left tasks.

    The same, else the last one that is like it.
    """
    if meant["incident"].encode() in run.snapshots:
        return partition, meant["incident"]
    last = None
    for number, engine in enumerate(run.engines):
        for task in engine.state.tasks.values():
            item = orjson.loads(run.snapshots[task.incident.encode()])
            same_record = (
                run.origins.get(item["opened_by"], item["opened_by"]) == meant["opened_by"]
            )
            if same_record or all(
                item[name] == meant[name] for name in ("component", "scope", "class")
            ):
                last = number, task.incident
    return last
