"""When recipients are notified of an incident as a whole.

The waits mean what Alertmanager's group_wait, group_interval and repeat_interval mean.

Nobody is notified of an incident while it is suppressed, nor of one that ended before its turn.
"""

from collections.abc import Callable, Iterator
from functools import partial

from app.core.notification import mute_times, naming, recipients
from app.core.notification.actions import begin_episode
from app.core.state.deadline import Deadline
from app.core.state.incident_now import begin_clocks, unheard_since_ms, waiting_since_ms
from app.core.state.lifecycle import Cause, advance
from app.core.state.state import Incident
from app.core.state.turn import Turn
from models.events import NotificationKind
from models.incident import State
from models.text.duration import format_ms
from models.text.instant import format_instant
from models.text.plural import plural

Send = Callable[[str], None]  # sends a message of this text

# What a message waits for.
GROUP_WAIT = "group_wait"
CORRELATION_WAIT = "correlation_wait"  # of a rule that may explain it
HANDED_OVER = "handed_over"
RELEASED = "released"  # of what began to fire while everything was suppressed
RAISED = "severity_raised"
FIRES_ANEW = "fires_anew"
GROUP_INTERVAL = "group_interval"
REPEAT_INTERVAL = "repeat_interval"

# What `deadlines` reads of an incident.
DEADLINE_FIELDS = (
    *mute_times.DEADLINE_FIELDS,
    *("state", "ended", "suppressed", "deferred_notification", "deferred_since_ms"),
    *("notified_ms", "severity", "incident_class", "correlation_wait_ms", "notifiable_since_ms"),
    *("notified_owner", "owner", "owner_ms", "has_unnamed", "fires_anew_ms", "flapping_ms"),
    *("severity_ms", "notified_severity", "has_more", "message_ms", "step_since_ms"),
)


def deadlines(turn: Turn, incident: Incident) -> Iterator[Deadline]:
    """When the next message about the incident is due, and when one that waits for its hours is."""
    if incident.ended:
        return
    if incident.deferred_notification:
        yield Deadline(
            mute_times.next_notifiable_ms(turn, incident, incident.deferred_since_ms), _on_time
        )
    if incident.suppressed:
        return
    due = _next_message(turn, incident)
    if due is not None:
        since_ms, wait_ms, reason = due
        at_ms = mute_times.next_notifiable_ms(
            turn, incident, max(since_ms + wait_ms, incident.notifiable_since_ms)
        )
        yield Deadline(at_ms, _on_due, "", reason, since_ms)


def deadline_alerts(incident: Incident) -> tuple[object, ...]:
    """What `deadlines` reads of the incident's alerts."""
    return (_has_news(incident),)


def _next_message(turn: Turn, incident: Incident) -> tuple[int, int, str] | None:
    """Since when the next message waits, for how long, and what it waits for."""
    rules, severity, kind = turn.rules, incident.severity, incident.incident_class
    if not incident.notified_ms:
        wait_ms = rules.group_wait_ms(severity, kind)
        if incident.correlation_wait_ms > wait_ms:
            return incident.notifiable_since_ms, incident.correlation_wait_ms, CORRELATION_WAIT
        return incident.notifiable_since_ms, wait_ms, GROUP_WAIT
    if incident.notified_owner != incident.owner:
        return incident.owner_ms, 0, HANDED_OVER
    if _has_news(incident):
        return incident.notifiable_since_ms, 0, RELEASED
    if _fires_anew(incident):
        return incident.fires_anew_ms, rules.group_wait_ms(severity, kind), FIRES_ANEW
    if incident.severity < incident.notified_severity:
        return incident.severity_ms, 0, RAISED
    if incident.has_unnamed:
        return incident.notified_ms, rules.group_interval_ms(kind), GROUP_INTERVAL
    if incident.flapping_ms:
        return None
    if incident.has_more:
        return incident.message_ms, rules.group_interval_ms(kind), GROUP_INTERVAL
    repeat_ms = rules.repeat_interval_ms(severity, kind)
    if repeat_ms and incident.state is State.OPEN:
        # Whoever was called by an escalation need not be told again at once.
        last_ms = max(incident.message_ms, incident.step_since_ms, incident.notifiable_since_ms)
        return last_ms, repeat_ms, REPEAT_INTERVAL
    return None


def _has_news(incident: Incident) -> bool:
    """Whether an alert fires that began while everything was suppressed, and that nobody was notified of."""
    return incident.notify_anew and any(
        alert.firing
        and not alert.suppressions
        and incident.notified_ms < alert.fired_ms <= incident.notifiable_since_ms
        for alert in incident.alerts.values()
    )


def _fires_anew(incident: Incident) -> bool:
    """Whether an urgent alert fires again, which begins a new episode."""
    return incident.has_unnamed and incident.fires_anew_ms > 0 and not incident.flapping_ms


def _on_time(turn: Turn, incident: Incident, _: str) -> None:
    recipients.on_time(turn, incident)


def _on_due(turn: Turn, incident: Incident, _: str) -> None:
    notify_recipients(turn, incident)


def notify_recipients(turn: Turn, incident: Incident) -> None:
    """Notify recipients of what is new, and of what ended before a message named it."""
    text, send = _news(turn, incident)
    send(naming.with_members(incident, naming.with_ended(incident, text)))
    incident.notify_anew = False
    naming.on_named(turn, incident)
    incident.message_ms = turn.now_ms
    incident.notified_ms, incident.notified_severity, incident.notified_alerts = (
        turn.now_ms,
        incident.severity,
        incident.size,
    )
    incident.notified_owner = incident.owner
    turn.changed(incident)


def _news(turn: Turn, incident: Incident) -> tuple[str, Send]:
    """The text of the next message, and who sends it. The incident is prepared for it."""
    more = incident.size - incident.notified_alerts
    if not incident.notified_ms:
        incident.first_notified_ms = incident.step_since_ms = incident.clock_ms = turn.now_ms
        begin_clocks(incident, turn.now_ms)
        incident.last_update_ms = incident.reminded_ms = turn.now_ms
        return _opening(turn, incident, recipients.on_opened)
    if incident.notified_owner != incident.owner:
        begin_episode(incident)
        incident.step_since_ms = turn.now_ms
        return _opening(turn, incident, recipients.on_handed_over)
    if _has_news(incident):
        begin_episode(incident)
        incident.step_since_ms = turn.now_ms
        return _opening(turn, incident, recipients.on_opened)
    if _fires_anew(incident):
        return _fires_again(turn, incident)
    if incident.severity < incident.notified_severity:
        begin_episode(incident)
        raised = f"from {incident.notified_severity} to {incident.severity}"
        text = naming.with_names(incident, f"Severity raised {raised}: {incident.title}")
        return text, partial(recipients.on_severity_raised, turn, incident)
    if incident.has_unnamed:
        return _unnamed(turn, incident, more)
    kind, text = NotificationKind.UPDATED, plural(more, "more alert")
    if more <= 0:
        begin_episode(incident)
        waited = format_ms(turn.now_ms - waiting_since_ms(incident))
        kind, text = NotificationKind.REPEATED, f"Not acknowledged for {waited}"
    text = f"{text}. {_count_firing(incident)}"
    return text, partial(recipients.on_more, turn, incident, kind)


def _opening(
    turn: Turn, incident: Incident, send: Callable[[Turn, Incident, str], None]
) -> tuple[str, Send]:
    text = naming.with_names(incident, _describe_opening(turn, incident))
    return text, partial(send, turn, incident)


def _fires_again(turn: Turn, incident: Incident) -> tuple[str, Send]:
    """Wake whoever is on call now with what fires again."""
    names = naming.names_of(naming.unnamed_alerts(incident)) or incident.title
    _begin_episode(turn, incident)
    text = f"Firing again: {names}. {_count_firing(incident)}"
    return text, partial(recipients.on_opened, turn, incident)


def _unnamed(turn: Turn, incident: Incident, more: int) -> tuple[str, Send]:
    """Name the urgent alerts that no message has named yet."""
    alerts = naming.unnamed_alerts(incident)
    names = naming.names_of(alerts) or incident.title
    kind = NotificationKind.OPENED if _wakes(incident) else NotificationKind.UPDATED
    if kind is NotificationKind.OPENED:
        begin_episode(incident)
    incident.joined = incident.state is State.ACKNOWLEDGED
    severity = alerts[0].severity if alerts else incident.severity
    text = f"{f'{more} more: ' if more > 0 else ''}{names}. {_count_firing(incident)}"
    return text, partial(recipients.on_named, turn, incident, kind, severity)


def _wakes(incident: Incident) -> bool:
    """Whether urgent alerts that joined an incident wake somebody.

    While it is not acknowledged they do. After that, the first that is at another place does.
    """
    if incident.flapping_ms and incident.acknowledged_ms:
        return False  # somebody knows that it comes and goes
    if incident.state is not State.ACKNOWLEDGED:
        return True
    return not incident.joined and naming.is_elsewhere(incident)


def _begin_episode(turn: Turn, incident: Incident) -> None:
    """What fires again is for whoever is on call now: it is not acknowledged, and the chain begins anew."""
    begin_episode(incident)
    incident.state = advance(incident.state, Cause.FIRED_ANEW)
    incident.step, incident.step_since_ms, incident.unacknowledged_since_ms = (
        1,
        turn.now_ms,
        turn.now_ms,
    )
    incident.last_update_ms = incident.reminded_ms = turn.now_ms
    incident.reminded = 0


def _describe_opening(turn: Turn, incident: Incident) -> str:
    waited_ms = turn.now_ms - incident.opened_ms
    if waited_ms >= 60_000:
        opened = f"Open for {format_ms(waited_ms)}"
        return naming.join_sentences(incident.summary, opened, _count_firing(incident))
    if incident.size > 1:
        return naming.join_sentences(incident.summary, _count_firing(incident))
    return incident.summary


def _count_firing(incident: Incident) -> str:
    firing = f"{incident.alerts_firing} of {incident.size} alerts firing."
    if incident.refused:
        firing = f"{firing} More were refused."
    since_ms = unheard_since_ms(incident)
    return f"{firing} Not received since {format_instant(since_ms)}." if since_ms else firing
