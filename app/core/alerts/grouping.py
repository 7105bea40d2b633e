"""Alerts into incidents: a component's alerts of one class share one incident from its opening to its close.

Source: PROCEDURES, "Alert Severity Levels". How an incident ends is in
`app.core.incidents.resolution`.
"""

from app.core.correlation import windows
from app.core.incidents import availability, resolution, runbooks
from app.core.notification import flapping
from app.core.response import escalation, service_levels
from app.core.rules.compiled_policy import PolicyDecision
from app.core.state.lifecycle import Cause, advance
from app.core.state.state import Incident, LiveAlert
from app.core.state.turn import Turn
from app.core.suppression import inhibition, silences, suppression
from models.incident import State, incident_id
from models.reason import BadInput, Reason


def check_room(
    turn: Turn, component: str, incident_class: str, known: LiveAlert | None, size: int
) -> None:
    """Raise BadInput when one more alert, of so many bytes, would pass a bound.

    Nothing has changed by then.
    """
    bounds, state = turn.rules.policy.bounds, turn.state
    incident = state.current.get((component, incident_class))
    if known is None and len(state.alerts) >= bounds.alerts:
        raise BadInput(
            Reason.BOUND_REACHED,
            f"the partition has {len(state.alerts)} alerts, bounds.alerts is {bounds.alerts}",
        )
    more = size - (known.bytes if known else 0)
    if more > 0 and state.alert_bytes + more > bounds.alert_bytes:
        raise BadInput(
            Reason.BOUND_REACHED,
            f"the partition's alerts have {state.alert_bytes} bytes, {more} more are more than bounds.alert_bytes, "
            f"{bounds.alert_bytes}",
        )
    if incident is None and len(state.incidents) >= bounds.incidents:
        raise BadInput(
            Reason.BOUND_REACHED,
            f"the partition has {len(state.incidents)} incidents, which is bounds.incidents",
        )
    joins = incident is not None and (known is None or known.incident != incident.id)
    if incident is not None and joins and len(incident.alerts) >= bounds.alerts_in_incident:
        limit = bounds.alerts_in_incident
        raise BadInput(
            Reason.BOUND_REACHED,
            f"incident {incident.id} has {limit} alerts, which is bounds.alerts_in_incident",
        )


def on_fired(turn: Turn, alert: LiveAlert) -> None:
    """An alert began to fire: it opens, joins, raises or reopens its component's incident."""
    alert.notifiable_since_ms = turn.now_ms
    alert.suppressions = silences.suppressions_on(turn, alert) if turn.state.silences else None
    decision = turn.rules.evaluate(alert.labels)
    incident = turn.state.current.get((alert.component, alert.incident_class))
    if incident is None:
        incident, was_held = _open_incident(turn, alert, decision), False
    else:
        was_held = incident.suppressed
        suppression.begin_correlation_wait(turn, incident, alert, decision.correlation_wait_ms)
        _join_incident(turn, incident, alert, decision)
    hold = (
        None if alert.awaits_correlation else next(iter((alert.suppressions or {}).values()), None)
    )
    suppression.observe_suppression(turn, incident, was_held=was_held, hold=hold)
    incident.always = incident.always or decision.always
    flapping.on_change(turn, incident, alert)
    availability.on_fired(turn, incident, decision)
    escalation.on_fired(turn, incident, alert)
    windows.on_fired(turn, alert, decision)
    inhibition.on_changed(turn, alert, decision)
    turn.changed(incident)


def on_ended(turn: Turn, alert: LiveAlert, kind: str, text: str) -> None:
    """An alert ended, or was not heard of for too long.

    The last one that ends resolves the incident.
    """
    incident = turn.state.incidents.get(alert.incident)
    if incident is None:
        return
    decision, was_held = turn.rules.evaluate(alert.labels), incident.suppressed
    turn.state.leave(incident, alert)
    turn.timeline(incident, kind, f"{alert.name}: {text}", alert=alert.fingerprint)
    flapping.on_change(turn, incident, alert)
    availability.on_ended(turn, incident, decision)
    windows.on_ended(turn, alert, decision)
    inhibition.on_changed(turn, alert, decision)
    if not incident.still_firing:
        incident.state = advance(incident.state, Cause.ENDED)
        resolution.note_resolved(turn, incident, incident.resolved_by, "all its alerts ended")
    suppression.observe_suppression(turn, incident, was_held=was_held)
    turn.changed(incident)


def _open_incident(turn: Turn, alert: LiveAlert, decision: PolicyDecision) -> Incident:
    prefix = turn.rules.prefix(alert.incident_class)
    text = _describe_alert(alert)
    incident = Incident(
        id=incident_id(prefix, turn.now_ms, turn.partition, turn.offset, turn.opened()),
        component=alert.component,
        incident_class=alert.incident_class,
        state=State.OPEN,
        severity=alert.severity,
        owner=alert.owner,
        title=_title_of(alert),
        summary=text,
        next_step="",
        opened_ms=turn.now_ms,
        opened_by=turn.position,
        severity_ms=turn.now_ms,
        notifiable_since_ms=turn.now_ms,
        correlation_wait_ms=decision.correlation_wait_ms,
        mutes=list(decision.mutes),
    )
    turn.state.put_incident(incident)
    turn.state.join(incident, alert, turn.offset)
    turn.count("incidents")
    turn.timeline(
        incident,
        "Opened",
        text,
        severity=alert.severity,
        alert=alert.fingerprint,
        owner=alert.owner,
    )
    runbooks.choose_runbook(turn, incident, decision.runbook, alert.labels)
    return incident


def _join_incident(
    turn: Turn, incident: Incident, alert: LiveAlert, decision: PolicyDecision
) -> None:
    was = incident.state
    incident.state = advance(was, Cause.FIRED)
    turn.state.join(incident, alert, turn.offset)
    # What somebody has to be told of at once does not wait because of its neighbours.
    incident.correlation_wait_ms = min(incident.correlation_wait_ms, decision.correlation_wait_ms)
    incident.mutes = [name for name in incident.mutes if name in decision.mutes]
    text = _describe_alert(alert)
    turn.timeline(incident, "AlertFired", text, severity=alert.severity, alert=alert.fingerprint)
    if was is State.RESOLVED:
        resolution.note_reopened(turn, incident, f"{alert.name} fires again")
    if alert.severity < incident.severity:  # P0 sorts before P1
        before, incident.severity = incident.severity, alert.severity
        incident.severity_ms = turn.now_ms
        incident.title, incident.summary = _title_of(alert), text
        service_levels.on_severity(incident)
        raised = f"from {before} to {alert.severity} by {text}"
        turn.timeline(incident, "SeverityRaised", raised, severity=alert.severity)
        runbooks.choose_runbook(turn, incident, decision.runbook, alert.labels)
        escalation.on_grown(turn, incident, raised)


def on_policy(turn: Turn, incident: Incident) -> None:
    """Another policy may let other incidents wait, and mute others."""
    known = (
        [inhibition.labels_of(incident)]
        if incident.rule
        else [alert.labels for alert in incident.alerts.values()]
    )
    decisions = [turn.rules.evaluate(labels) for labels in known]
    before = (incident.correlation_wait_ms, incident.mutes)
    incident.correlation_wait_ms = min(decision.correlation_wait_ms for decision in decisions)
    incident.mutes = [
        name for name in decisions[0].mutes if all(name in decision.mutes for decision in decisions)
    ]
    if (incident.correlation_wait_ms, incident.mutes) != before:
        turn.changed(incident)


def _title_of(alert: LiveAlert) -> str:
    return (
        alert.name
        if alert.component.startswith(f"{alert.name}/")
        else f"{alert.name} on {alert.component}"
    )


def _describe_alert(alert: LiveAlert) -> str:
    summary = alert.annotations.get("summary") or alert.annotations.get("description") or ""
    unknown = (
        f" (severity {alert.severity_label!r} is not in the policy)" if alert.severity_label else ""
    )
    return f"{_title_of(alert)}{': ' if summary else ''}{summary}{unknown}"
