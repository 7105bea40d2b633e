"""When an incident as a whole is told: with the meaning of Alertmanager's group_wait, group_interval and repeat_interval.

Nobody is told of an incident while something keeps it quiet, nor of one that ended before its turn.
"""

from collections.abc import Iterator

from app.core.notification import mute_times, recipients
from app.core.state.deadline import Deadline
from app.core.state.incident_now import unheard_since_ms, untaken_since_ms
from app.core.state.state import Incident
from app.core.state.turn import Turn
from models.duration import format_ms
from models.incident import State
from models.instant import format_instant

# What a message waits for.
GROUP_WAIT = "group_wait"
HOLD = "hold"  # of a rule that may explain it
HANDED_OVER = "handed_over"
RAISED = "severity_raised"
GROUP_INTERVAL = "group_interval"
REPEAT_INTERVAL = "repeat_interval"


def deadlines(turn: Turn, incident: Incident) -> Iterator[Deadline]:
    """When the next message about the incident is due, and when one that waits for its hours is."""
    if incident.ended:
        return
    if incident.unsaid:
        yield Deadline(mute_times.next_told_ms(turn, incident, incident.waits_ms), _on_time)
    if incident.held:
        return
    due = _due(turn, incident)
    if due is not None:
        since_ms, wait_ms, what = due
        at_ms = mute_times.next_told_ms(turn, incident, max(since_ms + wait_ms, incident.loud_ms))
        yield Deadline(at_ms, _on_due, "", what, since_ms)


def _due(turn: Turn, incident: Incident) -> tuple[int, int, str] | None:
    """Since when the next message waits, for how long, and what it waits for."""
    notify = turn.rules.policy.notify
    if not incident.told_ms:
        wait_ms = notify.group_wait.get(incident.severity, 0)
        if incident.hold_ms > wait_ms:
            return incident.loud_ms, incident.hold_ms, HOLD
        return incident.loud_ms, wait_ms, GROUP_WAIT
    if incident.told_owner != incident.owner:
        return incident.owner_ms, 0, HANDED_OVER
    if incident.severity < incident.told_severity:
        return incident.severity_ms, 0, RAISED
    if incident.flapping_ms:
        return None
    if incident.size > incident.told_alerts:
        return incident.told_ms, notify.group_interval, GROUP_INTERVAL
    repeat_ms = notify.repeat_interval.get(incident.severity, 0)
    if repeat_ms and incident.state is State.OPEN:
        return max(incident.told_ms, incident.loud_ms), repeat_ms, REPEAT_INTERVAL
    return None


def _on_time(turn: Turn, incident: Incident, _: str) -> None:
    recipients.on_time(turn, incident)


def _on_due(turn: Turn, incident: Incident, _: str) -> None:
    tell(turn, incident)


def tell(turn: Turn, incident: Incident) -> None:
    """Tell what is new."""
    more = incident.size - incident.told_alerts
    if not incident.told_ms:
        incident.first_told_ms = incident.climb_ms = turn.now_ms
        incident.word_ms = incident.reminded_ms = turn.now_ms
        recipients.on_opened(turn, incident, _summary(turn, incident))
    elif incident.told_owner != incident.owner:
        recipients.on_handed_over(turn, incident, _summary(turn, incident))
    elif incident.severity < incident.told_severity:
        text = f"from {incident.told_severity} to {incident.severity}: {incident.title}"
        recipients.on_severity_raised(turn, incident, text)
    elif more > 0:
        recipients.on_more(turn, incident, "updated", f"{more} more; {_firing(incident)}")
    else:
        waited = format_ms(turn.now_ms - untaken_since_ms(incident))
        text = f"nobody has taken it for {waited}; {_firing(incident)}"
        recipients.on_more(turn, incident, "repeated", text)
    incident.told_ms, incident.told_severity, incident.told_alerts = (
        turn.now_ms,
        incident.severity,
        incident.size,
    )
    incident.told_owner = incident.owner
    turn.changed(incident)


def _summary(turn: Turn, incident: Incident) -> str:
    waited_ms = turn.now_ms - incident.opened_ms
    since = f", for {format_ms(waited_ms)} now" if waited_ms >= 60_000 else ""
    return (
        f"{incident.summary}{since}; {_firing(incident)}"
        if incident.size > 1 or since
        else incident.summary
    )


def _firing(incident: Incident) -> str:
    firing = f"{incident.alerts_firing} of {incident.size} alerts firing"
    since_ms = unheard_since_ms(incident)
    return f"{firing}; not heard of since {format_instant(since_ms)}" if since_ms else firing
