"""What operators say about an incident, and what that changes. Everything they say is in the timeline, with who said it.

Source: PROCEDURES, "Standard Response Procedures". Each word also begins the time to the next
reminder anew.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from app.core.incidents import acts, resolution
from app.core.notification import naming, recipients
from app.core.notification.actions import begin_episode
from app.core.response import acknowledgement, escalation, followups, reminders
from app.core.state.lifecycle import Cause, advance
from app.core.state.state import Incident
from app.core.state.turn import Turn
from models.command import Command, Verdict
from models.effect import Stream
from models.incident import State, partition_from_id
from models.journal import text_of
from models.reason import BadInput, Reason
from models.text.instant import NEWEST_MS, format_instant
from models.text.suggest import did_you_mean
from models.text.truncate import truncate

NAME_CHARACTERS = 60  # of a command that is none

Details = dict[str, Any]
Handler = Callable[[Turn, Incident, str, str, Details], None]  # by whom, with which text


def on_command(turn: Turn, document: Details, others: Mapping[Command, Handler]) -> None:
    """An operator's command. Raises BadInput before anything has changed.

    `others` are the handlers of commands that are carried out above this room.
    """
    name, target, by = (
        text_of(document, "command"),
        text_of(document, "incident"),
        text_of(document, "by"),
    )
    if name not in list(Command):
        raise BadInput(
            Reason.UNKNOWN_KIND, f"the command is {name!r}, must be one of {', '.join(Command)}"
        )
    text = text_of(document, "text") if "text" in document else ""
    turn.command = name
    try:
        command = Command(name)
        handler = others.get(command) or _HANDLERS.get(command)
        _carry_out(turn, handler, command, target, by, text, document)
    finally:
        turn.command = ""


def _carry_out(
    turn: Turn,
    handler: Handler | None,
    command: Command,
    identity: str,
    by: str,
    text: str,
    document: Details,
) -> None:
    incident = turn.state.incidents.get(identity)
    if command is Command.DONE:
        followups.on_done(turn, identity, text_of(document, "task"), by, text)
        return
    if incident is None:
        if command is Command.ROOT_CAUSE and followups.on_cause(turn, identity, by, text):
            return
        raise BadInput(
            Reason.UNKNOWN_INCIDENT,
            f"{identity!r} is closed, or was never an incident of this partition",
        )
    key = text_of(document, "key") if "key" in document else ""
    if key:
        acts.check_act(incident, command, key)
    assert handler is not None, command
    handler(turn, incident, by, text, document)
    if key:
        acts.note_act(incident, key)
    reminders.on_activity(turn, incident)
    turn.changed(incident, at_once=True)  # whoever sent it waits for the incident's new state


def on_refused(turn: Turn, value: bytes, refusal: BadInput) -> None:
    """Note in the incident's timeline that a command was refused, and why.

    The incident may be closed. A record that names none leaves a dead letter only.
    """
    try:
        document = orjson.loads(value)
        identity, name, by = (text_of(document, key) for key in ("incident", "command", "by"))
        partition_from_id(identity)
    except (BadInput, AttributeError, ValueError):
        return
    incident = turn.state.incidents.get(identity)
    body = {
        "incident": identity,
        "component": incident.component if incident else "",
        "scope": incident.scope if incident else "",
        "text": f"{name} by {by} was refused: {refusal.message}",
        "by": by,
        "command": truncate(name, NAME_CHARACTERS),
        "reason": refusal.reason,
        "message": refusal.message,
    }
    turn.emit(Stream.TIMELINE, identity, "CommandRefused", body)


def on_receipt(turn: Turn, document: Details) -> None:
    """A notifier states what became of a notification. Raises BadInput."""
    name, incident, state = (text_of(document, item) for item in ("receipt", "incident", "state"))
    detail = text_of(document, "detail") if "detail" in document else ""
    kinds = {"delivered": "Delivered", "failed": "DeliveryFailed"}
    if state not in kinds:
        raise BadInput(Reason.MALFORMED, f"state is {state!r:.40}, must be delivered or failed")
    body = {
        "incident": incident,
        "component": "",
        "scope": "",
        "text": f"{state}{_with_text(detail)}",
        "notification": name,
        "detail": detail,
    }
    turn.count(f"receipts.{state}")
    turn.emit(Stream.TIMELINE, incident, kinds[state], body)


def _acknowledge(turn: Turn, incident: Incident, by: str, text: str, _: Details) -> None:
    acknowledgement.acknowledge(turn, incident, by, text)


def _assign(turn: Turn, incident: Incident, by: str, text: str, details: Details) -> None:
    to, team = str(details.get("to") or ""), str(details.get("team") or "")
    if team and team not in turn.rules.policy.teams:
        known = ", ".join(turn.rules.policy.teams)
        raise BadInput(
            Reason.UNKNOWN_NAME, f"team is {team!r:.60}, must be one of the teams ({known})"
        )
    if not to and not team:
        raise BadInput(
            Reason.MALFORMED, "assign: names neither a person (to) nor a team, must name one"
        )
    _check_contact(turn, to)
    incident.assignee = to or incident.assignee
    assigned = " of ".join(part for part in (to, team) if part)
    turn.timeline(
        incident,
        "Assigned",
        f"{by} assigned it to {assigned}{_with_text(text)}",
        by=by,
        to=to,
        team=team,
    )
    if team and team != incident.owner:
        incident.owner, incident.step, incident.step_since_ms = team, 1, turn.now_ms
        incident.owner_alert, incident.owner_severity = "", incident.severity
        incident.notified_owner = team
        begin_episode(incident)
        recipients.on_opened(turn, incident, f"{by} handed it over to {team}{_with_text(text)}")


def _assess(turn: Turn, incident: Incident, by: str, text: str, details: Details) -> None:
    verdict, scope = details.get("verdict"), str(details.get("scope") or "")
    if verdict not in list(Verdict):
        raise BadInput(
            Reason.MALFORMED, f"verdict is {verdict!r:.40}, must be {' or '.join(Verdict)}"
        )
    if incident.state is State.OPEN:
        acknowledgement.acknowledge(turn, incident, by, "")  # who has assessed it is looking at it
    incident.assessment = {"verdict": str(verdict), "scope": scope, "by": by}
    affected = f", affects {scope}" if scope else ""
    turn.timeline(
        incident,
        "Assessed",
        f"{by} assessed it as {verdict}{affected}{_with_text(text)}",
        by=by,
        verdict=verdict,
        strikes=scope,
    )


def _add_note(turn: Turn, incident: Incident, by: str, text: str, _: Details) -> None:
    turn.timeline(incident, "Noted", f"{by}: {text}", by=by)


def _set_root_cause(turn: Turn, incident: Incident, by: str, text: str, _: Details) -> None:
    if not text:
        raise BadInput(Reason.MALFORMED, "root-cause: has no text, must name the root cause")
    incident.root_cause, incident.root_cause_by = text, by
    turn.timeline(incident, "RootCauseNamed", f"{by}: {text}", by=by)


def _mitigate(turn: Turn, incident: Incident, by: str, text: str, _: Details) -> None:
    incident.mitigated_ms, incident.mitigated_by = turn.now_ms, by
    turn.timeline(incident, "Mitigated", f"{by} mitigated it{_with_text(text)}", by=by)


def _post_update(turn: Turn, incident: Incident, by: str, text: str, details: Details) -> None:
    eta_ms = details.get("eta_ms") or 0
    if type(eta_ms) is not int or not 0 <= eta_ms <= NEWEST_MS:
        raise BadInput(
            Reason.BAD_TIME, f"eta_ms is {eta_ms!r:.40}, must be milliseconds since 1970"
        )
    incident.eta_ms = eta_ms or incident.eta_ms
    expected = f"Expected to be over by {format_instant(eta_ms)}" if eta_ms else ""
    update = naming.join_sentences(text, expected) if expected else text
    eta_at = format_instant(eta_ms) if eta_ms else None
    turn.timeline(incident, "Updated", f"{by}: {update}", by=by, eta_at=eta_at)
    recipients.on_update(turn, incident, update)


def _count_complaint(turn: Turn, incident: Incident, by: str, text: str, details: Details) -> None:
    number = details.get("number", 1)
    if type(number) is not int or not 1 <= number <= 1_000_000:
        raise BadInput(Reason.MALFORMED, f"number is {number!r:.40}, must be 1 or more")
    incident.complaints += number
    so_far = f"{number} more, {incident.complaints} in total"
    turn.timeline(
        incident,
        "Complained",
        f"{by} counted complaints: {so_far}{_with_text(text)}",
        by=by,
        number=number,
    )
    escalation.on_complaints(turn, incident)


def _escalate(turn: Turn, incident: Incident, by: str, text: str, details: Details) -> None:
    step = details.get("step")
    if incident.ended:
        hint = ": reopen it first" if incident.state is State.RESOLVED else ""
        raise BadInput(
            Reason.ILLEGAL_TRANSITION,
            f"the incident is {incident.state}, must be open or acknowledged to escalate{hint}",
        )
    _check_step(turn, incident, step)
    escalation.escalate_step(
        turn,
        incident,
        escalation.MANUAL,
        f"{by} escalated it{_with_text(text)}",
        [turn.position],
        step,
        by,
    )


def _check_step(turn: Turn, incident: Incident, step: Any) -> None:
    """Raise BadInput for a step that the owner's chain does not have."""
    chain = turn.rules.chain(turn.rules.owner_known(incident.owner))
    if step is None or (type(step) is int and 1 <= step <= len(chain)):
        return
    steps = ", ".join(f"{number} {contact.name}" for number, contact in enumerate(chain, 1))
    raise BadInput(
        Reason.UNKNOWN_NAME, f"step is {step!r:.40}, must be one of {incident.owner}: {steps}"
    )


def _check_contact(turn: Turn, name: str) -> None:
    """Raise BadInput for a person that the policy does not know."""
    contacts = turn.rules.policy.contacts
    if (
        name
        and name not in contacts
        and name not in {contact.name for contact in contacts.values()}
    ):
        expected = f"must be a contact of the policy ({', '.join(contacts)})"
        raise BadInput(
            Reason.UNKNOWN_NAME,
            f"to is {name!r:.60}, {expected}{did_you_mean(name, contacts)}",
        )


def _resolve(turn: Turn, incident: Incident, by: str, text: str, _: Details) -> None:
    incident.state = advance(incident.state, Cause.RESOLVE)
    resolution.note_resolved(turn, incident, by, f"{by} resolved it{_with_text(text)}")


def _reopen(turn: Turn, incident: Incident, by: str, text: str, _: Details) -> None:
    incident.state = advance(incident.state, Cause.REOPEN)
    resolution.note_reopened(turn, incident, f"{by} reopened it{_with_text(text)}", by)


def _close(turn: Turn, incident: Incident, by: str, text: str, _: Details) -> None:
    resolution.close_incident(turn, incident, f"{by} closed it{_with_text(text)}", by)


_HANDLERS: dict[Command, Handler] = {
    Command.ACKNOWLEDGE: _acknowledge,
    Command.ASSIGN: _assign,
    Command.ASSESS: _assess,
    Command.NOTE: _add_note,
    Command.ROOT_CAUSE: _set_root_cause,
    Command.MITIGATE: _mitigate,
    Command.UPDATE: _post_update,
    Command.COMPLAINT: _count_complaint,
    Command.ESCALATE: _escalate,
    Command.RESOLVE: _resolve,
    Command.REOPEN: _reopen,
    Command.CLOSE: _close,
}


def _with_text(text: str) -> str:
    return f": {text}" if text else ""
