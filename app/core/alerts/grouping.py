"""Alerts into incidents: a component's alerts of one class share one incident from its opening to its close.

Source: PROCEDURES, "Alert Severity Levels". How an incident ends is in
`app.core.incidents.resolution`.
"""

from app.core.correlation import windows
from app.core.incidents import availability, ownership, resolution, runbooks
from app.core.notification import flapping
from app.core.response import escalation, service_levels
from app.core.rules.compiled_policy import Rulebook, Verdict
from app.core.state.lifecycle import Cause, advance
from app.core.state.state import Incident, LiveAlert
from app.core.state.turn import Turn
from app.core.suppression import inhibition, silences, suppression
from models.incident import State, incident_id
from models.place import Place
from models.reason import BadInput, Reason


def check_room(
    turn: Turn, place: Place, incident_class: str, known: LiveAlert | None, size: int
) -> None:
    """Raise BadInput when one more alert, of so many bytes, would pass a bound.

    Nothing has changed by then.
    """
    bounds, state = turn.rules.policy.bounds, turn.state
    incident = state.current.get((place.key, incident_class))
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
    alert.loud_ms = turn.now_ms
    alert.holds = silences.holds_on(turn, alert) if turn.state.silences else None
    verdict = turn.rules.judge(alert.labels)
    incident = turn.state.current.get((alert.place.key, alert.incident_class))
    if incident is None:
        incident, was_held = _open(turn, alert, verdict), False
    else:
        was_held = incident.held
        suppression.wait(turn, incident, alert, verdict.hold_ms)
        _join(turn, incident, alert, verdict)
    hold = None if alert.waits else next(iter((alert.holds or {}).values()), None)
    suppression.observe(turn, incident, was_held=was_held, hold=hold)
    incident.always = incident.always or verdict.always
    flapping.on_change(turn, incident, alert)
    availability.on_fired(turn, incident, verdict)
    escalation.on_fired(turn, incident, alert)
    windows.on_fired(turn, alert, verdict)
    inhibition.on_changed(turn, alert, verdict)
    turn.changed(incident)


def on_ended(turn: Turn, alert: LiveAlert, kind: str, text: str) -> None:
    """An alert ended, or was not heard of for too long.

    The last one that ends resolves the incident.
    """
    incident = turn.state.incidents.get(alert.incident)
    if incident is None:
        return
    verdict, was_held = turn.rules.judge(alert.labels), incident.held
    turn.state.leave(incident, alert)
    turn.tell(incident, kind, f"{alert.name}: {text}", alert=alert.fingerprint)
    flapping.on_change(turn, incident, alert)
    availability.on_ended(turn, incident, verdict)
    windows.on_ended(turn, alert, verdict)
    inhibition.on_changed(turn, alert, verdict)
    ownership.weaken(turn, incident)
    if not incident.still_firing:
        incident.state = advance(incident.state, Cause.ENDED)
        resolution.resolved(turn, incident, incident.resolved_by, "all its alerts ended")
    suppression.observe(turn, incident, was_held=was_held)
    turn.changed(incident)


def _open(turn: Turn, alert: LiveAlert, verdict: Verdict) -> Incident:
    prefix = turn.rules.prefix(alert.incident_class)
    text = ownership.describe(alert)
    incident = Incident(
        id=incident_id(prefix, turn.now_ms, turn.partition, turn.offset, turn.opened()),
        component=alert.component,
        scope=alert.scope,
        incident_class=alert.incident_class,
        state=State.OPEN,
        severity=alert.severity,
        owner=alert.owner,
        title=ownership.title_of(alert),
        peak_title=ownership.title_of(alert),
        peak_severity=alert.severity,
        owner_alert=alert.fingerprint,
        owner_severity=alert.severity,
        summary=text,
        next_step="",
        opened_ms=turn.now_ms,
        opened_by=turn.record,
        severity_ms=turn.now_ms,
        loud_ms=turn.now_ms,
        hold_ms=verdict.hold_ms,
        mutes=list(verdict.mutes),
    )
    service_levels.begin(incident)
    turn.state.put_incident(incident)
    turn.state.join(incident, alert, turn.offset)
    turn.count("incidents")
    turn.tell(
        incident,
        "Opened",
        text,
        severity=alert.severity,
        alert=alert.fingerprint,
        owner=alert.owner,
    )
    runbooks.choose(turn, incident, verdict.guide, alert.labels)
    return incident


def _join(turn: Turn, incident: Incident, alert: LiveAlert, verdict: Verdict) -> None:
    was = incident.state
    incident.state = advance(was, Cause.FIRED)
    turn.state.join(incident, alert, turn.offset)
    # What somebody has to be told of at once does not wait because of its neighbours.
    incident.hold_ms = min(incident.hold_ms, verdict.hold_ms)
    incident.mutes = [name for name in incident.mutes if name in verdict.mutes]
    text = ownership.describe(alert)
    turn.tell(incident, "AlertFired", text, severity=alert.severity, alert=alert.fingerprint)
    if was is State.RESOLVED:
        ownership.weaken(turn, incident)
        resolution.reopened(turn, incident, f"{alert.name} fires again")
    raised = ownership.on_fired(turn, incident, alert)
    if raised:
        escalation.on_grown(turn, incident, raised)


def on_policy(turn: Turn, incident: Incident, before: Rulebook) -> None:
    """Another policy may let other incidents wait, mute others, and give them to others."""
    ownership.on_policy(turn, incident, before)
    known = (
        [inhibition.labels_of(incident)]
        if incident.rule
        else [alert.labels for alert in incident.alerts.values()]
    )
    verdicts = [turn.rules.judge(labels) for labels in known]
    former = (incident.hold_ms, incident.mutes)
    incident.hold_ms = min(verdict.hold_ms for verdict in verdicts)
    incident.mutes = [
        name for name in verdicts[0].mutes if all(name in verdict.mutes for verdict in verdicts)
    ]
    if (incident.hold_ms, incident.mutes) != former:
        turn.changed(incident)
