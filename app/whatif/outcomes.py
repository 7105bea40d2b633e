"""What a run said, as what a comparison needs: its incidents, the messages to people, the escalations.

Ids and positions are as the record has them (`app.whatif.ids`); times are milliseconds since 1970.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.whatif.ids import recorded_ids_in, shown_position
from app.whatif.run import Run
from models.text.instant import milliseconds

PAGER = "pager"


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident, as of its last snapshot."""

    id: str
    component: str  # or rule/group
    incident_class: str
    rule: str
    severity: str
    owner: str
    title: str
    opened_by: str  # the position of the record, as it was recorded
    opened_ms: int
    closed_ms: int | None
    ends_ms: int  # when it was closed, or when the run ended
    notified_ms: int | None  # its first message, as the policy's times have it
    heard: bool  # whether anybody was told anything of it, if only that it flaps
    paged: bool  # whether anybody was called
    acknowledged_ms: int | None
    acknowledged_by: str
    parents: tuple[str, ...]  # incidents that it was part of


@dataclass(frozen=True, slots=True)
class Message:
    """One notification: a message to one receiver through one channel."""

    id: str
    at_ms: int
    incident: str  # empty for a digest, which is about many
    kind: str
    channel: str
    receiver: str
    severity: str
    owner: str  # the team; a digest has none
    title: str
    text: str

    @property
    def page(self) -> bool:
        """Whether somebody is called: a message through the pager."""
        return self.channel == PAGER


@dataclass(frozen=True, slots=True)
class Escalation:
    """One escalation."""

    id: str
    at_ms: int
    incident: str
    rule: str
    step: int
    to: str
    severity: str
    owner: str
    because: str


@dataclass(slots=True)
class RunOutcomes:
    """All that a run said, each list in the order of time."""

    incidents: list[Incident] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    escalations: list[Escalation] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)  # dead letters by reason


def facts_of(run: Run, ends_ms: int) -> RunOutcomes:
    """What a run said that ended at `ends_ms`."""
    messages = [_read_message(document) for document in _parse_documents(run.notifications)]
    heard = {message.incident for message in messages}
    paged = {message.incident for message in messages if message.page}
    incidents = [
        _read_incident(document, ends_ms, run.origins, heard, paged)
        for document in _parse_documents(run.snapshots.values())
    ]
    return RunOutcomes(
        sorted(incidents, key=lambda incident: (incident.opened_ms, incident.id)),
        sorted(messages, key=lambda message: message.at_ms),
        sorted(
            (_read_escalation(document) for document in _parse_documents(run.escalations)),
            key=lambda escalation: escalation.at_ms,
        ),
        dict(sorted(run.refused.items())),
    )


def _parse_documents(values: Iterable[bytes]) -> Iterable[dict[str, Any]]:
    return (orjson.loads(value) for value in values)


def _read_incident(
    body: dict[str, Any],
    ends_ms: int,
    origins: Mapping[str, str],
    heard: Container[str],
    paged: Container[str],
) -> Incident:
    closed_ms, name = _instant_ms(body["closed_at"]), recorded_ids_in(body["incident"])
    return Incident(
        id=name,
        component=body["component"],
        incident_class=body["class"],
        rule=body["rule"],
        severity=body["severity"],
        owner=body["owner"],
        title=recorded_ids_in(body["title"]),
        opened_by=shown_position(origins.get(body["opened_by"], body["opened_by"])),
        opened_ms=_instant_ms(body["opened_at"]) or 0,
        closed_ms=closed_ms,
        ends_ms=ends_ms if closed_ms is None else closed_ms,
        notified_ms=_instant_ms(body["notified_at"]),
        heard=body["notified_at"] is not None or name in heard,
        paged=name in paged,
        acknowledged_ms=_instant_ms(body["acknowledged_at"]),
        acknowledged_by=body["acknowledged_by"],
        parents=tuple(recorded_ids_in(parent) for parent in body["parents"]),
    )


def _read_message(body: dict[str, Any]) -> Message:
    return Message(
        id=shown_position(body["id"]),
        at_ms=_instant_ms(body["at"]) or 0,
        incident=recorded_ids_in(body["incident"] or ""),
        kind=body["kind"],
        channel=body["channel"],
        receiver=body["receiver"],
        severity=body["severity"],
        owner=body["owner"],
        title=recorded_ids_in(body["title"]),
        text=recorded_ids_in(body["text"]),
    )


def _read_escalation(body: dict[str, Any]) -> Escalation:
    return Escalation(
        id=shown_position(body["id"]),
        at_ms=_instant_ms(body["at"]) or 0,
        incident=recorded_ids_in(body["incident"]),
        rule=body["rule"],
        step=body["step"],
        to=body["to"]["name"],
        severity=body["severity"],
        owner=body["owner"],
        because=recorded_ids_in(body["because"]),
    )


def _instant_ms(instant: str | None) -> int | None:
    return None if instant is None else milliseconds(instant)
