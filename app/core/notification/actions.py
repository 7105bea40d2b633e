"""What a receiver does with a message, whether it rings, and for which part of an incident."""

from app.core.state.state import Incident
from models.events import Action, NotificationKind
from models.policy.policy import Channel

_ACTIONS = {
    NotificationKind.OPENED: Action.TRIGGER,
    NotificationKind.REPEATED: Action.TRIGGER,
    NotificationKind.ESCALATED: Action.TRIGGER,
    NotificationKind.SEVERITY_RAISED: Action.TRIGGER,
    NotificationKind.UPDATED: Action.UPDATE,
    NotificationKind.REOPENED: Action.UPDATE,
    NotificationKind.SUPPRESSED: Action.UPDATE,
    NotificationKind.RELEASED: Action.UPDATE,
    NotificationKind.FLAPPING: Action.UPDATE,
    NotificationKind.ACKNOWLEDGED: Action.ACKNOWLEDGE,
    NotificationKind.RESOLVED: Action.RESOLVE,
    NotificationKind.LOST: Action.RESOLVE,
}  # the others inform


def action_of(kind: NotificationKind, channel: Channel) -> Action:
    """What a receiver does. A pager has no thread to add to: what fires again rings there."""
    if kind is NotificationKind.REOPENED and channel == "pager":
        return Action.TRIGGER
    return _ACTIONS.get(kind, Action.INFORM)


def wakes(kind: NotificationKind, channel: Channel) -> bool:
    """Whether the message must ring now: it triggers, and goes through a pager."""
    return channel == "pager" and action_of(kind, channel) is Action.TRIGGER


def begin_episode(incident: Incident) -> None:
    """Begin the next part of an incident, before the message that has to wake somebody anew.

    A pager's key holds the episode, so its own de-duplication does not swallow the ring. Nothing
    rang before the first message, which stays in the first episode.
    """
    if incident.notified_ms:
        incident.episode += 1
