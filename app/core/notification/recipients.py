"""Who is told what, through which channel: notification effects. One effect is one message to one receiver.

Source: PROCEDURES, "Alert Severity Levels" (channels) and "Team Response Assignments" (whom).
"""

from collections.abc import Iterable
from typing import Any

from app.core.notification import mute_times, naming, outbox
from app.core.notification.actions import action_of, wakes
from app.core.state.alerts_shown import NO_ALERTS, alerts_of
from app.core.state.state import Incident
from app.core.state.tasks import Task
from app.core.state.turn import Turn
from models.events import Action, NextStep, NotificationKind, NotificationReason
from models.incident import State
from models.policy.policy import Channel, Contact
from models.severity import Severity
from models.text.instant import format_instant

_ENDS = (NotificationKind.RESOLVED, NotificationKind.LOST)
CHANNELS: tuple[Channel, ...] = ("email", "chat", "pager")

# The fields of `models.events.Notification`, and `ended`: as in `outbox.Body`.
Message = dict[str, Any]


def on_opened(turn: Turn, incident: Incident, text: str) -> None:
    """Notify the owner, its first on call, and whom the severity and the class name besides."""
    _notify_owner(
        turn, incident, NotificationKind.OPENED, text, _channels_of_severity(turn, incident)
    )
    for contact in _contacts_besides(turn, incident):
        _notify_contact(turn, incident, NotificationKind.OPENED, text, contact)


def on_handed_over(turn: Turn, incident: Incident, text: str) -> None:
    """Notify a new owner as of an opening, and the former owner, once, of who owns it now."""
    rules, before = turn.rules, incident.notified_owner
    on_opened(turn, incident, naming.join_sentences(text, f"Handed over from {before}"))
    team = rules.team_contact(rules.owner_known(before))
    now = f"Handed over to {incident.owner}: {text}"
    message = _message(incident, NotificationKind.HANDED_OVER, now)
    reason = NotificationReason("", 0, 0, f"the team {before} owned it before")
    for channel in rules.policy.notify.updates:
        _send_message(turn, message, channel, team, reason)


def on_severity_raised(turn: Turn, incident: Incident, text: str) -> None:
    """Notify the owner through the channels of the new severity, and whom the new severity names besides."""
    _notify_owner(
        turn,
        incident,
        NotificationKind.SEVERITY_RAISED,
        text,
        _channels_of_severity(turn, incident),
    )
    for contact in _contacts_besides(turn, incident):
        _notify_contact(turn, incident, NotificationKind.SEVERITY_RAISED, text, contact)


def on_more(turn: Turn, incident: Incident, kind: NotificationKind, text: str) -> None:
    """Notify the owner that more belongs to it (`updated`), or that it still waits for somebody (`repeated`).

    Whoever has taken it is at work already, and need not be paged again.
    """
    taken = incident.state is State.ACKNOWLEDGED
    channels = turn.rules.policy.notify.updates if taken else _channels_of_severity(turn, incident)
    _notify_owner(turn, incident, kind, text, channels)


def on_named(
    turn: Turn, incident: Incident, kind: NotificationKind, severity: Severity, text: str
) -> None:
    """Name urgent alerts that joined it, through the channels of their severity."""
    channels = turn.rules.policy.notify.channels[severity]
    if incident.state is not State.ACKNOWLEDGED:
        channels = _channels_of_severity(turn, incident)
    _notify_owner(turn, incident, kind, text, channels)


def on_escalated(turn: Turn, incident: Incident, contact: Contact, rule: str, text: str) -> None:
    """Notify the contact of the step that the incident was escalated to."""
    steps = len(turn.rules.chain(turn.rules.owner_known(incident.owner)))
    why = f"step {incident.step} of {steps}: {text}"
    reason = NotificationReason(rule, incident.step, steps, why)
    _notify_contact(turn, incident, NotificationKind.ESCALATED, text, contact, reason)


def on_acknowledged(turn: Turn, incident: Incident, text: str) -> None:
    """Post that somebody responds (PROCEDURES, "Alert Acknowledgment").

    With the channel `pager` each pager that was called hears of it, so that it rings no more.
    """
    kind, channels = NotificationKind.ACKNOWLEDGED, turn.rules.policy.notify.acknowledged
    _notify_owner(turn, incident, kind, text, channels)
    if "pager" in channels:
        message, reason = _message(incident, kind, text), NotificationReason("", 0, 0, "was paged")
        for contact in _called_besides(turn, incident):
            _send_message(turn, message, "pager", contact, reason)


def on_update(turn: Turn, incident: Incident, text: str) -> None:
    """Notify those who wait of an update (PROCEDURES, "Communication")."""
    _notify_owner(turn, incident, NotificationKind.UPDATE, text, turn.rules.policy.notify.updates)
    for contact in _contacts_besides(turn, incident):
        _notify_contact(turn, incident, NotificationKind.UPDATE, text, contact)


def on_reminder(turn: Turn, incident: Incident, text: str) -> None:
    """Remind the owner that an update is due."""
    _notify_owner(
        turn, incident, NotificationKind.REMINDER, text, turn.rules.policy.notify.reminders
    )


def on_clock(turn: Turn, incident: Incident, kind: NotificationKind, text: str) -> None:
    """Notify the owner that a target is near (`clock_warned`) or missed (`clock_breached`)."""
    if incident.notified_ms and not incident.suppressed:
        _notify_in_hours(turn, incident, kind, text)


def on_suppression(turn: Turn, incident: Incident, kind: NotificationKind, text: str) -> None:
    """Notify the owner, if notified of it before, that something explains it (`suppressed`), or does no more (`released`)."""
    if incident.notified_ms:
        _notify_in_hours(turn, incident, kind, text)


def on_flapping(turn: Turn, incident: Incident, text: str) -> None:
    """Notify the owner once that it comes and goes.

    Also while it waits for a rule, each time for too short to be notified otherwise.
    """
    if not incident.suppressed or incident.reopened_unexplained:
        _notify_in_hours(turn, incident, NotificationKind.FLAPPING, text)


def on_reopened(turn: Turn, incident: Incident, text: str) -> None:
    """Notify the owner that it is not over. This must not wake anybody each time."""
    if incident.has_unnamed and incident.fires_anew_ms and not incident.flapping_ms:
        return  # a new episode begins, whose message wakes somebody
    if incident.notified_ms and not incident.flapping_ms and not incident.suppressed:
        _notify_in_hours(turn, incident, NotificationKind.REOPENED, text)


def _notify_in_hours(turn: Turn, incident: Incident, kind: NotificationKind, text: str) -> None:
    """Notify the owner now, or when the hours begin.

    Then the newest only, for what was before is no news any more. Nothing to a new owner, who is
    about to be notified as of an opening.
    """
    if incident.notified_ms and incident.notified_owner != incident.owner:
        return
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
    """Send the message that has waited for its hours."""
    deferred, incident.deferred_notification = incident.deferred_notification, {}
    turn.changed(incident)
    kind = NotificationKind(deferred["kind"])
    _notify_owner(turn, incident, kind, deferred["text"], _channels_of_kind(turn, kind))


def _channels_of_kind(turn: Turn, kind: NotificationKind) -> list[Channel]:
    notify = turn.rules.policy.notify
    return {
        NotificationKind.REOPENED: notify.reopened,
        NotificationKind.FLAPPING: notify.flapping,
        NotificationKind.SUPPRESSED: notify.suppressed,
        NotificationKind.RELEASED: notify.suppressed,
    }.get(kind, notify.clocks)


def on_closed(turn: Turn, incident: Incident, text: str) -> None:
    """Notify everybody who was notified that it is over, so that pagers and boards are cleared."""
    if not incident.notified_ms:
        _on_closed_unnotified(turn, incident, text)
        return
    kind = NotificationKind.LOST if incident.lost else NotificationKind.RESOLVED
    _notify_owner(turn, incident, kind, text, _channels_of_severity(turn, incident))
    for contact in _called_besides(turn, incident):
        _notify_contact(turn, incident, kind, text, contact)


def _on_closed_unnotified(turn: Turn, incident: Incident, text: str) -> None:
    """Let a digest name what is urgent and was over before anybody could be notified of it."""
    if naming.names_of_ended(incident) and mute_times.may_notify(turn, incident):
        channels = _channels_of_updates(turn, incident)
        _notify_owner(turn, incident, NotificationKind.DIGEST, text, channels)


def _channels_of_updates(turn: Turn, incident: Incident) -> list[Channel]:
    """By what the team hears of updates; by what it has besides where that reaches nobody."""
    team = turn.rules.team_contact(turn.rules.owner_known(incident.owner))
    for channels in (turn.rules.policy.notify.updates, CHANNELS[:-1]):
        reached = [
            channel for channel in channels if channel == "pager" or address_of(team, channel)
        ]
        if reached:
            return reached
    return ["pager"]  # of the first on call


def on_task(turn: Turn, task: Task, kind: NotificationKind, text: str, next_step: NextStep) -> None:
    """Notify the owner of a follow-up task that something is to be done."""
    team = turn.rules.team_contact(turn.rules.owner_known(task.owner))
    message = {
        "incident": task.incident,
        "kind": kind,
        "episode": 1,
        "dedup_key": task.id,
        "severity": task.severity,
        "owner": task.owner,
        "component": "",
        "title": task.title,
        "text": text,
        "next_step": next_step,
        "started_at": format_instant(task.made_ms),
        **NO_ALERTS,
    }
    reason = NotificationReason("", 0, 0, f"the team owns the follow-up task {task.name}")
    for channel in turn.rules.policy.notify.tasks:
        _send_message(turn, message, channel, team, reason)


def _channels_of_severity(turn: Turn, incident: Incident) -> list[Channel]:
    return turn.rules.policy.notify.channels[incident.severity]


def _called_besides(turn: Turn, incident: Incident) -> list[Contact]:
    """Whoever was told beside the team and its first on call."""
    chain = turn.rules.chain(turn.rules.owner_known(incident.owner))
    called = chain[1 : incident.steps_notified]
    return [
        *called,
        *(contact for contact in _contacts_besides(turn, incident) if contact not in called),
    ]


def _contacts_besides(turn: Turn, incident: Incident) -> list[Contact]:
    return turn.rules.also_notify(incident.severity, incident.incident_class)


def _notify_owner(
    turn: Turn, incident: Incident, kind: NotificationKind, text: str, channels: Iterable[Channel]
) -> None:
    """Notify the team.

    By pager its first on call, who is also notified by the rest where the policy says so.
    """
    owner = turn.rules.owner_known(incident.owner)
    team, chain = turn.rules.team_contact(owner), turn.rules.chain(owner)
    first, steps = chain[0], len(chain)
    on_call = incident.severity in turn.rules.policy.notify.on_call
    message = _message(incident, kind, text)
    is_owner = NotificationReason("", 0, steps, f"the team {owner} owns it")
    is_first = NotificationReason("", 1, steps, f"first on call of the team {owner}")
    for channel in channels:
        if channel != "pager":
            _send_message(turn, message, channel, team, is_owner)
        if channel == "pager" or (
            on_call and address_of(first, channel) != address_of(team, channel)
        ):
            _send_message(turn, message, channel, first, is_first)


def _notify_contact(
    turn: Turn,
    incident: Incident,
    kind: NotificationKind,
    text: str,
    contact: Contact,
    reason: NotificationReason | None = None,
) -> None:
    """Notify one contact through the severity's channels.

    One that has none of them by those that it has. Whoever is called by pager finds the escalation
    where the team has the incident already, and hears of its end by pager.
    """
    message = _message(incident, kind, text)
    channels = [
        channel for channel in _channels_of_severity(turn, incident) if address_of(contact, channel)
    ]
    why = f"is notified of each {incident.severity} of the class {incident.incident_class}"
    for channel in channels or CHANNELS:
        team_knows = (
            kind is NotificationKind.ESCALATED
            and channel != "pager"  # it has to ring, also where the team has the same pager
            and _is_at_team(turn, incident, contact, channel)
        )
        is_paged = "pager" in channels
        if is_paged and channel == "email" and (team_knows or kind in _ENDS):
            continue
        changes = {"action": Action.UPDATE} if team_knows and len(channels) > 1 else {}
        _send_message(
            turn,
            message | (changes if channel == "chat" else {}),
            channel,
            contact,
            reason or NotificationReason("", 0, 0, why),
            is_news=not (is_paged and team_knows),
        )


def _is_at_team(turn: Turn, incident: Incident, contact: Contact, channel: Channel) -> bool:
    """Whether a contact is reached where the team is, which has the incident's message already.

    Who is called by pager finds it in the team's mailbox, and by pager or e-mail in its chat.
    """
    team = turn.rules.team_contact(turn.rules.owner_known(incident.owner))
    return address_of(contact, channel) == address_of(team, channel)


def _message(incident: Incident, kind: NotificationKind, text: str) -> Message:
    """What is the same for all receivers of a message."""
    return {
        "incident": incident.id,
        "kind": kind,
        "episode": incident.episode,
        "dedup_key": f"{incident.id}/{incident.episode}",
        "severity": incident.severity,
        "owner": incident.owner,
        "component": incident.component,
        "title": incident.title,
        "text": text,
        "next_step": first_step(incident),
        "started_at": format_instant(incident.opened_ms),
        "ended": _names_of_ended(incident, text),
        **alerts_of(incident),
    }


def _names_of_ended(incident: Incident, text: str) -> list[str]:
    """What of the text a digest has to keep."""
    names = naming.names_of_ended(incident)
    return names if names and naming.no_longer_firing(names) in text else []


def first_step(incident: Incident) -> NextStep | None:
    """The first step of the incident's runbook: what it says, and its command."""
    if not incident.next_step:
        return None
    say = incident.next_step.removesuffix(incident.next_command).removesuffix(": ")
    return NextStep(say if incident.next_command else incident.next_step, incident.next_command)


def _send_message(
    turn: Turn,
    message: Message,
    channel: Channel,
    contact: Contact,
    reason: NotificationReason,
    *,
    is_news: bool = True,
) -> None:
    """Send the message through one channel. What is no news there goes only with another message."""
    if not address_of(contact, channel):
        return  # a contact without that channel, for example a manager without a chat room
    kind: NotificationKind = message["kind"]
    body = message | {
        "action": message.get("action") or action_of(kind, channel),
        "wakes": wakes(kind, channel),
        "channel": channel,
        "receiver": contact.name,
        "address": address_of(contact, channel),
        "reason": reason,
    }
    del body["kind"]
    outbox.post(turn, kind, body, is_news=is_news)


def address_of(contact: Contact, channel: Channel) -> str:
    """Where a contact is reached through a channel; empty when it is not."""
    return {"pager": contact.pager, "email": contact.email, "chat": contact.chat}[channel]
