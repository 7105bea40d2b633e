"""Alerts into incidents: a component's alerts of one class share one incident from its opening to its close.

Source: PROCEDURES, "Alert Severity Levels". How an incident ends is in
`app.core.incidents.resolution`.
"""

from app.core.correlation import near_member, windows
from app.core.incidents import availability, ownership, resolution, runbooks
from app.core.notification import flapping, naming
from app.core.response import escalation
from app.core.rules.compiled_policy import CompiledPolicy, PolicyDecision
from app.core.state.annotations import add_links
from app.core.state.incident_now import begin_clocks
from app.core.state.lifecycle import Cause, advance
from app.core.state.live_alert import LiveAlert
from app.core.state.state import Incident
from app.core.state.titles import alert_place, alert_title
from app.core.state.turn import Turn
from app.core.suppression import inhibition, silences, suppression
from app.core.suppression.suppressors import ending_of
from models.events_alert import AlertState
from models.incident import State, incident_id

LOST = "AlertLost"
_ENDED_STATES = {
    "AlertEnded": AlertState.RESOLVED,
    "AlertExpired": AlertState.EXPIRED,
    LOST: AlertState.LOST,
    "AlertReplaced": AlertState.REPLACED,
}


def on_fired(turn: Turn, alert: LiveAlert) -> None:
    """An alert began to fire: it opens, joins, raises or reopens its component's incident."""
    alert.notifiable_since_ms = turn.now_ms
    alert.suppressions = silences.suppressions_on(turn, alert) if turn.state.silences else None
    alert.known_of = False
    turn.doubt(alert)
    turn.state.note(alert)
    decision = turn.rules.evaluate(alert.labels)
    incident = turn.state.current.get((alert.place.key, alert.incident_class))
    if incident is None:
        incident, was_suppressed = _open_incident(turn, alert, decision), False
    else:
        was_suppressed = incident.suppressed
        near_member.hide_with(turn, incident, alert, decision)
        suppression.begin_correlation_wait(turn, incident, alert, decision.correlation_wait_ms)
        _join_incident(turn, incident, alert, decision)
    reason = (
        None if alert.awaits_correlation else next(iter((alert.suppressions or {}).values()), None)
    )
    suppression.observe_suppression(turn, incident, was_suppressed=was_suppressed, reason=reason)
    incident.always = incident.always or decision.always
    flapping.on_change(turn, incident, alert)
    availability.on_fired(turn, incident, decision)
    escalation.on_fired(turn, incident, alert)
    windows.on_fired(turn, alert, decision)
    inhibition.on_changed(turn, alert, decision)
    turn.changed(incident)


def on_ended(turn: Turn, alert: LiveAlert, kind: str, text: str) -> None:
    """An alert ended, or was not received for too long.

    The last one that ends resolves the incident.
    """
    incident = turn.state.incidents.get(alert.incident)
    if incident is None:
        return
    decision, was_suppressed = turn.rules.evaluate(alert.labels), incident.suppressed
    turn.state.note(alert, ending_of(turn, alert, _ENDED_STATES[kind]))
    if kind != "AlertReplaced":
        naming.on_ended(incident, alert)
    turn.state.leave(incident, alert)
    if kind == "AlertEnded":
        turn.state.near.resolve(alert.fingerprint)
    if incident.near is not None:
        incident.near.expired = kind in ("AlertExpired", LOST)
    name = alert_title(alert) if alert_place(alert) else alert.name
    turn.timeline(incident, kind, f"{name}: {text}", alert=alert.fingerprint)
    flapping.on_change(turn, incident, alert)
    availability.on_ended(turn, incident, decision)
    windows.on_ended(turn, alert, decision)
    inhibition.on_changed(turn, alert, decision)
    ownership.weaken(turn, incident)
    if not incident.still_firing:
        incident.state = advance(incident.state, Cause.ENDED)
        if kind == LOST:
            resolution.lost(turn, incident, "Its alerts are no longer received")
        else:
            resolution.note_resolved(turn, incident, incident.resolved_by, "All alerts ended")
    suppression.observe_suppression(turn, incident, was_suppressed=was_suppressed)
    turn.changed(incident)


def _open_incident(turn: Turn, alert: LiveAlert, decision: PolicyDecision) -> Incident:
    prefix = turn.rules.prefix(alert.incident_class)
    title = alert_title(alert)
    text = ownership.describe(alert, title)
    incident = Incident(
        id=incident_id(prefix, turn.now_ms, turn.partition, turn.offset, turn.opened()),
        component=alert.component,
        scope=alert.scope,
        incident_class=alert.incident_class,
        state=State.OPEN,
        severity=alert.severity,
        owner=alert.owner,
        title=title,
        peak_title=title,
        peak_severity=alert.severity,
        owner_alert=alert.fingerprint,
        owner_severity=alert.severity,
        summary=text,
        next_step="",
        opened_ms=turn.now_ms,
        opened_by=turn.position,
        severity_ms=turn.now_ms,
        notifiable_since_ms=turn.now_ms,
        correlation_wait_ms=_first_wait_ms(alert, decision),
        mutes=list(decision.mutes),
    )
    begin_clocks(incident, turn.now_ms)
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
        links=_links(alert),
    )
    runbooks.choose_runbook(turn, incident, decision.runbook, alert.labels, alert.annotations)
    return incident


def _join_incident(
    turn: Turn, incident: Incident, alert: LiveAlert, decision: PolicyDecision
) -> None:
    was = incident.state
    incident.state = advance(was, Cause.FIRED)
    again = was is State.RESOLVED or alert.incident == incident.id
    if again and alert.severity.is_urgent:
        incident.fires_anew_ms = incident.fires_anew_ms or turn.now_ms
    turn.state.join(incident, alert, turn.offset)
    # What somebody has to be notified of at once does not wait because of its neighbours.
    wait_ms = _first_wait_ms(alert, decision)
    incident.correlation_wait_ms = min(incident.correlation_wait_ms, wait_ms)
    incident.mutes = [name for name in incident.mutes if name in decision.mutes]
    text = ownership.describe(alert, alert_title(alert))
    details = {
        "severity": alert.severity,
        "alert": alert.fingerprint,
        "links": _links(alert),
    }
    turn.timeline(incident, "AlertFired", text, **details)
    if was is State.RESOLVED:
        ownership.weaken(turn, incident)
        resolution.note_reopened(turn, incident, f"{alert.name} is firing again")
    raised = ownership.on_fired(turn, incident, alert)
    if raised:
        escalation.on_grown(turn, incident, raised)


def on_policy(turn: Turn, incident: Incident, before: CompiledPolicy) -> None:
    """Another policy may let other incidents wait, mute others, and give them to others."""
    ownership.on_policy(turn, incident, before)
    alerts = [] if incident.rule else list(incident.alerts.values())
    known = [alert.labels for alert in alerts] or [inhibition.labels_of(incident)]
    decisions = [turn.rules.evaluate(labels) for labels in known]
    former = (incident.correlation_wait_ms, incident.mutes)
    waits = [_first_wait_ms(*pair) for pair in zip(alerts, decisions, strict=False)]
    incident.correlation_wait_ms = min(waits, default=decisions[0].correlation_wait_ms)
    incident.mutes = [
        name for name in decisions[0].mutes if all(name in decision.mutes for decision in decisions)
    ]
    if (incident.correlation_wait_ms, incident.mutes) != former:
        turn.changed(incident)


def _first_wait_ms(alert: LiveAlert, decision: PolicyDecision) -> int:
    """How long the first message waits: what is urgent waits for no rule of nearness."""
    return decision.correlation_wait_ms if alert.severity.is_urgent else decision.first_wait_ms


def _links(alert: LiveAlert) -> dict[str, str]:
    links: dict[str, str] = {}
    add_links(links, alert.annotations, alert.generator_url)
    return links
