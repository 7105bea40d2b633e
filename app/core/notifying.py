"""Who is told what, through which channel: notification effects. One effect is one message to one receiver.

Source: PROCEDURES, "Alert Severity Levels" (channels) and "Team Response Assignments" (whom).
"""

from collections.abc import Iterable

from app.core.state import Incident
from app.core.turn import Turn
from models.effect import Stream
from models.policy import Contact


def on_opened(turn: Turn, incident: Incident, text: str) -> None:
    """Tell the owner: its first on call by pager, the team by e-mail and chat; and whom the class names besides."""
    _tell_owner(turn, incident, "opened", text, turn.rules.policy.notify.channels[incident.severity])
    for contact in turn.rules.also_tell(incident.incident_class):
        _send(turn, incident, "opened", text, "email", contact.name, contact.email)


def on_severity_raised(turn: Turn, incident: Incident, text: str) -> None:
    """Tell the owner through the channels of the new severity."""
    _tell_owner(turn, incident, "severity_raised", text, turn.rules.policy.notify.channels[incident.severity])


def on_escalated(turn: Turn, incident: Incident, contact: Contact, text: str) -> None:
    """Tell the contact that the incident has climbed to; one without the severity's channels by those that it has."""
    channels = [name for name in turn.rules.policy.notify.channels[incident.severity] if _address(contact, name)]
    for channel in channels or ("email", "chat", "pager"):
        _send(turn, incident, "escalated", text, channel, contact.name, _address(contact, channel))


def on_reopened(turn: Turn, incident: Incident, text: str) -> None:
    """Tell the owner that it is not over; quietly, for a flapping alert must not wake anybody each time."""
    _tell_owner(turn, incident, "reopened", text, turn.rules.policy.notify.reopened)


def on_closed(turn: Turn, incident: Incident, text: str) -> None:
    """Tell the owner that it is over, through every channel, so that pagers and boards are cleared."""
    _tell_owner(turn, incident, "resolved", text, turn.rules.policy.notify.channels[incident.severity])


def _tell_owner(turn: Turn, incident: Incident, kind: str, text: str, channels: Iterable[str]) -> None:
    owner = turn.rules.owner_known(incident.owner)
    team = turn.rules.team_contact(owner)
    for channel in channels:
        contact = turn.rules.chain(owner)[0] if channel == "pager" else team
        _send(turn, incident, kind, text, channel, contact.name, _address(contact, channel))


def _send(turn: Turn, incident: Incident, kind: str, text: str, channel: str, receiver: str, address: str) -> None:
    if not address:
        return  # a contact without that channel, for example a manager without a chat room
    body = {
        "incident": incident.id,
        "severity": incident.severity,
        "owner": incident.owner,
        "channel": channel,
        "receiver": receiver,
        "address": address,
        "title": f"[{incident.severity}] {incident.title}",
        "text": text,
        "next": incident.next_step,
    }
    turn.count("notifications")
    turn.emit(Stream.NOTIFICATIONS, incident.id, kind, body)


def _address(contact: Contact, channel: str) -> str:
    return {"pager": contact.pager, "email": contact.email, "chat": contact.chat}[channel]
