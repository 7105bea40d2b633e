"""The end of an incident: resolved, watched until it has settled, closed; or open again.

Source: PROCEDURES, "Immediate Post-Resolution". Restoration is verified by quiet: an incident is
closed, and its end told, only when nothing has fired for the settle time; what fires before that
reopens it.
"""

from collections.abc import Iterator

from app.core.incidents import unheard
from app.core.notification import flapping, mute_times, recipients
from app.core.notification.actions import begin_episode
from app.core.response import escalation, followups, reminders, service_levels
from app.core.state.deadline import Deadline
from app.core.state.lifecycle import Cause, advance
from app.core.state.live_alert import LiveAlert
from app.core.state.state import Incident
from app.core.state.turn import Turn
from app.core.suppression import inhibition, silences
from models.duration import format_ms
from models.incident import State
from models.reason import BadInput, Reason
from models.time_interval import NEVER_MS

FORGET = "forget"
SETTLE = "settle"  # what the deadline of a resolved incident is called
# What `deadlines` reads of an incident.
DEADLINE_FIELDS = (
    *mute_times.DEADLINE_FIELDS,
    *("state", "resolved_ms", "flapping_ms", "told_ms"),
)


def resolved(turn: Turn, incident: Incident, by: str, text: str) -> None:
    """Note that it is over, or seems so. The state has changed already."""
    incident.resolved_ms, incident.resolved_by, incident.lost = turn.now_ms, by, False
    turn.tell(incident, "Resolved", text, by=by)
    service_levels.on_done(turn, incident, service_levels.RESOLVE)
    _over(turn, incident)


def lost(turn: Turn, incident: Incident, text: str) -> None:
    """Note that nobody knows whether it is over: no target is met. The state has changed already."""
    incident.resolved_ms, incident.lost = turn.now_ms, True
    turn.tell(incident, "Lost", text)
    _over(turn, incident)


def _over(turn: Turn, incident: Incident) -> None:
    incident.unsaid, incident.postponed, incident.withheld, incident.unexplained = {}, {}, {}, False
    incident.unacknowledged, incident.suppression_notified, incident.notify_anew = [], False, False
    incident.fires_anew_ms = 0
    incident.holds.clear()  # as those of an alert that ends: what keeps it quiet is found anew if it is reopened
    inhibition.on_incident(turn, incident, firing=False)
    unheard.on_resolved(turn, incident)
    turn.changed(incident)


def reopened(turn: Turn, incident: Incident, text: str, by: str = "") -> None:
    """Note that it is not over.

    What counts from its opening counts from now. The state has changed already.
    """
    incident.reopened += 1
    incident.resolved_ms, incident.resolved_by, incident.lost = 0, "", False
    incident.loud_ms = incident.climb_ms = turn.now_ms
    reminders.on_word(turn, incident)
    service_levels.on_undone(incident, service_levels.RESOLVE)
    turn.tell(incident, "Reopened", text, by=by)
    silences.review(turn, incident)
    begin_episode(incident)
    recipients.on_reopened(turn, incident, text)
    inhibition.on_incident(turn, incident, firing=True)
    escalation.on_reopened(turn, incident)
    turn.changed(incident)


def deadlines(turn: Turn, incident: Incident) -> Iterator[Deadline]:
    """When a resolved incident has settled, and may be told to be over.

    What fires before is no second incident.
    """
    if incident.state is State.RESOLVED:
        quiet_ms = max(incident.resolved_ms, turn.state.clock.listening_ms)
        settled_ms = quiet_ms + turn.rules.policy.incidents.settle
        at_ms = max(settled_ms, flapping.calm_ms(turn, incident))
        told_ms = mute_times.next_told_ms(turn, incident, at_ms) if incident.told_ms else at_ms
        yield Deadline(
            told_ms if told_ms < NEVER_MS else at_ms, _on_settled, "", SETTLE, incident.resolved_ms
        )


def _on_settled(turn: Turn, incident: Incident, _: str) -> None:
    """Close an incident that stayed quiet.

    Reopen one that an operator resolved while alerts fire on.
    """
    quiet = format_ms(turn.now_ms - incident.resolved_ms)
    if incident.still_firing:
        incident.state = advance(incident.state, Cause.STILL_FIRING)
        reopened(turn, incident, f"{quiet} after it was resolved its alerts still fire")
        return
    incident.state = advance(incident.state, Cause.QUIET)
    lasted = format_ms(incident.resolved_ms - incident.opened_ms)
    if incident.lost:
        _close(turn, incident, f"lost after {lasted}: nobody said that it is over")
    else:
        _close(turn, incident, f"quiet for {quiet}; it lasted {lasted}")


def close(turn: Turn, incident: Incident, text: str, by: str) -> None:
    """Close a resolved incident before it has settled. Raises BadInput."""
    if incident.still_firing:
        raise BadInput(
            Reason.ILLEGAL_TRANSITION,
            f"{incident.alerts_firing} of its alerts fire still: silence them first",
        )
    incident.state = advance(incident.state, Cause.CLOSE)
    _close(turn, incident, text, by)


def _close(turn: Turn, incident: Incident, text: str, by: str = "") -> None:
    incident.closed_ms = turn.now_ms
    incident.severity, incident.title = incident.peak_severity, incident.peak_title
    turn.tell(incident, "Closed", text, by=by)
    turn.changed(incident)
    recipients.on_closed(turn, incident, text)
    followups.on_closed(turn, incident)
    turn.state.drop_incident(incident)
    for alert in incident.alerts.values():
        alert.incident = ""
        remember(turn, alert)


def remember(turn: Turn, alert: LiveAlert) -> None:
    """Keep an ended alert for a while, so that its repeated resolves stay repeats."""
    alert.forget_ms = turn.now_ms + turn.rules.policy.incidents.forget
    turn.state.schedule(alert.forget_ms, FORGET, alert.fingerprint)
    turn.state.ended.add(alert, turn.state.alerts)
    turn.state.put_alert(alert)


def on_forget(turn: Turn, at_ms: int, whose: str) -> None:
    """Forget an alert that ended long ago."""
    alert = turn.state.alerts.get(whose.encode())
    if alert is not None and alert.forget_ms == at_ms and not alert.firing:
        turn.state.drop_alert(alert)
