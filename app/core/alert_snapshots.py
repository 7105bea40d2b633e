"""What `tocsin.alerts` says of each alert: its state, what suppresses it, why nobody was notified.

The core notes which alerts a record changed (`PartitionState.note`). At the end of the record one
snapshot of each is emitted, behind everything else that the record leaves. A repeat notes nothing.
"""

from collections.abc import Iterable
from typing import Any

from app.core.alerts import capacity, heartbeats
from app.core.notification import mute_times
from app.core.state.live_alert import Ending, LiveAlert
from app.core.state.state import Incident
from app.core.state.turn import Turn
from app.core.suppression.suppressors import reason_of, suppressors_of
from models.effect import Stream
from models.events_alert import AlertOrigin, AlertState
from models.text.instant import NEWEST_MS, format_instant


def review_mutes(turn: Turn, changed: Iterable[Incident]) -> None:
    """Note the alerts of incidents of which nobody may be notified now, or somebody may again."""
    for incident in changed:
        if incident.ended or incident.id not in turn.state.incidents:
            continue
        muted_by = mute_times.reasons_to_wait(turn, incident, turn.now_ms)
        if muted_by != incident.muted_by:
            incident.muted_by = muted_by
            turn.state.put_incident(incident)
            for alert in incident.alerts.values():
                turn.state.note(alert)


def emit_snapshots(turn: Turn) -> None:
    """Leave a snapshot of each alert that the record changed, and a tombstone of each forgotten."""
    noted, turn.state.noted = turn.state.noted, {}
    for fingerprint, ending in noted.items():
        alert = turn.state.alerts.get(fingerprint.encode())
        if alert is None:
            turn.drop(Stream.ALERTS, fingerprint)
        elif ending is not None or alert.firing:
            turn.emit(Stream.ALERTS, fingerprint, "Alert", _snapshot(turn, alert, ending))


def _snapshot(turn: Turn, alert: LiveAlert, ending: Ending | None) -> dict[str, Any]:
    suppressors = () if ending is not None else suppressors_of(turn, alert)
    if ending is None:
        state = AlertState.SUPPRESSED if suppressors else AlertState.ACTIVE
        ending = Ending(state, reason_of(turn, alert, suppressors))
    ended_at = format_instant(alert.ended_ms or turn.now_ms)  # a heartbeat's end has no time
    return {
        "alert": alert.fingerprint,
        "state": ending.state,
        "reason": ending.reason,
        "suppressed_by": suppressors,
        "incident": alert.incident,
        "follows": alert.follows,
        "severity": alert.severity,
        "owner": alert.owner,
        "receivers": (turn.rules.owner_known(alert.owner),),
        "component": alert.component,
        "scope": alert.scope,
        "labels": alert.labels,
        "annotations": alert.annotations,
        "generator_url": alert.generator_url,
        "starts_at": format_instant(min(max(alert.starts_ms, 0), NEWEST_MS)),
        "fired_at": _instant(alert.fired_ms),
        "heard_at": format_instant(alert.last_ms),
        "unheard_at": _instant(alert.unheard_ms),
        "ended_at": None if ending.state.fires else ended_at,
        "ttl_ms": alert.ttl_ms,
        "until_resolved": alert.until_resolved,
        "origin": _origin(alert),
    }


def _origin(alert: LiveAlert) -> AlertOrigin:
    if alert.heartbeat:
        return AlertOrigin.HEARTBEAT
    is_own = capacity.is_own(alert) or heartbeats.is_missing(alert)
    return AlertOrigin.TOCSIN if is_own else AlertOrigin.SENDER


def _instant(at_ms: int) -> str | None:
    return format_instant(at_ms) if at_ms else None
