"""Alerts into incidents: a component's alerts of one class share one incident from its opening to its close.

Source: PROCEDURES, "Alert Severity Levels" and "Immediate Post-Resolution". A resolved incident is closed, and its end
told, only when it has stayed quiet for the settle time; what fires before that reopens it.
"""

import shlex

from app.core import correlating, escalating, notifying
from app.core.lifecycle import Cause, advance
from app.core.state import Incident, LiveAlert
from app.core.turn import Turn
from models.duration import format_ms
from models.incident import State, incident_id
from models.reason import BadInput, Reason

SETTLE = "settle"
FORGET = "forget"


def check_room(turn: Turn, component: str, incident_class: str, known: LiveAlert | None) -> None:
    """Raise BadInput when one more alert would pass a bound. Nothing has changed by then."""
    bounds, state = turn.rules.policy.bounds, turn.state
    incident = state.current.get((component, incident_class))
    if known is None and len(state.alerts) >= bounds.alerts:
        raise BadInput(
            Reason.BOUND_REACHED, f"the partition has {len(state.alerts)} alerts, bounds.alerts is {bounds.alerts}"
        )
    if incident is None and len(state.incidents) >= bounds.incidents:
        raise BadInput(
            Reason.BOUND_REACHED, f"the partition has {len(state.incidents)} incidents, which is bounds.incidents"
        )
    joins = incident is not None and (known is None or known.incident != incident.id)
    if incident is not None and joins and len(incident.alerts) >= bounds.alerts_in_incident:
        limit = bounds.alerts_in_incident
        raise BadInput(
            Reason.BOUND_REACHED, f"incident {incident.id} has {limit} alerts, which is bounds.alerts_in_incident"
        )


def on_fired(turn: Turn, alert: LiveAlert) -> None:
    """An alert began to fire: it opens, joins, raises or reopens its component's incident."""
    incident = turn.state.current.get((alert.component, alert.incident_class))
    if incident is None:
        incident = _open(turn, alert)
    else:
        _join(turn, incident, alert)
    escalating.on_fired(turn, incident, alert)
    correlating.on_fired(turn, alert)
    turn.changed(incident)


def on_ended(turn: Turn, alert: LiveAlert, kind: str, text: str) -> None:
    """An alert ended, or was not heard of for too long. The last one that ends resolves the incident."""
    incident = turn.state.incidents.get(alert.incident)
    if incident is None:
        return
    incident.firing -= 1
    turn.tell(incident, kind, f"{alert.name}: {text}", alert=alert.fingerprint)
    correlating.on_ended(turn, alert)
    if not incident.still_firing:
        incident.state = advance(incident.state, Cause.ENDED)
        _resolved(turn, incident, incident.resolved_by, "all its alerts ended")
    turn.changed(incident)


def _open(turn: Turn, alert: LiveAlert) -> Incident:
    prefix = turn.rules.prefix(alert.incident_class)
    incident = Incident(
        id=incident_id(prefix, turn.now_ms, turn.partition, turn.offset, turn.opened()),
        component=alert.component,
        incident_class=alert.incident_class,
        state=State.OPEN,
        severity=alert.severity,
        owner=alert.owner,
        title=_title(alert),
        next_step=_next_step(turn, alert),
        opened_ms=turn.now_ms,
        opened_by=turn.record,
    )
    turn.state.put_incident(incident)
    turn.state.join(incident, alert, turn.offset)
    turn.count("incidents")
    text = _describe(alert)
    turn.tell(incident, "Opened", text, severity=alert.severity, alert=alert.fingerprint, owner=alert.owner)
    notifying.on_opened(turn, incident, text)
    return incident


def _join(turn: Turn, incident: Incident, alert: LiveAlert) -> None:
    was = incident.state
    incident.state = advance(was, Cause.FIRED)
    turn.state.join(incident, alert, turn.offset)
    text = _describe(alert)
    turn.tell(incident, "AlertFired", text, severity=alert.severity, alert=alert.fingerprint)
    if was is State.RESOLVED:
        _reopened(turn, incident, f"{alert.name} fires again")
    if alert.severity < incident.severity:  # P0 sorts before P1
        before, incident.severity = incident.severity, alert.severity
        incident.title, incident.next_step = _title(alert), _next_step(turn, alert)
        raised = f"from {before} to {alert.severity} by {text}"
        turn.tell(incident, "SeverityRaised", raised, severity=alert.severity)
        notifying.on_severity_raised(turn, incident, raised)


def _reopened(turn: Turn, incident: Incident, text: str) -> None:
    incident.reopened += 1
    incident.resolved_ms, incident.resolved_by = 0, ""
    turn.tell(incident, "Reopened", text)
    notifying.on_reopened(turn, incident, text)


def _resolved(turn: Turn, incident: Incident, by: str, text: str) -> None:
    incident.resolved_ms, incident.resolved_by = turn.now_ms, by
    turn.tell(incident, "Resolved", text)
    watch_settling(turn, incident)


def watch_settling(turn: Turn, incident: Incident) -> None:
    """Set the timer that closes a resolved incident."""
    if incident.state is State.RESOLVED:
        turn.state.schedule(incident.resolved_ms + turn.rules.policy.incidents.settle, SETTLE, incident.id)


def on_settle(turn: Turn, at_ms: int, whose: str) -> None:
    """Close an incident that stayed quiet; reopen one that an operator resolved while alerts fire on."""
    incident = turn.state.incidents.get(whose)
    settle_ms = turn.rules.policy.incidents.settle
    if incident is None or incident.state is not State.RESOLVED or incident.resolved_ms + settle_ms != at_ms:
        return  # it was reopened in between
    if incident.still_firing:
        incident.state = advance(incident.state, Cause.STILL_FIRING)
        _reopened(turn, incident, f"{format_ms(settle_ms)} after it was resolved its alerts still fire")
        turn.changed(incident)
        return
    incident.state = advance(incident.state, Cause.QUIET)
    incident.closed_ms = turn.now_ms
    text = f"quiet for {format_ms(settle_ms)}; it lasted {format_ms(incident.resolved_ms - incident.opened_ms)}"
    turn.tell(incident, "Closed", text)
    notifying.on_closed(turn, incident, text)
    turn.changed(incident)
    turn.state.drop_incident(incident)
    for alert in incident.alerts.values():
        alert.incident = ""
        remember(turn, alert)


def remember(turn: Turn, alert: LiveAlert) -> None:
    """Keep an ended alert for a while, so that its repeated resolves stay repeats."""
    alert.forget_ms = turn.now_ms + turn.rules.policy.incidents.forget
    turn.state.schedule(alert.forget_ms, FORGET, alert.fingerprint)
    turn.state.put_alert(alert)


def on_forget(turn: Turn, at_ms: int, whose: str) -> None:
    """Forget an alert that ended long ago."""
    alert = turn.state.alerts.get(whose.encode())
    if alert is not None and alert.forget_ms == at_ms and not alert.firing:
        turn.state.drop_alert(alert)


def on_acknowledge(turn: Turn, incident: Incident, by: str, text: str) -> None:
    """An operator takes the incident."""
    incident.state = advance(incident.state, Cause.ACKNOWLEDGE)
    incident.acknowledged_ms, incident.acknowledged_by = turn.now_ms, by
    turn.tell(incident, "Acknowledged", f"{by} is investigating{_said(text)}", by=by)


def on_resolve(turn: Turn, incident: Incident, by: str, text: str) -> None:
    """An operator says that it is over."""
    incident.state = advance(incident.state, Cause.RESOLVE)
    _resolved(turn, incident, by, f"{by} resolved it{_said(text)}")


def on_reopen(turn: Turn, incident: Incident, by: str, text: str) -> None:
    """An operator says that it is not over."""
    incident.state = advance(incident.state, Cause.REOPEN)
    _reopened(turn, incident, f"{by} reopened it{_said(text)}")


def on_note(turn: Turn, incident: Incident, by: str, text: str) -> None:
    """An operator writes something down."""
    turn.tell(incident, "Noted", f"{by}: {text}", by=by)


def on_escalate(turn: Turn, incident: Incident, by: str, text: str) -> None:
    """An operator calls the next step of the chain."""
    escalating.climb(turn, incident, "manual", f"{by} escalated it{_said(text)}", [turn.record])


def _said(text: str) -> str:
    return f": {text}" if text else ""


def _title(alert: LiveAlert) -> str:
    return alert.name if alert.component.startswith(f"{alert.name}/") else f"{alert.name} on {alert.component}"


def _describe(alert: LiveAlert) -> str:
    summary = alert.annotations.get("summary") or alert.annotations.get("description") or ""
    unknown = f" (severity {alert.severity_found!r} is not in the policy)" if alert.severity_found else ""
    return f"{_title(alert)}{': ' if summary else ''}{summary}{unknown}"


def _next_step(turn: Turn, alert: LiveAlert) -> str:
    guide = turn.rules.guide(alert.labels)
    return _fill(guide.steps[0], alert) if guide else ""


def _fill(step: str, alert: LiveAlert) -> str:
    """The step with the alert's values in it, quoted for a shell: a label can never add a command."""
    component = shlex.quote(alert.component)
    return step.replace("{component}", component).replace("{alertname}", shlex.quote(alert.name))
