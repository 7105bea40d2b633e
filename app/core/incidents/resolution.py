"""The end of an incident: resolved, watched until it has settled, closed; or open again.

Source: PROCEDURES, "Immediate Post-Resolution". Restoration is verified by quiet: an incident is
closed, and its end told, only when nothing has fired for the settle time; what fires before that
reopens it.
"""

from collections.abc import Iterator

from app.core.incidents import unheard
from app.core.notification import flapping, mute_times, naming, recipients
from app.core.notification.actions import begin_episode
from app.core.response import escalation, followups, reminders, service_levels
from app.core.state.deadline import Deadline
from app.core.state.lifecycle import Cause, advance
from app.core.state.live_alert import LiveAlert
from app.core.state.state import Incident
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from app.core.suppression import inhibition, silences
from models.incident import State
from models.policy.time_interval import NEVER_MS
from models.reason import BadInput, Reason
from models.text.duration import format_ms

CLOSE = "close_after"  # what the deadline of a resolved incident is called
# What `deadlines` reads of an incident.
DEADLINE_FIELDS = (
    *mute_times.DEADLINE_FIELDS,
    *("state", "resolved_ms", "flapping_ms", "notified_ms"),
)


def note_resolved(turn: Turn, incident: Incident, by: str, text: str) -> None:
    """Note that it is over, or seems so. The state has changed already."""
    incident.resolved_ms, incident.resolved_by, incident.lost = turn.now_ms, by, False
    turn.timeline(incident, "Resolved", text, by=by)
    service_levels.on_done(turn, incident, service_levels.RESOLVE)
    _over(turn, incident)


def lost(turn: Turn, incident: Incident, text: str) -> None:
    """Note that nobody knows whether it is over: no target is met. The state has changed already."""
    incident.resolved_ms, incident.lost = turn.now_ms, True
    turn.timeline(incident, "Lost", text)
    _over(turn, incident)


def _over(turn: Turn, incident: Incident) -> None:
    (
        incident.deferred_notification,
        incident.deferred_escalations,
        incident.undecided_escalations,
        incident.reopened_unexplained,
    ) = {}, {}, {}, False
    incident.unacknowledged, incident.suppression_notified, incident.notify_anew = [], False, False
    incident.fires_anew_ms = 0
    incident.suppressions.clear()  # as those of an alert that ends: what suppresses it is found anew if it is reopened
    inhibition.on_incident(turn, incident, firing=False)
    unheard.on_resolved(turn, incident)
    turn.changed(incident)


def note_reopened(turn: Turn, incident: Incident, text: str, by: str = "") -> None:
    """Note that it is not over.

    What counts from its opening counts from now. The state has changed already.
    """
    incident.reopened += 1
    incident.resolved_ms, incident.resolved_by, incident.lost = 0, "", False
    incident.notifiable_since_ms = incident.step_since_ms = turn.now_ms
    reminders.on_activity(turn, incident)
    service_levels.on_undone(incident, service_levels.RESOLVE)
    turn.timeline(incident, "Reopened", text, by=by)
    silences.review_incident(turn, incident)
    begin_episode(incident)
    recipients.on_reopened(turn, incident, text)
    inhibition.on_incident(turn, incident, firing=True)
    escalation.on_reopened(turn, incident)
    turn.changed(incident)


def deadlines(turn: Turn, incident: Incident) -> Iterator[Deadline]:
    """When a resolved incident closes, and those notified may be notified of it.

    What fires before is no second incident.
    """
    if incident.state is State.RESOLVED:
        quiet_ms = max(incident.resolved_ms, turn.state.clock.listening_ms)
        settled_ms = quiet_ms + turn.rules.policy.incidents.close_after
        at_ms = max(settled_ms, flapping.stable_until_ms(turn, incident))
        notified_ms = (
            mute_times.next_notifiable_ms(turn, incident, at_ms) if incident.notified_ms else at_ms
        )
        yield Deadline(
            notified_ms if notified_ms < NEVER_MS else at_ms,
            _on_close_after,
            "",
            CLOSE,
            incident.resolved_ms,
        )


def _on_close_after(turn: Turn, incident: Incident, _: str) -> None:
    """Close an incident that stayed resolved.

    Reopen one that an operator resolved while alerts fire on.
    """
    resolved = format_ms(turn.now_ms - incident.resolved_ms)
    if incident.still_firing:
        incident.state = advance(incident.state, Cause.STILL_FIRING)
        note_reopened(turn, incident, f"Alerts are still firing {resolved} after it was resolved")
        return
    incident.state = advance(incident.state, Cause.QUIET)
    lasted = format_ms(incident.resolved_ms - incident.opened_ms)
    if incident.lost:
        _close_incident(turn, incident, f"Lost after {lasted}. No resolve was received.")
    else:
        _close_incident(turn, incident, f"Resolved for {resolved}. It lasted {lasted}.")


def close_incident(turn: Turn, incident: Incident, text: str, by: str) -> None:
    """Close a resolved incident before it has settled. Raises BadInput."""
    if incident.still_firing:
        raise BadInput(
            Reason.ILLEGAL_TRANSITION,
            f"{incident.alerts_firing} of its alerts are firing, must be none: silence them first",
        )
    incident.state = advance(incident.state, Cause.CLOSE)
    _close_incident(turn, incident, text, by)


def _close_incident(turn: Turn, incident: Incident, text: str, by: str = "") -> None:
    incident.closed_ms = turn.now_ms
    incident.severity, incident.title = incident.peak_severity, incident.peak_title
    turn.timeline(incident, "Closed", text, by=by)
    turn.changed(incident)
    text = naming.with_members(incident, naming.with_ended(incident, text))
    recipients.on_closed(turn, incident, text)
    followups.on_closed(turn, incident)
    turn.state.drop_incident(incident)
    for alert in incident.alerts.values():
        alert.incident = ""
        retain_ended(turn, alert)


def retain_ended(turn: Turn, alert: LiveAlert) -> None:
    """Keep an ended alert for a while, so that its repeated resolves stay repeats."""
    alert.retain_until_ms = turn.now_ms + turn.rules.policy.incidents.retain_resolved
    turn.state.schedule(alert.retain_until_ms, TimerKind.RETENTION, alert.fingerprint)
    turn.state.ended.add(alert, turn.state.alerts)
    turn.state.put_alert(alert)


def on_retained(turn: Turn, at_ms: int, subject: str) -> None:
    """Forget an alert that ended long ago."""
    alert = turn.state.alerts.get(subject.encode())
    if alert is not None and alert.retain_until_ms == at_ms and not alert.firing:
        turn.state.drop_alert(alert)
