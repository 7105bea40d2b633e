"""An incident as users see it in `tocsin.incidents`."""

from typing import Any

from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.alerts_shown import SNAPSHOT_ALERTS_MAX, alerts_of
from app.core.state.incident_now import clock_start
from app.core.state.state import Incident
from models.text.instant import format_instant

NAMES_SHOWN = 20  # alert names and members in a snapshot; the counts cover all


def incident_snapshot(rules: CompiledPolicy, incident: Incident) -> dict[str, Any]:
    """The snapshot's body. Times are RFC 3339 or null."""
    return {
        "incident": incident.id,
        "state": incident.state,
        "severity": incident.severity,
        "peak_severity": incident.peak_severity,
        "class": incident.incident_class,
        "status": "" if incident.ended else rules.status(incident.incident_class),
        "component": incident.component,
        "scope": incident.scope,
        "owner": incident.owner,
        "title": incident.title,
        "next": incident.next_step,
        "runbook": incident.runbook,
        "opened_at": format_instant(incident.opened_ms),
        "notified_at": instant_or_none(incident.first_notified_ms),
        "acknowledged_at": instant_or_none(incident.acknowledged_ms),
        "acknowledged_by": incident.acknowledged_by,
        "assignee": incident.assignee,
        "mitigated_at": instant_or_none(incident.mitigated_ms),
        "mitigated_by": incident.mitigated_by,
        "root_cause": incident.root_cause,
        "root_cause_by": incident.root_cause_by,
        "assessment": incident.assessment,
        "eta_at": instant_or_none(incident.eta_ms),
        "complaints": incident.complaints,
        "resolved_at": instant_or_none(incident.resolved_ms),
        "resolved_by": incident.resolved_by,
        "closed_at": instant_or_none(incident.closed_ms),
        "reopened": incident.reopened,
        "episode": incident.episode,
        "flapping": incident.flapping_ms > 0,
        "escalation_step": incident.step,
        "escalated_by": incident.escalated,
        "clocks": _clocks_of(rules, incident),
        "suppressed_by": suppressed_by(incident),
        "parents": incident.parents,
        "services": list(incident.down),
        **_alerts_in(incident),
        "opened_by": incident.opened_by,
        # Repeats change no snapshot, so how many records there were is told when it is over.
        "records": sum(alert.count for alert in incident.alerts.values())
        if incident.ended
        else None,
    }


def _alerts_in(incident: Incident) -> dict[str, Any]:
    members = incident.members
    return {
        **alerts_of(incident, SNAPSHOT_ALERTS_MAX),
        "alert_names": dict(list(incident.names.items())[:NAMES_SHOWN]),
        "rule": incident.rule,
        "members": [
            {
                "alert": fingerprint,
                "name": member.name,
                "component": member.component,
                "scope": member.scope,
                "incident": member.incident,
                "firing": member.firing,
            }
            for fingerprint, member in list(members.items())[:NAMES_SHOWN]
        ],
    }


def _clocks_of(rules: CompiledPolicy, incident: Incident) -> dict[str, dict[str, str]]:
    targets = rules.policy.targets
    times = {"acknowledge": targets.acknowledge, "resolve": targets.resolve}
    clocks = {}
    for name, time in times.items():
        since_ms, severity = clock_start(incident, name)
        if severity in time:
            due_at = format_instant(since_ms + time[severity])
            clocks[name] = {"due_at": due_at, "state": incident.clocks.get(name, "running")}
    return clocks


def suppressed_by(incident: Incident) -> list[str]:
    """Why nobody is told, of the first alert that fires; empty when somebody is."""
    if not incident.suppressed:
        return []
    holds = incident.suppressions or next(
        alert.suppressions
        for alert in incident.alerts.values()
        if alert.firing and alert.suppressions
    )
    return [hold.because for hold in holds.values()]


def instant_or_none(at_ms: int) -> str | None:
    """The instant, or None for never."""
    return format_instant(at_ms) if at_ms else None
