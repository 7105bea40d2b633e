"""Reminders that something has to be said about an incident, and acknowledgements that were forgotten.

Source: PROCEDURES, "Communication (Every 15 minutes)". Each word of an operator begins the time
anew. After so many reminders in a row an acknowledgement counts as forgotten: the incident is open
again and climbs on.
"""

from collections.abc import Iterator

from app.core.notification import mute_times, recipients
from app.core.response import escalation
from app.core.state.deadline import Deadline
from app.core.state.lifecycle import Cause, advance
from app.core.state.state import Incident
from app.core.state.turn import Turn
from models.duration import format_ms
from models.incident import State

FORGOTTEN = "forgotten"
REMINDER = "reminder"
# What `deadlines` reads of an incident.
DEADLINE_FIELDS = (
    *mute_times.DEADLINE_FIELDS,
    *("guide", "severity", "ended", "held", "told_ms", "reminded_ms", "reminded", "state"),
)


def deadlines(turn: Turn, incident: Incident) -> Iterator[Deadline]:
    """When the owner is reminded, or the acknowledgement counts as forgotten."""
    every_ms = turn.rules.update_every_ms(incident.guide, incident.severity)
    if incident.ended or incident.held or not incident.told_ms or every_ms is None:
        return
    at_ms = incident.reminded_ms + every_ms
    if incident.reminded < turn.rules.policy.updates.reminders:
        at_ms = mute_times.next_told_ms(turn, incident, at_ms)
        yield Deadline(at_ms, _on_silent, "", REMINDER, incident.reminded_ms)
    elif incident.state is State.ACKNOWLEDGED:
        at_ms = mute_times.next_told_ms(turn, incident, at_ms)
        yield Deadline(at_ms, _on_forgotten, "", FORGOTTEN, incident.reminded_ms)


def on_word(turn: Turn, incident: Incident) -> None:
    """Somebody said something."""
    incident.word_ms = incident.reminded_ms = turn.now_ms
    incident.reminded = 0


def _on_silent(turn: Turn, incident: Incident, _: str) -> None:
    incident.reminded += 1
    incident.reminded_ms = turn.now_ms
    silent = format_ms(turn.now_ms - incident.word_ms)
    if incident.state is State.ACKNOWLEDGED:
        who = incident.assignee or incident.acknowledged_by
        text = f"{who}: no update for {silent}; say how it goes: tocsin update {incident.id} TEXT --eta 30m"
    else:
        text = f"nobody has said anything for {silent}; take it: tocsin ack {incident.id}"
    turn.tell(incident, "Reminded", text)
    recipients.on_reminder(turn, incident, text)
    turn.changed(incident)


def _on_forgotten(turn: Turn, incident: Incident, _: str) -> None:
    incident.state = advance(incident.state, Cause.FORGOTTEN)
    silent = format_ms(turn.now_ms - incident.word_ms)
    because = f"{incident.assignee or incident.acknowledged_by} took it, and has said nothing for {silent}"
    on_word(turn, incident)
    incident.untaken_ms = turn.now_ms
    turn.tell(incident, "Forgotten", because)
    escalation.climb(turn, incident, FORGOTTEN, because, [incident.opened_by])
