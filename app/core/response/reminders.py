"""Reminders that something has to be said about an incident, and acknowledgements that were forgotten.

Source: PROCEDURES, "Communication (Every 15 minutes)". Whoever has taken an incident is reminded;
while nobody has, escalation is the reminder. Each word of an operator begins the time anew. After
so many reminders in a row an acknowledgement counts as forgotten: the incident is open again and
climbs on.
"""

from collections.abc import Iterator

from app.core.notification import mute_times, recipients
from app.core.response import escalation
from app.core.state.deadline import Deadline
from app.core.state.lifecycle import Cause, advance
from app.core.state.state import Incident
from app.core.state.turn import Turn
from models.incident import State
from models.text.duration import format_ms

LAPSED = "forgotten"
REMINDER = "reminder"
# What `deadlines` reads of an incident.
DEADLINE_FIELDS = (
    *mute_times.DEADLINE_FIELDS,
    *("runbook", "severity", "suppressed", "notified_ms", "reminded_ms", "reminded"),
    *("state",),
)


def deadlines(turn: Turn, incident: Incident) -> Iterator[Deadline]:
    """When whoever has taken it is reminded, or the acknowledgement counts as forgotten."""
    if incident.state is not State.ACKNOWLEDGED or incident.suppressed or not incident.notified_ms:
        return
    every_ms = turn.rules.update_every_ms(incident.runbook, incident.severity)
    if every_ms is None:
        return
    at_ms = mute_times.next_notifiable_ms(turn, incident, incident.reminded_ms + every_ms)
    if incident.reminded < turn.rules.policy.updates.reminders:
        yield Deadline(at_ms, _on_no_update, "", REMINDER, incident.reminded_ms)
    else:
        yield Deadline(at_ms, _on_lapsed, "", LAPSED, incident.reminded_ms)


def on_activity(turn: Turn, incident: Incident) -> None:
    """Somebody acted on the incident."""
    incident.last_update_ms = incident.reminded_ms = turn.now_ms
    incident.reminded = 0


def _on_no_update(turn: Turn, incident: Incident, _: str) -> None:
    incident.reminded += 1
    incident.reminded_ms = turn.now_ms
    silent = format_ms(turn.now_ms - incident.last_update_ms)
    who = incident.assignee or incident.acknowledged_by
    update = f"tocsin update {incident.id} TEXT --eta 30m"
    text = f"{who}: no update for {silent}. Post one: {update}"
    turn.timeline(incident, "Reminded", text)
    recipients.on_reminder(turn, incident, text)
    turn.changed(incident)


def _on_lapsed(turn: Turn, incident: Incident, _: str) -> None:
    incident.state = advance(incident.state, Cause.FORGOTTEN)
    silent = format_ms(turn.now_ms - incident.last_update_ms)
    responder = incident.assignee or incident.acknowledged_by
    because = f"{responder} acknowledged it, but posted no update for {silent}"
    on_activity(turn, incident)
    incident.unacknowledged_since_ms = turn.now_ms
    turn.timeline(incident, "Forgotten", because)
    escalation.escalate_step(turn, incident, LAPSED, because, [incident.opened_by])
