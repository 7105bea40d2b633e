"""Who is told what, through which channel: notification effects. One effect is one message to one receiver.

Source: PROCEDURES, "Alert Severity Levels" (channels) and "Team Response Assignments" (whom).
"""

from collections.abc import Iterable
from typing import Any

from app.core.notification import mute_times
from app.core.state.state import Incident, Task
from app.core.state.turn import Turn
from models.effect import Stream
from models.incident import State
from models.journal import encode_page
from models.policy import Channel, Contact

CHANNELS: tuple[Channel, ...] = ("email", "chat", "pager")


def on_opened(turn: Turn, incident: Incident, text: str) -> None:
    """Tell the owner, its first on call, and whom the severity and the class name besides."""
    _notify_owner(turn, incident, "opened", text, _channels_of_severity(turn, incident))
    for contact in _contacts_besides(turn, incident):
        _notify_contact(turn, incident, "opened", text, contact)


def on_severity_raised(turn: Turn, incident: Incident, text: str) -> None:
    """Tell the owner through the channels of the new severity, and whom the new severity names besides."""
    _notify_owner(turn, incident, "severity_raised", text, _channels_of_severity(turn, incident))
    for contact in _contacts_besides(turn, incident):
        _notify_contact(turn, incident, "severity_raised", text, contact)


def on_more(turn: Turn, incident: Incident, kind: str, text: str) -> None:
    """Tell the owner that more belongs to it (`updated`), or that it still waits for somebody (`repeated`).

    Whoever has taken it is at work already, and need not be paged again.
    """
    taken = incident.state is State.ACKNOWLEDGED
    channels = turn.rules.policy.notify.updates if taken else _channels_of_severity(turn, incident)
    _notify_owner(turn, incident, kind, text, channels)


def on_escalated(turn: Turn, incident: Incident, contact: Contact, text: str) -> None:
    """Tell the contact that the incident has climbed to."""
    _notify_contact(turn, incident, "escalated", text, contact)


def on_acknowledged(turn: Turn, incident: Incident, text: str) -> None:
    """Post that somebody responds (PROCEDURES, "Alert Acknowledgment")."""
    _notify_owner(turn, incident, "acknowledged", text, turn.rules.policy.notify.acknowledged)


def on_update(turn: Turn, incident: Incident, text: str) -> None:
    """Tell those who wait how it goes (PROCEDURES, "Communication")."""
    _notify_owner(turn, incident, "update", text, turn.rules.policy.notify.updates)
    for contact in _contacts_besides(turn, incident):
        _notify_contact(turn, incident, "update", text, contact)


def on_reminder(turn: Turn, incident: Incident, text: str) -> None:
    """Remind the owner that something has to be said."""
    _notify_owner(turn, incident, "reminder", text, turn.rules.policy.notify.reminders)


def on_clock(turn: Turn, incident: Incident, kind: str, text: str) -> None:
    """Tell the owner that a target is near (`clock_warned`) or missed (`clock_breached`)."""
    if incident.notified_ms and not incident.suppressed:
        _notify_in_hours(turn, incident, kind, text)


def on_suppression(turn: Turn, incident: Incident, kind: str, text: str) -> None:
    """Tell the owner, who has heard of it, that something explains it (`held`), or does no more (`released`)."""
    if incident.notified_ms:
        _notify_in_hours(turn, incident, kind, text)


def on_flapping(turn: Turn, incident: Incident, text: str) -> None:
    """Tell the owner once that it comes and goes.

    Also while it waits for a rule, each time for too short to be told else.
    """
    if not incident.suppressed or incident.reopened_unexplained:
        _notify_in_hours(turn, incident, "flapping", text)


def on_reopened(turn: Turn, incident: Incident, text: str) -> None:
    """Tell the owner that it is not over; quietly, for this must not wake anybody each time."""
    if incident.notified_ms and not incident.flapping_ms and not incident.suppressed:
        _notify_in_hours(turn, incident, "reopened", text)


def _notify_in_hours(turn: Turn, incident: Incident, kind: str, text: str) -> None:
    """Tell the owner now, or when the hours begin.

    Then the newest only, for what was before is no news any more.
    """
    if mute_times.may_notify(turn, incident):
        incident.deferred_notification = {}
        _notify_owner(turn, incident, kind, text, _channels_of_kind(turn, kind))
    else:
        incident.deferred_notification, incident.deferred_since_ms = (
            {"kind": kind, "text": text},
            turn.now_ms,
        )
        turn.changed(incident)


def on_time(turn: Turn, incident: Incident) -> None:
    """Tell what has waited for its hours."""
    said, incident.deferred_notification = incident.deferred_notification, {}
    turn.changed(incident)
    _notify_owner(turn, incident, said["kind"], said["text"], _channels_of_kind(turn, said["kind"]))


def _channels_of_kind(turn: Turn, kind: str) -> list[Channel]:
    notify = turn.rules.policy.notify
    return {
        "reopened": notify.reopened,
        "flapping": notify.flapping,
        "suppressed": notify.suppressed,
        "released": notify.suppressed,
    }.get(kind, notify.clocks)


def on_closed(turn: Turn, incident: Incident, text: str) -> None:
    """Tell everybody who was told that it is over, so that pagers and boards are cleared."""
    if not incident.notified_ms:
        return  # it ended before anybody was told of it
    _notify_owner(turn, incident, "resolved", text, _channels_of_severity(turn, incident))
    chain = turn.rules.chain(turn.rules.owner_known(incident.owner))
    called = chain[1 : incident.step]
    besides = [contact for contact in _contacts_besides(turn, incident) if contact not in called]
    for contact in [*called, *besides]:
        _notify_contact(turn, incident, "resolved", text, contact)


def on_task(turn: Turn, task: Task, kind: str, text: str, next_step: str) -> None:
    """Tell the owner of a follow-up task that something is to be done."""
    team = turn.rules.team_contact(turn.rules.owner_known(task.owner))
    for channel in turn.rules.policy.notify.tasks:
        body = _body_of(task.incident, task.severity, task.owner, task.title, text, next_step)
        _send_message(turn, task.incident, kind, body, channel, team)


def _channels_of_severity(turn: Turn, incident: Incident) -> list[Channel]:
    return turn.rules.policy.notify.channels[incident.severity]


def _contacts_besides(turn: Turn, incident: Incident) -> list[Contact]:
    return turn.rules.also_notify(incident.severity, incident.incident_class)


def _notify_owner(
    turn: Turn, incident: Incident, kind: str, text: str, channels: Iterable[Channel]
) -> None:
    """Tell the team.

    By pager its first on call, who is also told by the rest where the policy says so.
    """
    owner = turn.rules.owner_known(incident.owner)
    team, first = turn.rules.team_contact(owner), turn.rules.chain(owner)[0]
    on_call = incident.severity in turn.rules.policy.notify.on_call
    body = _body_of(
        incident.id, incident.severity, incident.owner, incident.title, text, incident.next_step
    )
    for channel in channels:
        if channel != "pager":
            _send_message(turn, incident.id, kind, body, channel, team)
        if channel == "pager" or (
            on_call and address_of(first, channel) != address_of(team, channel)
        ):
            _send_message(turn, incident.id, kind, body, channel, first)


def _notify_contact(turn: Turn, incident: Incident, kind: str, text: str, contact: Contact) -> None:
    """Tell one contact through the severity's channels.

    One that has none of them by those that it has.
    """
    body = _body_of(
        incident.id, incident.severity, incident.owner, incident.title, text, incident.next_step
    )
    channels = [
        channel for channel in _channels_of_severity(turn, incident) if address_of(contact, channel)
    ]
    for channel in channels or CHANNELS:
        _send_message(turn, incident.id, kind, body, channel, contact)


def _body_of(
    incident: str, severity: str, owner: str, title: str, text: str, next_step: str
) -> dict[str, Any]:
    return {
        "incident": incident,
        "severity": severity,
        "owner": owner,
        "title": f"[{severity}] {title}",
        "text": text,
        "next": next_step,
    }


def _send_message(
    turn: Turn, incident: str, kind: str, body: dict[str, Any], channel: Channel, contact: Contact
) -> None:
    """Emit the message, or send it to the receiver's actor where it may end in a digest."""
    if not address_of(contact, channel):
        return  # a contact without that channel, for example a manager without a chat room
    body = body | {
        "channel": channel,
        "receiver": contact.name,
        "address": address_of(contact, channel),
    }
    digest = turn.rules.policy.notify.digest
    if digest is not None and body["severity"] in digest.severity:
        turn.send(f"receiver/{channel}/{contact.name}", encode_page(body["severity"], kind, body))
        return
    turn.count("notifications")
    turn.emit(Stream.NOTIFICATIONS, incident, kind, body)


def address_of(contact: Contact, channel: Channel) -> str:
    """Where a contact is reached through a channel; empty when it is not."""
    return {"pager": contact.pager, "email": contact.email, "chat": contact.chat}[channel]
