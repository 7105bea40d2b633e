"""When an incident as a whole is told: with the meaning of Alertmanager's group_wait, group_interval and repeat_interval.

Nobody is told of an incident while something keeps it quiet, nor of one that ended before its turn.
"""

from collections.abc import Iterator

from app.core.notification import mute_times, recipients
from app.core.state.deadline import Deadline
from app.core.state.state import Incident
from app.core.state.turn import Turn
from models.duration import format_ms
from models.incident import State

# What a message waits for.
GROUP_WAIT = "group_wait"
CORRELATION_WAIT = "hold"  # of a rule that may explain it
RAISED = "severity_raised"
GROUP_INTERVAL = "group_interval"
REPEAT_INTERVAL = "repeat_interval"


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
        since_ms, wait_ms, what = due
        at_ms = mute_times.next_notifiable_ms(
            turn, incident, max(since_ms + wait_ms, incident.notifiable_since_ms)
        )
        yield Deadline(at_ms, _on_due, "", what, since_ms)


def _next_message(turn: Turn, incident: Incident) -> tuple[int, int, str] | None:
    """Since when the next message waits, for how long, and what it waits for."""
    notify = turn.rules.policy.notify
    if not incident.notified_ms:
        wait_ms = notify.group_wait.get(incident.severity, 0)
        if incident.correlation_wait_ms > wait_ms:
            return incident.notifiable_since_ms, incident.correlation_wait_ms, CORRELATION_WAIT
        return incident.notifiable_since_ms, wait_ms, GROUP_WAIT
    if incident.severity < incident.notified_severity:
        return incident.severity_ms, 0, RAISED
    if incident.flapping_ms:
        return None
    if incident.size > incident.notified_alerts:
        return incident.notified_ms, notify.group_interval, GROUP_INTERVAL
    repeat_ms = notify.repeat_interval.get(incident.severity, 0)
    if repeat_ms and incident.state is State.OPEN:
        return max(incident.notified_ms, incident.notifiable_since_ms), repeat_ms, REPEAT_INTERVAL
    return None


def _on_time(turn: Turn, incident: Incident, _: str) -> None:
    recipients.on_time(turn, incident)


def _on_due(turn: Turn, incident: Incident, _: str) -> None:
    notify_recipients(turn, incident)


def notify_recipients(turn: Turn, incident: Incident) -> None:
    """Tell what is new."""
    more = incident.size - incident.notified_alerts
    if not incident.notified_ms:
        incident.first_notified_ms = incident.step_since_ms = turn.now_ms
        incident.last_update_ms = incident.reminded_ms = turn.now_ms
        recipients.on_opened(turn, incident, _describe_opening(turn, incident))
    elif incident.severity < incident.notified_severity:
        text = f"from {incident.notified_severity} to {incident.severity}: {incident.title}"
        recipients.on_severity_raised(turn, incident, text)
    elif more > 0:
        recipients.on_more(turn, incident, "updated", f"{more} more; {_count_firing(incident)}")
    else:
        text = f"nobody has taken it for {format_ms(turn.now_ms - incident.notifiable_since_ms)}; {_count_firing(incident)}"
        recipients.on_more(turn, incident, "repeated", text)
    incident.notified_ms, incident.notified_severity, incident.notified_alerts = (
        turn.now_ms,
        incident.severity,
        incident.size,
    )
    turn.changed(incident)


def _describe_opening(turn: Turn, incident: Incident) -> str:
    waited_ms = turn.now_ms - incident.opened_ms
    since = f", for {format_ms(waited_ms)} now" if waited_ms >= 60_000 else ""
    return (
        f"{incident.summary}{since}; {_count_firing(incident)}"
        if incident.size > 1 or since
        else incident.summary
    )


def _count_firing(incident: Incident) -> str:
    return f"{incident.alerts_firing} of {incident.size} alerts firing"
