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
class CommandMeaning:
    """What a command says, and the incident of the recorded run that it is about.

    None if it is about none.
    """

    document: dict[str, Any]
    at_ms: int
    partition: int
    snapshot: dict[str, Any] | None
    closed: bool
    fingerprints: tuple[
        str, ...
    ]  # of its alerts, or of its members if a rule opened it; empty once it is closed


def meaning_of(recorded: Run, step: InputStep) -> CommandMeaning | None:
    """What a command meant when it was given, of which the recorded run has not heard yet.

    None if it is unreadable.
    """
    try:
        document = orjson.loads(step.record.value or b"")
    except orjson.JSONDecodeError:
        return None
    name = document.get("incident")
    if not isinstance(name, str):
        return None
    incident = recorded.engines[step.partition].state.incidents.get(to_run(name))
    snapshot = recorded.snapshots.get(to_run(name).encode())
    known = None if snapshot is None else orjson.loads(snapshot)
    return CommandMeaning(
        document,
        step.record.timestamp,
        step.partition,
        known,
        incident is None,
        _incident_fingerprints(incident),
    )


def _incident_fingerprints(incident: Incident | None) -> tuple[str, ...]:
    if incident is None:
        return ()
    return tuple(list(incident.members if incident.rule else incident.alerts)[:FINGERPRINTS_MAX])


def address_command(meaning: CommandMeaning, run: Run) -> tuple[int, bytes] | None:
    """The partition and the value of the command in a run; None if it has no such incident."""
    if meaning.snapshot is None:
        return meaning.partition, orjson.dumps(meaning.document)  # it was nobody's, and still is
    address = _find_incident(meaning, meaning.snapshot, run)
    if address is None:
        return None
    return address[0], orjson.dumps(meaning.document | {"incident": address[1]})


def left_out(meaning: CommandMeaning) -> UnaddressedCommand:
    """The command as it is told."""
    document, title = meaning.document, (meaning.snapshot or {}).get("title", "")
    return UnaddressedCommand(
        meaning.at_ms,
        str(document.get("command")),
        str(document.get("by")),
        str(document["incident"]),
        title,
    )


def _find_incident(
    meaning: CommandMeaning, meant: dict[str, Any], run: Run
) -> tuple[int, str] | None:
    """The partition and the id of the incident that is meant."""
    name, incident_class = meant["incident"], meant["class"]
    place = Place(meant["component"], meant["scope"])
    same = run.engines[meaning.partition].state.incidents.get(name)
    if same is not None and (same.place, same.incident_class) == (place, incident_class):
        return meaning.partition, name
    if meaning.closed:
        return _closed_incident(meaning.partition, meant, run)
    return next(
        (
            (where, incident.id)
            for where, incident in _open_incidents(meaning, place, incident_class, run)
        ),
        None,
    )


def _open_incidents(
    meaning: CommandMeaning, place: Place, incident_class: str, run: Run
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
                    item in incident.members for item in meaning.fingerprints
                ):
                    yield partition, incident
        return
    for fingerprint in meaning.fingerprints:
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
