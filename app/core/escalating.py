"""When an incident climbs to the next step of its owner's chain, and what it says of why.

Source: PROCEDURES, "Escalation Triggers" and each team's "Primary Escalation Chain".
"""

from collections.abc import Sequence

from app.core import notifying
from app.core.state import Incident, LiveAlert
from app.core.turn import Turn
from models.duration import format_ms
from models.effect import Stream
from models.instant import format_instant

LASTING = "lasting"


def on_fired(turn: Turn, incident: Incident, alert: LiveAlert) -> None:
    """Escalate what escalates always, and set a timer for what escalates when it lasts."""
    for rule in turn.rules.always:
        if rule.applies(alert.severity, alert.incident_class, alert.labels):
            because = f"{alert.name} on {alert.component} always escalates ({rule.policy.name})"
            escalate(turn, incident, rule.policy.name, because, [_fired_by(turn, alert)])
    watch_lasting(turn, alert)


def watch_lasting(turn: Turn, alert: LiveAlert) -> None:
    """Set the timers of the rules that escalate when this alert lasts."""
    for rule in turn.rules.lasting:
        lasting_ms = rule.policy.lasting
        if lasting_ms is not None and rule.applies(alert.severity, alert.incident_class, alert.labels):
            turn.state.schedule(alert.fired_ms + lasting_ms, LASTING, f"{rule.policy.name} {alert.fingerprint}")


def on_lasting(turn: Turn, at_ms: int, whose: str) -> None:
    """Escalate if the alert fires still, since the time for which the timer was set."""
    name, fingerprint = whose.split(" ")
    rule, alert = turn.rules.escalation(name), turn.state.alerts.get(fingerprint.encode())
    if rule is None or rule.policy.lasting is None or alert is None or not alert.firing:
        return
    if alert.fired_ms + rule.policy.lasting != at_ms or alert.incident not in turn.state.incidents:
        return
    if rule.applies(alert.severity, alert.incident_class, alert.labels):
        since = format_instant(alert.fired_ms)
        because = (
            f"{alert.name} on {alert.component} has been firing for {format_ms(rule.policy.lasting)}, since {since}"
        )
        escalate(turn, turn.state.incidents[alert.incident], name, because, [_fired_by(turn, alert)])


def escalate(turn: Turn, incident: Incident, rule: str, because: str, records: Sequence[str]) -> None:
    """Climb one step, once for each rule."""
    if rule in incident.escalated:
        return
    incident.escalated.append(rule)
    climb(turn, incident, rule, because, records)


def climb(turn: Turn, incident: Incident, rule: str, because: str, records: Sequence[str]) -> None:
    """Climb one step: the next contact of the owner's chain is told, or the last one again."""
    chain = turn.rules.chain(turn.rules.owner_known(incident.owner))
    incident.step = min(incident.step + 1, len(chain))
    contact = chain[incident.step - 1]
    turn.count("escalations")
    turn.count(f"escalations.{rule}")
    body = {
        "incident": incident.id,
        "severity": incident.severity,
        "component": incident.component,
        "owner": incident.owner,
        "title": incident.title,
        "rule": rule,
        "because": because,
        "records": list(records),
        "step": incident.step,
        "steps": len(chain),
        "to": contact.model_dump(),
        "next": incident.next_step,
        "late_ms": turn.late_ms,
    }
    turn.emit(Stream.ESCALATIONS, incident.id, "Escalated", body)
    turn.tell(incident, "Escalated", f"{because}: step {incident.step}, {contact.name}", rule=rule)
    notifying.on_escalated(turn, incident, contact, because)
    turn.changed(incident)


def _fired_by(turn: Turn, alert: LiveAlert) -> str:
    return f"{turn.partition}-{alert.fired_by}"
